/**
 * The machine under a trainer: its disk (attempts and their spools), its slots, and attempts that train in virtual time
 * and draw power, whether or not the service that watches them is up.
 */
import { AttemptEndClass, type AttemptKey } from '../../proto/gen/wattsweep/v1/attempt.js';
import type { Report } from '../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, type StartAttemptRequest } from '../../proto/gen/wattsweep/v1/trainer.js';
import { randomOf, type Random } from './random.js';
import { Process, type Scheduler } from './scheduler.js';

export interface SimAttempt {
  readonly id: string;
  readonly key: AttemptKey;
  readonly ledgerId: string;
  readonly request: StartAttemptRequest;
  /** Milliseconds since the run began. */
  readonly begunAt: number;
  /** On the disk. */
  readonly spool: Report[];
  acknowledged: number;
  epoch: number;
  phase: AttemptPhase;
  /** Epoch that its checkpoint holds. */
  readonly resumedEpoch: number;
  /** When its child began to compute, milliseconds of virtual time; null before. */
  computesSince: number | null;
  endedAt: number | null;
}

export interface BoxSetup {
  readonly trainerId: string;
  readonly slots: number;
  readonly epochMs: number;
  /** What its slots are made of. */
  readonly device: {
    readonly kind: 'gpu' | 'cpu';
    readonly model: string;
    readonly memoryBytes: number | undefined;
  };
  /** What an attempt draws; null on a box without a meter. */
  readonly watts: number | null;
  /** An attempt ends by itself when its service stays away for so long. */
  readonly lostAfterMs: number;
  /** The objective after an epoch; the same for every attempt of the trial. */
  readonly objective: (request: StartAttemptRequest, epoch: number) => number;
  /** What goes wrong in an attempt by itself; null for nothing. */
  readonly mishap: (request: StartAttemptRequest) => AttemptEndClass | null;
}

export const slotsOf = ({ slotId, furtherSlotIds }: StartAttemptRequest): readonly string[] => [
  slotId,
  ...furtherSlotIds,
];

/** Names the folder of a trial's checkpoints. */
const trialText = (ledgerId: string, { key, trialTermId }: StartAttemptRequest): string =>
  `${ledgerId}/${key!.sweepId}/${key!.trialId}.${trialTermId}`;

export class SimBox {
  readonly attempts = new Map<string, SimAttempt>();
  readonly holders = new Map<string, SimAttempt | null>();
  readonly #random: Random;
  #process: Process;
  /** Since when no service watches; null while one does. */
  unwatchedSince: number | null = 0;
  slowness = 1;
  /** Whatever begins here fails at once. */
  broken = false;
  /** Told of each line of a spool. */
  onWritten: (attempt: SimAttempt, line: number) => void = () => undefined;

  constructor(
    readonly setup: BoxSetup,
    private readonly scheduler: Scheduler,
    seed: number,
  ) {
    this.#random = randomOf(seed, setup.trainerId);
    this.#process = new Process(scheduler);
    for (let i = 0; i < setup.slots; i += 1) this.holders.set(`slot${i}`, null);
  }

  get isUp(): boolean {
    return this.#process.alive;
  }

  get running(): SimAttempt[] {
    return [...new Set([...this.holders.values()].filter((held) => held !== null))];
  }

  /** Reports that NATS has not acknowledged. */
  get waiting(): number {
    return [...this.attempts.values()].reduce((sum, a) => sum + a.spool.length - a.acknowledged, 0);
  }

  /** Down with everything that runs on it. */
  crash(): void {
    const { now } = this.scheduler;
    this.#process.kill();
    for (const attempt of this.running) attempt.endedAt = now;
  }

  /** Up again; attempts that ran are over. */
  boot(): void {
    if (this.isUp) return;
    this.#process = new Process(this.scheduler);
    for (const attempt of this.running)
      this.#end(attempt, AttemptEndClass.PREEMPTED, 'The box was restarted while the attempt ran.');
  }

  /** Its disk is another one now. The box is down. */
  wipe(): void {
    this.attempts.clear();
    for (const slotId of this.holders.keys()) this.holders.set(slotId, null);
  }

  begin(id: string, ledgerId: string, request: StartAttemptRequest): void {
    const attempt: SimAttempt = {
      id,
      key: request.key!,
      ledgerId,
      request,
      begunAt: this.scheduler.now,
      spool: [],
      acknowledged: 0,
      epoch: 0,
      phase: AttemptPhase.STARTING,
      resumedEpoch: this.#checkpoint(ledgerId, request),
      computesSince: null,
      endedAt: null,
    };
    this.attempts.set(id, attempt);
    for (const slotId of slotsOf(request)) this.holders.set(slotId, attempt);
    this.#run(attempt);
  }

  /** Asks a running attempt to checkpoint and end, which takes a while. */
  stop(attempt: SimAttempt, endClass = AttemptEndClass.STOPPED): void {
    if (attempt.phase === AttemptPhase.STOPPING || attempt.phase === AttemptPhase.ENDED) return;
    attempt.phase = AttemptPhase.STOPPING;
    this.#process.after(this.#random.between(50, 2_000), () => this.#end(attempt, endClass, ''));
  }

  /** Epoch of the newest checkpoint on this box that is not beyond the one asked for. */
  #checkpoint(ledgerId: string, request: StartAttemptRequest): number {
    const wanted = Number(request.resumeFrom.split('/')[1] ?? 0);
    const trial = trialText(ledgerId, request);
    const earlier = [...this.attempts.values()].filter((a) => trialText(a.ledgerId, a.request) === trial);
    return Math.max(
      0,
      ...earlier.flatMap((a) => (a.epoch > 0 && wanted > 0 ? [Math.min(a.epoch, wanted)] : [])),
    );
  }

  #run(attempt: SimAttempt): void {
    const process = this.#process;
    const { key, request } = attempt;
    const mishap = this.setup.mishap(request);
    const mishapAt = mishap === null ? Infinity : this.#random.whole(0, request.maxEpochs);
    attempt.epoch = attempt.resumedEpoch;
    const step = (): void => {
      if (attempt.phase === AttemptPhase.STOPPING || attempt.phase === AttemptPhase.ENDED) return;
      if (this.#isAbandoned()) {
        this.#end(attempt, AttemptEndClass.PREEMPTED, 'The service did not come back.');
        return;
      }
      if (this.broken) {
        this.#end(attempt, AttemptEndClass.CRASHED, 'The box is broken.');
        return;
      }
      if (mishap !== null && attempt.epoch >= mishapAt) {
        this.#end(attempt, mishap, 'as simulated');
        return;
      }
      if (attempt.epoch >= request.maxEpochs) {
        this.#end(attempt, AttemptEndClass.COMPLETED, '');
        return;
      }
      const epochMs = this.setup.epochMs * this.slowness * this.#random.between(0.6, 1.4);
      process.after(epochMs, () => {
        if (attempt.phase !== AttemptPhase.RUNNING) return;
        attempt.epoch += 1;
        this.#write(attempt, { $case: 'epoch', value: this.#epoch(attempt, epochMs) });
        step();
      });
    };
    process.after(this.#random.between(100, 2_000), () => {
      if (attempt.phase !== AttemptPhase.STARTING) return;
      attempt.phase = AttemptPhase.RUNNING;
      attempt.computesSince = this.scheduler.now;
      this.#write(attempt, {
        $case: 'started',
        value: {
          key,
          deviceKind: this.setup.device.kind,
          deviceModel: this.setup.device.model,
          engine: {},
          trainableParameters: undefined,
          stepsPerEpoch: undefined,
          resumedEpoch: attempt.resumedEpoch,
          atUnixMs: 0,
        },
      });
      step();
    });
  }

  #isAbandoned(): boolean {
    const since = this.unwatchedSince;
    return since !== null && this.scheduler.now - since > this.setup.lostAfterMs;
  }

  #epoch(
    { key, epoch, request }: SimAttempt,
    epochMs: number,
  ): Extract<Report['fact'], { $case: 'epoch' }>['value'] {
    return {
      key,
      epoch,
      step: epoch,
      metrics: { [request.objectiveMetric]: this.setup.objective(request, epoch) },
      trainSeconds: epochMs / 1_000,
      evaluationSeconds: undefined,
      dataWaitSeconds: undefined,
      samplesPerSecond: undefined,
      trainEnergy: this.#energy(epochMs),
      evaluationEnergy: this.#energy(0),
      gpuUtilization: undefined,
      atUnixMs: 0,
    };
  }

  #end(attempt: SimAttempt, endClass: AttemptEndClass, message: string): void {
    if (attempt.phase === AttemptPhase.ENDED) return;
    attempt.phase = AttemptPhase.ENDED;
    attempt.endedAt ??= this.scheduler.now;
    for (const slotId of slotsOf(attempt.request))
      if (this.holders.get(slotId) === attempt) this.holders.set(slotId, null);
    const { key, computesSince, endedAt } = attempt;
    const computedMs = computesSince === null ? 0 : endedAt - computesSince;
    const energy = this.#energy(computedMs);
    const facts = { class: endClass, code: '', message, seconds: computedMs / 1_000, energy };
    this.#write(attempt, { $case: 'ended', value: { key, ...facts, atUnixMs: 0 } });
  }

  #energy(ms: number): NonNullable<Extract<Report['fact'], { $case: 'ended' }>['value']['energy']> {
    const { watts } = this.setup;
    return watts === null
      ? { joules: undefined, meanWatts: undefined, method: '', absentReason: 'simulated' }
      : { joules: (watts * ms) / 1_000, meanWatts: watts, method: 'simulated', absentReason: '' };
  }

  #write(attempt: SimAttempt, fact: NonNullable<Report['fact']>): void {
    attempt.spool.push({ spoolLine: attempt.spool.length + 1, fact });
    this.onWritten(attempt, attempt.spool.length - 1);
  }
}
