/**
 * One run: two coordinators, some boxes, NATS and some sweeps on virtual time, and the faults of a list. Every decision
 * of the run comes from its seed. A new kind of fault goes into `faults.ts` and `strike.ts`, a new kind of sweep into
 * `sweeps.ts`; what must hold always is in `recorder.ts` and `ledger-watch.ts`, what must hold at rest in
 * `invariants.ts` and `quiet.ts`.
 */
import type { StartAttemptRequest } from '../../proto/gen/wattsweep/v1/trainer.js';
import { LEADER_BUCKET, TRAINERS_BUCKET } from '../../proto/subjects.js';
import { waitingReason, type Input, type State } from '../../services/coordinator/core/index.js';
import type { BoxSetup } from './box.js';
import { LEASE_TTL_MS, LOST_AFTER_MS, SimCoordinator, TRAINER_TTL_MS } from './coordinator.js';
import { drawFaults, endOf, HARMLESS, type Fault } from './faults.js';
import { checkOvershoot, checkRest, isFoldOf } from './invariants.js';
import { SimNats } from './nats.js';
import { changeOf } from './people.js';
import { randomOf, type Random } from './random.js';
import { Recorder } from './recorder.js';
import { restore } from './restore.js';
import { Scheduler } from './scheduler.js';
import { strike } from './strike.js';
import { drawPlainSweeps, drawSweeps, mishapOf, objectiveOf, type PlannedSweep } from './sweeps.js';
import { SimTrainer } from './trainer.js';

export interface Run {
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Empty when everything held. */
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly trials: number;
  readonly terms: number;
}

/** Without an end by then, a run never ends. */
const LIMIT_MS = 3_600_000;
const LOOK_EVERY_MS = 500;
const PROBE_EVERY_MS = 7_000;
const RELEASE_EVERY_MS = 20_000;
/** Quiet for so long before the state is looked at. */
const REST_MS = 5_000;
const MOST_RESTS = 20;
/** So long a person looks on while a sweep waits for what the fleet lacks. */
const PATIENCE_MS = 180_000;
/** Time enough to reach every box and to stop what it should not run. */
const CALM_MS = 20_000;

export interface RunOptions {
  /** @default those that the seed draws */
  readonly faults?: readonly Fault[];
  /** @default 'drawn' */
  readonly sweeps?: 'drawn' | 'plain';
}

export async function simulate(seed: number, options: RunOptions = {}): Promise<Run> {
  const { faults = drawFaults(seed), sweeps = 'drawn' } = options;
  return new World(seed, faults, sweeps === 'plain' ? drawPlainSweeps : drawSweeps).run();
}

function deviceOf(random: Random): BoxSetup['device'] {
  const model = random.pick(['small', 'large']);
  return random.chance(0.6)
    ? { kind: 'gpu', model, memoryBytes: model === 'small' ? 8e9 : 24e9 }
    : { kind: 'cpu', model: 'simulated', memoryBytes: undefined };
}

class World {
  readonly #scheduler = new Scheduler();
  readonly #recorder = new Recorder();
  readonly #random: Random;
  readonly #nats: SimNats;
  readonly #trainers: readonly SimTrainer[];
  readonly #coordinators: readonly SimCoordinator[];
  readonly #sweeps: readonly PlannedSweep[];
  readonly #submitted = new Set<string>();
  readonly #toResume = new Set<string>();
  readonly #toUndrain = new Set<string>();
  readonly #faultsEndMs: number;
  #quietSinceMs = Infinity;
  #probedMs = 0;
  #releasedMs = 0;
  #rests = 0;
  #finished = false;

  constructor(
    readonly seed: number,
    readonly faults: readonly Fault[],
    draw: (random: Random, gpus: number) => readonly PlannedSweep[],
  ) {
    const random = (this.#random = randomOf(seed, 'world'));
    const meters = randomOf(seed, 'meters');
    const recorder = this.#recorder;
    const nats = (this.#nats = new SimNats(this.#scheduler, randomOf(seed, 'nats'), {
      [LEADER_BUCKET]: LEASE_TTL_MS,
      [TRAINERS_BUCKET]: TRAINER_TTL_MS,
    }));
    nats.onStored = (stream, message) => recorder.stored(stream, message);
    nats.onPurged = (stream, seq) => recorder.purged(stream, seq);
    nats.onRemoved = (stream, message) => recorder.removed(stream, message);
    this.#trainers = Array.from({ length: random.whole(1, 4) }, (_, i) => {
      const setup = {
        trainerId: `box${i}`,
        slots: random.whole(1, 3),
        epochMs: random.between(300, 4_000),
        device: deviceOf(meters),
        watts: meters.chance(0.8) ? meters.between(50, 300) : null,
        ttlMs: TRAINER_TTL_MS,
        lostAfterMs: LOST_AFTER_MS,
        objective: (request: StartAttemptRequest, epoch: number) => objectiveOf(seed, request, epoch),
        mishap: (request: StartAttemptRequest) => mishapOf(seed, request),
      };
      return new SimTrainer(setup, nats, seed, recorder);
    });
    this.#coordinators = ['one', 'two'].map(
      (id) =>
        new SimCoordinator({
          id,
          seed,
          nats,
          trainers: this.#trainers,
          onFault: (text) => recorder.blame(text),
        }),
    );
    // The first box is there always; what a sweep needs, it has.
    const { slots, device } = this.#trainers[0]!.setup;
    this.#sweeps = draw(random, device.kind === 'gpu' ? slots : 0);
    this.#faultsEndMs = Math.max(0, ...faults.map(endOf));
  }

  async run(): Promise<Run> {
    const { seed, faults } = this;
    for (const fault of faults) this.#scheduler.after(fault.at, () => strike(this.#stage(), fault));
    for (const each of [...this.#coordinators, ...this.#trainers])
      this.#scheduler.after(this.#random.between(0, 3_000), () =>
        each instanceof SimTrainer ? each.startService() : each.start(),
      );
    this.#look();
    const ended = await this.#scheduler.run(
      () => this.#finished || this.#recorder.violations.length > 0,
      LIMIT_MS,
    );
    const state = this.#leader?.term?.state;
    if (!ended) this.#recorder.blame(this.#standstill());
    const { violations, terms } = this.#recorder;
    const trials = [...(state?.sweeps.values() ?? [])].reduce((sum, sweep) => sum + sweep.trials.size, 0);
    return { seed, faults, violations, virtualMs: this.#scheduler.now, trials, terms };
  }

  get #leader(): SimCoordinator | undefined {
    const leading = this.#coordinators.filter(({ term }) => term !== null);
    return leading.toSorted((a, b) => (b.term?.state.term ?? 0) - (a.term?.state.term ?? 0))[0];
  }

  #stage(): Parameters<typeof strike>[0] {
    return {
      scheduler: this.#scheduler,
      nats: this.#nats,
      coordinators: this.#coordinators,
      trainers: this.#trainers,
      sweepIds: this.#sweeps.map(({ sweepId }) => sweepId),
      ask: (control, sweepId) =>
        this.#offer({ type: 'control', sweepId, control, at: this.#leader?.now() ?? 0 }),
      restore: (number) => this.#restore(number),
      change: (kind, sweepId, number) => {
        const sweep = this.#leader?.term?.state.sweeps.get(sweepId);
        const input = sweep === undefined ? null : changeOf(kind, sweep, number, this.#leader?.now() ?? 0);
        if (input !== null) this.#offer(input);
      },
      insist: (_control, sweepId) => void this.#toResume.add(sweepId),
      drain: (trainerId, stopRunning) => this.#control(trainerId, 'drain', stopRunning),
      undrain: (trainerId) => void this.#toUndrain.add(trainerId),
    };
  }

  /** The people who use it: submit until it is taken, resume what was paused, and see whether all is done. */
  #look(): void {
    const { now } = this.#scheduler;
    const at = this.#leader?.now() ?? 0;
    for (const { sweepId, spec, submitAt } of this.#sweeps) {
      if (this.#submitted.has(sweepId) || now < submitAt) continue;
      const submit: Input = { type: 'submit', sweepId, spec, source: '', requestId: sweepId, at };
      this.#offer(submit, () => this.#submitted.add(sweepId));
    }
    for (const sweepId of this.#toResume)
      this.#offer({ type: 'control', sweepId, control: 'resume', at }, () => this.#toResume.delete(sweepId));
    for (const trainerId of this.#toUndrain)
      this.#control(trainerId, 'undrain', false, () => this.#toUndrain.delete(trainerId));
    this.#release(now);
    if (now > this.#faultsEndMs + PATIENCE_MS) this.#giveUp(at);
    if (now > this.#faultsEndMs + CALM_MS) this.#checkObeyed();
    this.#quietSinceMs = this.#isQuiet() ? Math.min(this.#quietSinceMs, now) : Infinity;
    const term = this.#leader?.term;
    if (now - this.#quietSinceMs >= REST_MS)
      term?.acknowledged().then(
        () => this.#rest(term.state),
        () => undefined,
      );
    else if (term !== undefined && term !== null && now - this.#probedMs >= PROBE_EVERY_MS) {
      this.#probedMs = now;
      this.#recorder.probe(term.state, () => term.acknowledged());
    }
    this.#scheduler.after(LOOK_EVERY_MS, () => this.#look());
  }

  /** What people have asked for since the copy was made they ask for again. */
  #restore(number: number): void {
    const { seq, keepsReports } = restore(this.#nats, number);
    this.#recorder.restored(seq, keepsReports, this.#scheduler.now);
    this.#submitted.clear();
    for (const { sweepId } of this.#sweeps) this.#toResume.add(sweepId);
    for (const { setup } of this.#trainers) this.#toUndrain.add(setup.trainerId);
  }

  /** Somebody looks at boxes in quarantine now and then. */
  #release(now: number): void {
    if (now - this.#releasedMs < RELEASE_EVERY_MS) return;
    this.#releasedMs = now;
    for (const trainer of this.#leader?.term?.state.trainers.values() ?? [])
      if (trainer.quarantine !== null || trainer.slotQuarantines.size > 0)
        this.#control(trainer.info.trainerId, 'release', false);
  }

  /** What only waits for a box that does not come back, and says so, is stopped in the end. */
  #giveUp(at: number): void {
    const state = this.#leader?.term?.state;
    if (state === undefined || !this.#trainers.some((trainer) => trainer.isGone || trainer.draining)) return;
    for (const sweep of state.sweeps.values())
      if (waitingReason(state, sweep) !== '')
        this.#offer({ type: 'control', sweepId: sweep.sweepId, control: 'stop', at });
  }

  #control(
    trainerId: string,
    control: 'drain' | 'undrain' | 'release',
    stopRunning: boolean,
    taken?: () => void,
  ): void {
    const at = this.#leader?.now() ?? 0;
    this.#offer({ type: 'control_trainer', trainerId, control, stopRunning, at }, taken);
  }

  /** The state may be ahead of the ledger, by what is on its way there: not for long. */
  #rest(state: State): void {
    this.#rests += 1;
    const { events } = this.#recorder;
    if (this.#finished || (this.#rests < MOST_RESTS && !isFoldOf(state, events))) return;
    checkRest(state, this.#recorder, this.#trainers);
    if (this.faults.every(({ kind }) => HARMLESS.has(kind)))
      checkOvershoot(state, this.#trainers, (text) => this.#recorder.blame(text));
    this.#finished = true;
  }

  #offer(input: Input, taken: () => void = () => undefined): void {
    this.#leader?.term?.offer([input]).then(taken, () => undefined);
  }

  /** Long after the last fault no box trains what the ledger has given to another one. */
  #checkObeyed(): void {
    const sweeps = this.#leader?.term?.state.sweeps;
    for (const { box, isGone } of this.#trainers)
      for (const { id, key } of isGone ? [] : box.running) {
        const attempts = sweeps?.get(key.sweepId)?.trials.get(key.trialId)?.attempts;
        const attempt = attempts?.find((one) => one.attempt === key.attempt && one.termId === key.termId);
        const { end = null } = attempt ?? {};
        if (end !== null) this.#recorder.blame(`${id} still runs, and its end (${end.class}) is recorded`);
      }
  }

  #isQuiet(): boolean {
    const { sweeps, deleted } = this.#leader?.term?.state ?? {};
    return (
      sweeps !== undefined &&
      this.#scheduler.now > this.#faultsEndMs &&
      sweeps.size + (deleted?.size ?? 0) === this.#sweeps.length &&
      this.#toResume.size + this.#toUndrain.size === 0 &&
      [...sweeps.values()].every(({ endedAt }) => endedAt !== null) &&
      this.#trainers.every(({ box, isGone }) => isGone || (box.running.length === 0 && box.waiting === 0))
    );
  }

  #standstill(): string {
    const state = this.#leader?.term?.state;
    if (state === undefined) return 'nobody leads';
    const open = [...state.sweeps.values()].flatMap((sweep) => {
      const { sweepId, trials, status, endedAt } = sweep;
      if (endedAt !== null) return [];
      const waits = waitingReason(state, sweep);
      const left = [...trials.values()].filter((trial) => trial.endedAt === null);
      if (left.length === 0) return [`${sweepId} (${status}) has no open trial`];
      const trialsLeft = left.map(({ trialId, state: s, attempts, memoryAboveBytes }) => {
        const last = attempts.at(-1);
        const above = memoryAboveBytes === null ? '' : `, above ${memoryAboveBytes} bytes`;
        return `${sweepId} (${status})/${trialId} ${s}, attempt ${attempts.length} on ${last?.trainerId ?? 'none'}${above}`;
      });
      return waits === '' ? trialsLeft : [`${sweepId} waits: ${waits}`, ...trialsLeft];
    });
    const runs = this.#trainers.flatMap(({ setup, box: { running, waiting } }) =>
      running.length + waiting > 0
        ? [`${setup.trainerId} runs ${running.map(({ id }) => id).join(' ')}, ${waiting} reports wait`]
        : [],
    );
    return `no end: ${[...open, ...runs].slice(0, 8).join('; ') || 'all ended, and no rest'}`;
  }
}
