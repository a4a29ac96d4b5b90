/**
 * One run: two coordinators, some boxes, NATS and two sweeps on virtual time, and the faults of a list. Every decision
 * of the run comes from its seed. A new kind of fault goes into `faults.ts` and into `strike` here; what must hold
 * always is in `recorder.ts`, what must hold at rest in `invariants.ts`.
 */
import { AttemptEndClass } from '../../proto/gen/wattsweep/v1/attempt.js';
import type { StartAttemptRequest } from '../../proto/gen/wattsweep/v1/trainer.js';
import { LEADER_BUCKET, TRAINERS_BUCKET } from '../../proto/subjects.js';
import type { Input, State, SweepSpec } from '../../services/coordinator/core/index.js';
import { sweepSpec } from '../support/core.js';
import { LEASE_TTL_MS, LOST_AFTER_MS, SimCoordinator, TRAINER_TTL_MS } from './coordinator.js';
import { drawFaults, type Fault } from './faults.js';
import { checkRest, isFoldOf } from './invariants.js';
import { SimNats, type SimLink } from './nats.js';
import { randomOf, type Random } from './random.js';
import { Recorder } from './recorder.js';
import { Scheduler } from './scheduler.js';
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
/** Quiet for so long before the state is looked at. */
const REST_MS = 5_000;
const MOST_RESTS = 20;

export async function simulate(seed: number, faults: readonly Fault[] = drawFaults(seed)): Promise<Run> {
  const world = new World(seed, faults);
  return world.run();
}

class World {
  readonly #scheduler = new Scheduler();
  readonly #recorder = new Recorder();
  readonly #random: Random;
  readonly #nats: SimNats;
  readonly #trainers: readonly SimTrainer[];
  readonly #coordinators: readonly SimCoordinator[];
  readonly #specs: ReadonlyMap<string, SweepSpec>;
  readonly #submitted = new Set<string>();
  readonly #toResume = new Set<string>();
  readonly #faultsEndMs: number;
  #quietSinceMs = Infinity;
  #rests = 0;
  #finished = false;

  constructor(
    readonly seed: number,
    readonly faults: readonly Fault[],
  ) {
    const random = (this.#random = randomOf(seed, 'world'));
    const recorder = this.#recorder;
    const nats = (this.#nats = new SimNats(this.#scheduler, randomOf(seed, 'nats'), {
      [LEADER_BUCKET]: LEASE_TTL_MS,
      [TRAINERS_BUCKET]: TRAINER_TTL_MS,
    }));
    nats.onStored = (stream, message) => recorder.stored(stream, message);
    nats.onPurged = (stream, seq) => recorder.purged(stream, seq);
    this.#trainers = Array.from({ length: random.whole(1, 4) }, (_, i) => {
      const setup = {
        trainerId: `box${i}`,
        slots: random.whole(1, 3),
        epochMs: random.between(300, 4_000),
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
    this.#specs = drawSweeps(random);
    this.#faultsEndMs = Math.max(0, ...faults.map(({ at, lastsMs }) => at + lastsMs));
  }

  async run(): Promise<Run> {
    const { seed, faults } = this;
    for (const fault of faults) this.#scheduler.after(fault.at, () => this.#strike(fault));
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

  /** The people who use it: submit until it is taken, resume what was paused, and see whether all is done. */
  #look(): void {
    const at = this.#leader?.now() ?? 0;
    for (const [sweepId, spec] of this.#specs) {
      if (this.#submitted.has(sweepId)) continue;
      const submit: Input = { type: 'submit', sweepId, spec, source: '', requestId: sweepId, at };
      this.#offer(submit, () => this.#submitted.add(sweepId));
    }
    for (const sweepId of this.#toResume)
      this.#offer({ type: 'control', sweepId, control: 'resume', at }, () => this.#toResume.delete(sweepId));
    if (!this.#isQuiet()) this.#quietSinceMs = Infinity;
    else this.#quietSinceMs = Math.min(this.#quietSinceMs, this.#scheduler.now);
    const term = this.#leader?.term;
    if (this.#scheduler.now - this.#quietSinceMs >= REST_MS)
      term?.acknowledged().then(
        () => this.#rest(term.state),
        () => undefined,
      );
    this.#scheduler.after(LOOK_EVERY_MS, () => this.#look());
  }

  /** The state may be ahead of the ledger, by what is on its way there: not for long. */
  #rest(state: State): void {
    this.#rests += 1;
    const { events } = this.#recorder;
    if (this.#finished || (this.#rests < MOST_RESTS && !isFoldOf(state, events))) return;
    checkRest(state, this.#recorder, this.#trainers);
    this.#finished = true;
  }

  #offer(input: Input, taken: () => void = () => undefined): void {
    this.#leader?.term?.offer([input]).then(taken, () => undefined);
  }

  #isQuiet(): boolean {
    const sweeps = this.#leader?.term?.state.sweeps;
    return (
      sweeps !== undefined &&
      this.#scheduler.now > this.#faultsEndMs &&
      sweeps.size === this.#specs.size &&
      this.#toResume.size === 0 &&
      [...sweeps.values()].every(({ endedAt }) => endedAt !== null) &&
      this.#trainers.every(({ running, waiting }) => running.length === 0 && waiting === 0)
    );
  }

  #standstill(): string {
    const state = this.#leader?.term?.state;
    if (state === undefined) return 'nobody leads';
    const open = [...state.sweeps.values()].flatMap(({ sweepId, trials, status }) =>
      [...trials.values()]
        .filter(({ endedAt }) => endedAt === null)
        .map(({ trialId, state: s, attempts }) => {
          const last = attempts.at(-1);
          return `${sweepId} (${status})/${trialId} ${s}, attempt ${attempts.length} on ${last?.trainerId ?? 'none'}`;
        }),
    );
    const runs = this.#trainers.flatMap(({ setup, running, waiting }) =>
      running.length + waiting > 0
        ? [`${setup.trainerId} runs ${running.map(({ id }) => id).join(' ')}, ${waiting} reports wait`]
        : [],
    );
    return `no end: ${[...open, ...runs].slice(0, 8).join('; ') || 'all ended, and no rest'}`;
  }

  #strike(fault: Fault): void {
    const { kind, lastsMs, target, jumpMs } = fault;
    const coordinator = this.#coordinators[target % this.#coordinators.length]!;
    const trainer = this.#trainers[target % this.#trainers.length]!;
    const sweepId = [...this.#specs.keys()][target % this.#specs.size]!;
    const lift = (undo: () => void): void => this.#scheduler.after(lastsMs, undo);
    switch (kind) {
      case 'coordinator_crash':
        coordinator.kill();
        lift(() => coordinator.start());
        return;
      case 'coordinator_freeze': {
        const { process } = coordinator;
        process?.freeze();
        lift(() => process?.thaw());
        return;
      }
      case 'lease_lost':
        this.#nats.remove(LEADER_BUCKET, 'coordinator', null);
        return;
      case 'coordinator_cut_off':
        coordinator.cutOff = true;
        coordinator.link?.cut(true);
        lift(() => {
          coordinator.cutOff = false;
          coordinator.link?.cut(false);
        });
        return;
      case 'trainer_cut_off':
        trainer.cutOff = true;
        trainer.link?.cut(true);
        lift(() => {
          trainer.cutOff = false;
          trainer.link?.cut(false);
        });
        return;
      case 'calls_cut_off':
        coordinator.unreachable.add(trainer);
        lift(() => coordinator.unreachable.delete(trainer));
        return;
      case 'box_lost':
        trainer.crash();
        lift(() => trainer.boot());
        return;
      case 'service_restart':
        trainer.killService();
        lift(() => trainer.boot());
        return;
      case 'trainer_slow':
        trainer.slowness = 12;
        lift(() => (trainer.slowness = 1));
        return;
      case 'nats_restart':
        this.#nats.stop();
        lift(() => this.#nats.start());
        return;
      case 'lost_acknowledgements':
        this.#weather('loseAnswer', 0.5, target, lift);
        return;
      case 'lost_requests':
        this.#weather('loseRequest', 0.5, target, lift);
        return;
      case 'late':
        this.#weather('late', 0.4, target, lift);
        return;
      case 'duplicates':
        this.#nats.duplicates = 0.5;
        lift(() => (this.#nats.duplicates = 0));
        return;
      case 'republish':
        trainer.republish();
        return;
      case 'clock_jump':
        coordinator.clockOffsetMs += jumpMs;
        lift(() => (coordinator.clockOffsetMs -= jumpMs));
        return;
      case 'sweep_paused':
        this.#offer({ type: 'control', sweepId, control: 'pause', at: this.#leader?.now() ?? 0 });
        lift(() => this.#toResume.add(sweepId));
        return;
    }
  }

  #weather(
    what: 'loseAnswer' | 'loseRequest' | 'late',
    chance: number,
    target: number,
    lift: (undo: () => void) => void,
  ): void {
    const links: SimLink[] = [...this.#nats.links];
    for (const { weather } of links) {
      weather[what] = chance;
      weather.publishesOnly = target % 3 > 0;
    }
    lift(() => {
      for (const link of links) link.weather[what] = 0;
    });
  }
}

function drawSweeps(random: Random): ReadonlyMap<string, SweepSpec> {
  const rules: readonly SweepSpec['stopping'][] = [
    { rule: 'asha', firstRung: 1, eta: 2, window: 1, compareWithin: [], brackets: 1 },
    { rule: 'patience', patience: 2, minDelta: 0.01, startEpoch: 1 },
    { rule: 'none' },
  ];
  return new Map(
    Array.from({ length: random.whole(1, 2) }, (_, i) => {
      const values = Array.from({ length: random.whole(3, 14) }, (_value, x) => x);
      const spec = sweepSpec({
        name: `sweep${i}`,
        maxEpochs: random.whole(2, 6),
        sweep: [{ name: 'x', domain: { kind: 'list', values } }],
        stopping: random.pick(rules),
        seed: random.whole(1, 1_000),
        maxParallel: random.chance(0.3) ? random.whole(1, 3) : null,
      });
      return [`sweep${i}`, spec] as const;
    }),
  );
}

/** A curve that rises, and now and then is no number any more. */
function objectiveOf(seed: number, { key, parametersJson }: StartAttemptRequest, epoch: number): number {
  const trial = randomOf(seed, `${key?.sweepId} ${parametersJson}`);
  const best = trial.between(0.5, 0.95);
  const divergesAt = trial.chance(0.1) ? trial.whole(1, 4) : Infinity;
  const noise = randomOf(seed, `${key?.sweepId} ${parametersJson} ${epoch}`).between(-0.02, 0.02);
  return epoch >= divergesAt ? NaN : best * (1 - Math.exp(-0.7 * epoch)) + noise;
}

function mishapOf(seed: number, { key }: StartAttemptRequest): AttemptEndClass | null {
  const luck = randomOf(seed, `mishap ${key?.sweepId} ${key?.trialId} ${key?.attempt}`).next();
  if (luck < 0.08) return AttemptEndClass.CRASHED;
  return luck < 0.1 ? AttemptEndClass.OUT_OF_MEMORY : null;
}
