/**
 * The service on a box: it may be killed while the box's attempts go on. It keeps the fence, obeys commands, publishes
 * what the spools hold and renews its record. Its answers and reports are the real ones.
 */
import { StaleTermError, WattsweepError } from '../../proto/errors.js';
import { AttemptEndClass, type AttemptKey, type Fence } from '../../proto/gen/wattsweep/v1/attempt.js';
import { ReportBatch } from '../../proto/gen/wattsweep/v1/facts.js';
import {
  AttemptPhase,
  TrainerRecord,
  type ListAttemptsResponse,
  type StartAttemptRequest,
  type StopAttemptRequest,
} from '../../proto/gen/wattsweep/v1/trainer.js';
import { reportsSubject, TRAINERS_BUCKET } from '../../proto/subjects.js';
import { SimBox, slotsOf, type BoxSetup, type SimAttempt } from './box.js';
import { SimLink } from './link.js';
import type { SimNats } from './nats.js';
import { randomOf } from './random.js';
import { Process } from './scheduler.js';

/** What the run checks of commands at the moment when they are obeyed. */
export interface Witness {
  started(trainerId: string, key: AttemptKey): void;
  stopping(trainerId: string, key: AttemptKey): void;
}

export interface TrainerSetup extends BoxSetup {
  readonly ttlMs: number;
}

const REMEMBERED = 6;
const MAX_REPORTS = 200;

/** As the trainer names it, within one ledger. */
export const keyText = ({ sweepId, trialId, attempt, termId }: AttemptKey): string =>
  `${sweepId}/${trialId}#${attempt}${termId === '' ? '' : `.${termId}`}`;

export class SimTrainer {
  readonly box: SimBox;
  readonly #terms = new Map<string, { readonly term: number; readonly termId: string }>();
  /** Ended attempts of which the service tells no longer when asked. */
  #forgotten = new Set<string>();
  #service: Process | null = null;
  #link: SimLink | null = null;
  #instance = 0;
  #draining = false;
  #isGone = false;
  #queue: { readonly attempt: SimAttempt; readonly line: number }[] = [];
  #publishing = false;
  #republished = 0;
  /** Not reached by NATS; survives a restart of the service. */
  cutOff = false;

  constructor(
    readonly setup: TrainerSetup,
    private readonly nats: SimNats,
    private readonly seed: number,
    private readonly witness: Witness,
  ) {
    this.box = new SimBox(setup, nats.scheduler, seed);
    this.box.onWritten = (attempt, line) => {
      if (attempt.phase === AttemptPhase.ENDED) this.#forgetOld();
      if (this.#service === null) return;
      this.#queue.push({ attempt, line });
      this.#publish();
    };
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

  get isGone(): boolean {
    return this.#isGone;
  }

  get draining(): boolean {
    return this.#draining;
  }

  startService(): void {
    if (this.#service !== null || this.#isGone) return;
    const { box } = this;
    this.#service = new Process(this.nats.scheduler);
    this.#instance += 1;
    this.#link = new SimLink(
      this.nats,
      this.#service,
      randomOf(this.seed, `${this.address}${this.#instance}`),
    );
    this.#link.cut(this.cutOff);
    this.#draining = false;
    this.#queue = [];
    this.#publishing = false;
    this.#forgotten = new Set();
    box.unwatchedSince = null;
    for (const attempt of box.attempts.values())
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
    this.box.unwatchedSince ??= this.nats.scheduler.now;
  }

  /** The box goes down with everything that runs on it. */
  crash(): void {
    this.killService();
    this.box.crash();
  }

  /** Crashes, and nobody ever sees it again. */
  vanish(): void {
    this.crash();
    this.#isGone = true;
  }

  /** And comes back, or only its service does. */
  boot(): void {
    if (this.#isGone) return;
    this.box.boot();
    this.startService();
  }

  /** Crashes, and comes back without its disk. */
  wipe(): void {
    this.crash();
    this.box.wipe();
    this.#terms.clear();
  }

  /** Takes nothing new until the service starts anew; with `stopRunning`, what runs is given back. */
  drain(stopRunning: boolean): void {
    if (this.#service === null) return;
    this.#draining = true;
    if (this.#link !== null) this.#putRecord(this.#link);
    if (stopRunning)
      for (const attempt of this.box.running) this.box.stop(attempt, AttemptEndClass.PREEMPTED);
  }

  /** Publishes once more what NATS had acknowledged, as after a lost acknowledgement long ago. */
  republish(): void {
    if (this.#service === null) return;
    this.#republished += 1;
    for (const attempt of this.box.attempts.values())
      for (const line of attempt.spool.keys()) this.#queue.push({ attempt, line });
    this.#publish();
  }

  /** @throws as the real service */
  start(request: StartAttemptRequest): { created: boolean } {
    const { attempts, holders } = this.box;
    const ledgerId = this.#admit(request.fence);
    const key = request.key!;
    const id = `${ledgerId}/${keyText(key)}`;
    if (attempts.has(id)) return { created: false };
    if (this.#draining) throw new WattsweepError('DRAINING', this.setup.trainerId);
    for (const slotId of slotsOf(request)) {
      if (!holders.has(slotId)) throw new WattsweepError('SLOT_NOT_FOUND', slotId);
      if (holders.get(slotId) !== null) throw new WattsweepError('SLOT_BUSY', slotId);
    }
    this.witness.started(this.setup.trainerId, key);
    this.box.begin(id, ledgerId, request);
    return { created: true };
  }

  stop(request: StopAttemptRequest): { wasRunning: boolean } {
    const ledgerId = this.#admit(request.fence);
    const key = request.key!;
    const attempt = this.box.attempts.get(`${ledgerId}/${keyText(key)}`);
    if (attempt === undefined || attempt.phase === AttemptPhase.ENDED) return { wasRunning: false };
    this.witness.stopping(this.setup.trainerId, key);
    this.box.stop(attempt);
    return { wasRunning: true };
  }

  list(fence: Fence | undefined): ListAttemptsResponse {
    this.#admit(fence);
    return {
      attempts: [...this.box.attempts.values()]
        .filter(({ id }) => !this.#forgotten.has(id))
        .map(({ key, request, phase, epoch, ledgerId, acknowledged, spool }) => ({
          key,
          endAcknowledged: phase === AttemptPhase.ENDED && acknowledged === spool.length,
          slotId: request.slotId,
          furtherSlotIds: request.furtherSlotIds,
          phase,
          epoch,
          ledgerId,
        })),
    };
  }

  #admit(fence: Fence | undefined): string {
    if (fence === undefined) throw new WattsweepError('REQUEST_INVALID', 'no fence');
    const { ledgerId, term, termId } = fence;
    const known = this.#terms.get(ledgerId) ?? { term: 0, termId };
    const isOther = term === known.term && termId !== known.termId;
    if (term < known.term || isOther) throw new StaleTermError(`term ${known.term} was seen`, known.term);
    this.#terms.set(ledgerId, { term, termId });
    return ledgerId;
  }

  #forgetOld(): void {
    const done = [...this.box.attempts.values()].filter(
      (a) => a.phase === AttemptPhase.ENDED && a.acknowledged === a.spool.length,
    );
    for (const old of done.slice(0, Math.max(0, done.length - REMEMBERED))) this.#forgotten.add(old.id);
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
    this.#putRecord(link);
    service.after(this.setup.ttlMs / 3, () => this.#renew(service, link));
  }

  #putRecord(link: SimLink): void {
    const { trainerId, device } = this.setup;
    const record = TrainerRecord.toJSON({
      trainerId,
      address: this.address,
      slots: [...this.box.holders.keys()].map((slotId) => ({
        slotId,
        deviceKind: device.kind,
        deviceModel: device.model,
        deviceUuids: [],
        memoryBytes: device.memoryBytes,
        threads: 1,
      })),
      recipes: ['resnet-cifar10'],
      labels: {},
      software: {},
      powerMethod: '',
      draining: this.#draining,
      instanceId: `${trainerId}-${this.#instance}`,
      knowsTermIds: true,
      startedAtUnixMs: 1,
    });
    const value = Buffer.from(JSON.stringify(record));
    link.request(() => this.nats.put(TRAINERS_BUCKET, trainerId, value, null)).catch(() => undefined);
  }
}
