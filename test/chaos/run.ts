/**
 * A sweep under fire: real processes, killed and stopped by a schedule drawn from a seed, each started again; afterwards
 * the ledger is asked whether anything was lost or doubled. `stack.ts` has the processes, `schedule.ts` what is done to
 * them, `fire.ts` does it, `verdict.ts` says what must hold. The tests run it briefly, `npm run bench -- chaos` fifty times.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Coordinator } from '../../client/coordinator.js';
import { WattsweepError } from '../../proto/errors.js';
import { hasEnded, type SweepView } from '../../cli/sweep-view.js';
import type { LedgerEvent, State } from '../../services/coordinator/core/index.js';
import { JetStreamLog, loadLedger, readEvents } from '../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../services/coordinator/nats/index.js';
import type { MarkedProcess } from '../e2e/support.js';
import { Fire } from './fire.js';
import { type ChaosEvent, drawSchedule } from './schedule.js';
import { ChaosStack, PROGRAM, SCRIPT, TIMES, variable } from './stack.js';
import { judge, results, trainedLines } from './verdict.js';

export interface ChaosOptions {
  readonly seed: number;
  /** Whether ASHA stops trials. */
  readonly stopping: boolean;
  /** @default 24 */
  readonly trials?: number;
  /** @default 6 */
  readonly epochs?: number;
  /** @default 0.25 */
  readonly epochSeconds?: number;
  /** 0 for a quiet run. @default 10 */
  readonly events?: number;
  /** @default 9000 */
  readonly withinMs?: number;
  /** @default drawn from the seed */
  readonly schedule?: readonly ChaosEvent[];
  readonly say?: (text: string) => void;
}

export interface ChaosResult {
  readonly seed: number;
  /** What was violated; empty when nothing was lost, doubled or left over. */
  readonly faults: readonly string[];
  readonly seconds: number;
  /** What was done, with the process that it hit. */
  readonly done: readonly string[];
  readonly attempts: number;
  readonly terms: number;
  /** Ends of attempts by class. */
  readonly ends: Readonly<Record<string, number>>;
  readonly repeatedEpochs: number;
  /** Epochs that attempts trained and that the ledger has not from them: repeated, or of an attempt that was over. */
  readonly lateEpochs: number;
  /** Of every trial; see `results`. */
  readonly results: readonly object[];
  /** Words of the services, where there are faults. */
  readonly words: string;
}

const SLOTS = 3;
const COMPLETE_WITHIN_MS = 180_000;
const GONE_WITHIN_MS = 60_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, trials = 24, epochs = 6, epochSeconds = 0.25, say = () => undefined } = options;
  const stack = new ChaosStack();
  const log = join(stack.box.dir, 'trained.jsonl');
  writeFileSync(log, '');
  const begin = performance.now();
  try {
    await stack.start({ slotsPerTrainer: SLOTS });
    const coordinator = new Coordinator({ address: stack.server, token: null });
    const yaml = [
      `name: chaos-${seed}`,
      `command: ${JSON.stringify([PROGRAM, '-SE', SCRIPT, log, String(epochSeconds), '{lr}'])}`,
      'objective: { metric: score, goal: maximize }',
      `max_epochs: ${epochs}`,
      `sweep: { lr: ${JSON.stringify(Array.from({ length: trials }, (_, i) => i + 1))} }`,
      ...(options.stopping ? ['stopping: { rule: asha, first_rung: 2, eta: 2 }'] : []),
    ].join('\n');
    const requestId = `chaos-${seed}`;
    const { sweepId } = await patiently(() =>
      coordinator.submit({ yaml, overrides: [], tags: [], requestId }),
    );
    const events =
      options.schedule ??
      drawSchedule(seed, {
        events: options.events ?? 10,
        withinMs: options.withinMs ?? 9_000,
        ...TIMES,
      });
    const fire = new Fire(stack, say);
    const [view] = await Promise.all([awaitEnd(coordinator, sweepId), fire.perform(events)]);
    await patiently(() => slotsFree(stack));
    const words = stack.words;
    if (options.stopping) await patiently(() => coordinator.replay(sweepId).then(refuseDifference));
    coordinator.close();
    const faults = [...stack.ended(), ...stillTraining(stack)];
    const { events: ledger, state } = await readLedgerAt(stack.nats.url);
    faults.push(...(await stack.stop()));
    for (const { pid, command } of await leftOver(stack))
      faults.push(`left over: ${pid} ${command.join(' ')}`);
    const trained = trainedLines(log);
    faults.push(...judge(sweepId, ledger, state, trained));
    if (!hasEnded(view)) faults.push('the API never called the sweep ended');
    return {
      seed,
      faults,
      seconds: (performance.now() - begin) / 1_000,
      done: fire.done,
      attempts: ledger.filter(({ type }) => type === 'attempt_assigned').length,
      terms: state.term,
      ends: countEnds(ledger),
      lateEpochs: trained.length - ledger.filter(({ type }) => type === 'epoch_accepted').length,
      repeatedEpochs: ledger.filter(({ type }) => type === 'epoch_repeated').length,
      results: results(state.sweeps.get(sweepId)!),
      words: faults.length > 0 ? words : '',
    };
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}\n${stack.words}`, { cause: error });
  } finally {
    await stack.close();
  }
}

const AWAY = new Set(['COORDINATOR_UNREACHABLE', 'NOT_LEADER', 'DEPOSED', 'SWEEP_NOT_FOUND']);

/** As long as coordinators and NATS are being killed, an answer may take some tries. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + COMPLETE_WITHIN_MS; ;) {
    try {
      return await ask();
    } catch (error) {
      const away = error instanceof WattsweepError && AWAY.has(error.code);
      if (!away || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

async function awaitEnd(coordinator: Coordinator, sweepId: string): Promise<NonNullable<SweepView['sweep']>> {
  for (const deadline = performance.now() + COMPLETE_WITHIN_MS; ;) {
    const { sweep, trials } = await patiently(() => coordinator.get(sweepId));
    if (sweep !== undefined && hasEnded(sweep)) return sweep;
    if (performance.now() > deadline) {
      throw new Error(`the sweep did not end: ${JSON.stringify(trials)}`);
    }
    await sleep(200);
  }
}

/** The last attempt's end may come a moment after the sweep's. */
async function slotsFree(stack: ChaosStack): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS;
  while (stack.programs().length > 0 && performance.now() < deadline) await sleep(100);
}

/** An idle supervisor is told to go when its service goes, and lets its runner go first. */
async function leftOver(stack: ChaosStack): Promise<readonly MarkedProcess[]> {
  for (const deadline = performance.now() + GONE_WITHIN_MS; ;) {
    const left = stack.box.processes();
    if (left.length === 0 || performance.now() > deadline) return left;
    await sleep(100);
  }
}

const stillTraining = (stack: ChaosStack): string[] =>
  stack
    .programs()
    .map((one) => `still trains: ${variable(one, 'WATTSWEEP_TRIAL')}#${variable(one, 'WATTSWEEP_ATTEMPT')}`);

function refuseDifference(replay: Awaited<ReturnType<Coordinator['replay']>>): void {
  if (replay.difference !== undefined)
    throw new Error(`replay differs: ${JSON.stringify(replay.difference)}`);
}

export async function readLedgerAt(url: string): Promise<{ events: LedgerEvent[]; state: State }> {
  const link = await NatsLink.connect({ url, token: null, name: 'chaos' });
  try {
    const log = new JetStreamLog(link);
    const events: LedgerEvent[] = [];
    for await (const event of readEvents(log)) events.push(event);
    return { events, state: (await loadLedger(log)).state };
  } finally {
    await link.close();
  }
}

function countEnds(events: readonly LedgerEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const event of events)
    if (event.type === 'attempt_ended') counts[event.class] = (counts[event.class] ?? 0) + 1;
  return counts;
}
