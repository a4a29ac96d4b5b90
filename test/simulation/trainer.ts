/**
 * A box without training: what a trainer keeps on its disk (fence, attempts, spools), a service that may be killed
 * while its attempts go on, and attempts whose epochs take virtual time. Its answers and reports are the real ones.
 */
import { WattsweepError, type ErrorCode } from '../../proto/errors.js';
import { AttemptEndClass, type AttemptKey, type Fence } from '../../proto/gen/wattsweep/v1/attempt.js';
import { ReportBatch, type Report } from '../../proto/gen/wattsweep/v1/facts.js';
import {
  AttemptPhase,
  TrainerRecord,
  type ListAttemptsResponse,
  type StartAttemptRequest,
  type StopAttemptRequest,
} from '../../proto/gen/wattsweep/v1/trainer.js';
import { reportsSubject, TRAINERS_BUCKET } from '../../proto/subjects.js';
import { SimLink, type SimNats } from './nats.js';
import { randomOf, type Random } from './random.js';
import { Process } from './scheduler.js';

export interface SimAttempt {
  readonly id: string;
  readonly key: AttemptKey;
  readonly ledgerId: string;
  readonly request: StartAttemptRequest;
  /** On the disk. */
  readonly spool: Report[];
  acknowledged: number;
  epoch: number;
  phase: AttemptPhase;
  /** Epoch that its checkpoint holds. */
  readonly resumedEpoch: number;
}

export interface TrainerSetup {
  readonly trainerId: string;
  readonly slots: number;
  readonly epochMs: number;
  readonly ttlMs: number;
  readonly lostAfterMs: number;
  /** The objective after an epoch; the same for every attempt of the trial. */
  readonly objective: (request: StartAttemptRequest, epoch: number) => number;
  /** What goes wrong in an attempt by itself; null for nothing. */
  readonly mishap: (request: StartAttemptRequest) => AttemptEndClass | null;
}

/** What the run checks of commands at the moment when they are obeyed. */
export interface Witness {
  started(trainerId: string, key: AttemptKey): void;
  stopping(trainerId: string, key: AttemptKey): void;
}

const NO_ENERGY = { joules: undefined, meanWatts: undefined, method: '', absentReason: 'simulated' };
const REMEMBERED = 6;
const MAX_REPORTS = 200;

export const keyText = (key: AttemptKey): string => `${key.sweepId}/${key.trialId}#${key.attempt}`;

export class SimTrainer {
  readonly attempts = new Map<string, SimAttempt>();
  readonly #terms = new Map<string, number>();
  readonly #holders = new Map<string, SimAttempt | null>();
  readonly #random: Random;
  /** Ended attempts of which the service still tells when asked. */
  #forgotten = new Set<string>();
  #box: Process;
  #service: Process | null = null;
  #link: SimLink | null = null;
  #instance = 0;
  #serviceDownSince = 0;
  #queue: { readonly attempt: SimAttempt; readonly line: number }[] = [];
  #publishing = false;
  #republished = 0;
  slowness = 1;
  /** Not reached by NATS; survives a restart of the service. */
  cutOff = false;

  constructor(
    readonly setup: TrainerSetup,
    private readonly nats: SimNats,
    private readonly seed: number,
    private readonly witness: Witness,
  ) {
    this.#random = randomOf(seed, setup.trainerId);
    this.#box = new Process(nats.scheduler);
    for (let i = 0; i < setup.slots; i += 1) this.#holders.set(`slot${i}`, null);
  }

  get address(): string {
    return `${this.setup.trainerId}:1`;
  }

  get serving(): boolean {
    return this.#service !== null;
  }

  get link(): SimLink | null {
    return this.#link;
  }

  get running(): SimAttempt[] {
    return [...this.#holders.values()].filter((held) => held !== null);
  }

  /** Reports that NATS has not acknowledged. */
  get waiting(): number {
    return [...this.attempts.values()].reduce((sum, a) => sum + a.spool.length - a.acknowledged, 0);
  }

  startService(): void {
    if (this.#service !== null) return;
    this.#service = new Process(this.nats.scheduler);
    this.#instance += 1;
    this.#link = new SimLink(
      this.nats,
      this.#service,
      randomOf(this.seed, `${this.address}${this.#instance}`),
    );
    this.#link.cut(this.cutOff);
    this.#queue = [];
    this.#publishing = false;
    this.#forgotten = new Set();
    for (const attempt of this.attempts.values())
      for (let line = attempt.acknowledged; line < attempt.spool.length; line += 1)
        this.#queue.push({ attempt, line });
    this.#publish();
    this.#renew(this.#service, this.#link);
  }

  killService(): void {
    this.#service?.kill();
    if (this.#link !== null) this.nats.links.delete(this.#link);
    this.#service = null;
    this.#link = null;
    this.#serviceDownSince = this.nats.scheduler.now;
  }

  /** The box goes down with everything that runs on it. */
  crash(): void {
    this.killService();
    this.#box.kill();
  }

  /** And comes back: attempts that ran are over. */
  boot(): void {
    if (this.#box.alive) {
      this.startService();
      return;
    }
    this.#box = new Process(this.nats.scheduler);
    for (const attempt of this.running)
      this.#end(attempt, AttemptEndClass.PREEMPTED, 'The box was restarted while the attempt ran.');
    this.startService();
  }

  /** Publishes once more what NATS had acknowledged, as after a lost acknowledgement long ago. */
  republish(): void {
    if (this.#service === null) return;
    this.#republished += 1;
    for (const attempt of this.attempts.values())
      for (const line of attempt.spool.keys()) this.#queue.push({ attempt, line });
    this.#publish();
  }

  /** @throws as the real service */
  start(request: StartAttemptRequest): { created: boolean } {
    const ledgerId = this.#admit(request.fence);
    const key = request.key!;
    const id = `${ledgerId}/${keyText(key)}`;
    if (this.attempts.has(id)) return { created: false };
    if (!this.#holders.has(request.slotId)) throw new WattsweepError('SLOT_NOT_FOUND', request.slotId);
    if (this.#holders.get(request.slotId) !== null) throw new WattsweepError('SLOT_BUSY', request.slotId);
    this.witness.started(this.setup.trainerId, key);
    const attempt: SimAttempt = {
      id,
      key,
      ledgerId,
      request,
      spool: [],
      acknowledged: 0,
      epoch: 0,
      phase: AttemptPhase.STARTING,
      resumedEpoch: this.#checkpoint(request),
    };
    this.attempts.set(id, attempt);
    this.#holders.set(request.slotId, attempt);
    this.#run(attempt);
    return { created: true };
  }

  stop(request: StopAttemptRequest): { wasRunning: boolean } {
    const ledgerId = this.#admit(request.fence);
    const key = request.key!;
    const attempt = this.attempts.get(`${ledgerId}/${keyText(key)}`);
    if (attempt === undefined || attempt.phase === AttemptPhase.ENDED) return { wasRunning: false };
    this.witness.stopping(this.setup.trainerId, key);
    if (attempt.phase !== AttemptPhase.STOPPING) {
      attempt.phase = AttemptPhase.STOPPING;
      const box = this.#box;
      box.after(this.#random.between(50, 2_000), () => this.#end(attempt, AttemptEndClass.STOPPED, ''));
    }
    return { wasRunning: true };
  }

  list(fence: Fence | undefined): ListAttemptsResponse {
    this.#admit(fence);
    return {
      attempts: [...this.attempts.values()]
        .filter(({ id }) => !this.#forgotten.has(id))
        .map(({ key, request, phase, epoch, ledgerId }) => ({
          key,
          slotId: request.slotId,
          furtherSlotIds: request.furtherSlotIds,
          phase,
          epoch,
          ledgerId,
        })),
    };
  }

  #admit(fence: Fence | undefined): string {
    if (fence === undefined) throw new WattsweepError('REQUEST_INVALID' satisfies ErrorCode, 'no fence');
    const known = this.#terms.get(fence.ledgerId) ?? 0;
    if (fence.term < known) throw new WattsweepError('STALE_TERM', `term ${known} was seen`);
    this.#terms.set(fence.ledgerId, fence.term);
    return fence.ledgerId;
  }

  /** Epoch of the newest checkpoint on this box that is not beyond the one asked for. */
  #checkpoint({ key, resumeFrom }: StartAttemptRequest): number {
    const wanted = Number(resumeFrom.split('/')[1] ?? 0);
    const earlier = [...this.attempts.values()].filter(
      (a) => a.key.sweepId === key!.sweepId && a.key.trialId === key!.trialId,
    );
    return Math.max(
      0,
      ...earlier.flatMap((a) => (a.epoch > 0 && wanted > 0 ? [Math.min(a.epoch, wanted)] : [])),
    );
  }

  #run(attempt: SimAttempt): void {
    const box = this.#box;
    const { key, request } = attempt;
    const mishap = this.setup.mishap(request);
    const mishapAt = mishap === null ? Infinity : this.#random.whole(0, request.maxEpochs);
    attempt.epoch = attempt.resumedEpoch;
    const step = (): void => {
      if (attempt.phase === AttemptPhase.STOPPING || attempt.phase === AttemptPhase.ENDED) return;
      if (!this.serving && this.nats.scheduler.now - this.#serviceDownSince > this.setup.lostAfterMs) {
        this.#end(attempt, AttemptEndClass.PREEMPTED, 'The service did not come back.');
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
      box.after(this.setup.epochMs * this.slowness * this.#random.between(0.6, 1.4), () => {
        if (attempt.phase !== AttemptPhase.RUNNING) return;
        attempt.epoch += 1;
        this.#write(attempt, { $case: 'epoch', value: this.#epoch(attempt) });
        step();
      });
    };
    box.after(this.#random.between(100, 2_000), () => {
      if (attempt.phase !== AttemptPhase.STARTING) return;
      attempt.phase = AttemptPhase.RUNNING;
      this.#write(attempt, {
        $case: 'started',
        value: {
          key,
          deviceKind: 'cpu',
          deviceModel: 'simulated',
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

  #epoch({ key, epoch, request }: SimAttempt): Extract<Report['fact'], { $case: 'epoch' }>['value'] {
    return {
      key,
      epoch,
      step: epoch,
      metrics: { [request.objectiveMetric]: this.setup.objective(request, epoch) },
      trainSeconds: 1,
      evaluationSeconds: undefined,
      dataWaitSeconds: undefined,
      samplesPerSecond: undefined,
      trainEnergy: NO_ENERGY,
      evaluationEnergy: NO_ENERGY,
      gpuUtilization: undefined,
      atUnixMs: 0,
    };
  }

  #end(attempt: SimAttempt, endClass: AttemptEndClass, message: string): void {
    if (attempt.phase === AttemptPhase.ENDED) return;
    attempt.phase = AttemptPhase.ENDED;
    if (this.#holders.get(attempt.request.slotId) === attempt)
      this.#holders.set(attempt.request.slotId, null);
    const { key } = attempt;
    this.#write(attempt, {
      $case: 'ended',
      value: { key, class: endClass, code: '', message, seconds: 1, energy: NO_ENERGY, atUnixMs: 0 },
    });
    const done = [...this.attempts.values()].filter(
      (a) => a.phase === AttemptPhase.ENDED && a.acknowledged === a.spool.length,
    );
    for (const old of done.slice(0, Math.max(0, done.length - REMEMBERED))) this.#forgotten.add(old.id);
  }

  #write(attempt: SimAttempt, fact: NonNullable<Report['fact']>): void {
    attempt.spool.push({ spoolLine: attempt.spool.length + 1, fact });
    if (this.#service === null) return;
    this.#queue.push({ attempt, line: attempt.spool.length - 1 });
    this.#publish();
  }

  #publish(): void {
    const service = this.#service;
    const link = this.#link;
    if (service === null || link === null || this.#publishing) return;
    this.#publishing = true;
    void this.#publishAll(service, link);
  }

  async #publishAll(service: Process, link: SimLink): Promise<void> {
    const { trainerId } = this.setup;
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#service === service) {
      const batch = this.#queue.slice(0, MAX_REPORTS);
      const reports = batch.map(({ attempt, line }) => attempt.spool[line]!);
      const data = ReportBatch.encode({ trainerId, reports }).finish();
      const messageId = `${this.#republished} ${batch.map(({ attempt, line }) => `${attempt.id}:${line}`).join('\n')}`;
      for (let retryMs = 100; ; retryMs = Math.min(2_000, 2 * retryMs)) {
        try {
          await link.publish(reportsSubject(trainerId), data, { messageId });
          break;
        } catch {
          await service.clock.sleep(retryMs);
        }
      }
      this.#queue.splice(0, batch.length);
      for (const { attempt, line } of batch) attempt.acknowledged = Math.max(attempt.acknowledged, line + 1);
    }
    this.#publishing = false;
  }

  #renew(service: Process, link: SimLink): void {
    const { trainerId, ttlMs } = this.setup;
    const record = TrainerRecord.toJSON({
      trainerId,
      address: this.address,
      slots: [...this.#holders.keys()].map((slotId) => ({
        slotId,
        deviceKind: 'cpu',
        deviceModel: 'simulated',
        deviceUuids: [],
        memoryBytes: undefined,
        threads: 1,
      })),
      recipes: ['resnet-cifar10'],
      labels: {},
      software: {},
      powerMethod: '',
      draining: false,
      instanceId: `${trainerId}-${this.#instance}`,
      startedAtUnixMs: 1,
    });
    const value = Buffer.from(JSON.stringify(record));
    const renew = (): void => {
      link.request(() => this.nats.put(TRAINERS_BUCKET, trainerId, value, null)).catch(() => undefined);
      service.after(ttlMs / 3, renew);
    };
    renew();
  }
}
