/**
 * All attempts of this box: accepts them, gives them to their slots, follows their spools, publishes their facts, and
 * after a restart takes up every one that an earlier service had accepted.
 *
 * One attempt's life on the disk: record.ts, store.ts. What is said about it: facts.ts. Decisions are the coordinator's.
 */
import type { Logger } from 'pino';
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../../../proto/errors.js';
import type { AttemptKey as WireKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { StepProgress } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, type StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { bootId } from '../host/process.js';
import type { Outgoing } from '../nats/report-publisher.js';
import type { PowerMeter } from '../power/meter.js';
import type { StatedDevices } from '../power/stated.js';
import type { AttemptEndClass, AttemptKey, StopMode } from '../protocol/runner.js';
import type { Slot } from '../slots/slot.js';
import type { CheckpointDemand, CheckpointStore } from '../checkpoints/store.js';
import type { Attempt } from './attempt.js';
import { Arrivals, type ArrivalsOptions } from './arrivals.js';
import { endBefore, type AttemptDevices } from './devices.js';
import { AttemptFollower } from './follower.js';
import { attemptId, type AcceptedAttempt } from './record.js';
import { joinSlots } from '../slots/inventory.js';
import { acceptAttempt, checkedKey, type AcceptOptions } from './request.js';
import { endOrphan } from './orphan.js';
import { findCheckpoint } from './resume.js';
import { AttemptStore } from './store.js';

export interface AttemptsOptions extends AcceptOptions {
  readonly meter: PowerMeter;
  readonly devices: AttemptDevices;
  readonly statedDevices: StatedDevices;
  readonly publish: (outgoing: Outgoing) => void;
  readonly onStep: (attemptId: string, step: StepProgress) => void;
  /** Told of checkpoints, and when no more of an attempt will come. */
  readonly checkpoints: Pick<CheckpointStore, 'offer' | 'ended'>;
  readonly fetchCheckpoint: ArrivalsOptions['fetch'];
  readonly prepareProgram: ArrivalsOptions['prepare'];
  /** An attempt that was accepted but not started is not started later than so long after. */
  readonly lostAfterMs: number;
  readonly log: Logger;
}

/** Ended attempts that a listing still names. */
const REMEMBERED = 500;
const FORGOTTEN_TOGETHER = 100;
const POLL_MS = 20;
const DISK_RETRY_MS = 500;
/** A shorter attempt is run again sooner than the disk is waited for. */
const DURABLE_AFTER_MS = 10_000;

export class Attempts {
  readonly #store: AttemptStore;
  readonly #attempts = new Map<string, Attempt>();
  readonly #followers = new Map<string, AttemptFollower>();
  readonly #byDir = new Map<string, Attempt>();
  readonly #arrivals: Arrivals;
  #slots: readonly Slot[] = [];
  #closed = false;

  constructor(private readonly options: AttemptsOptions) {
    this.#store = new AttemptStore(options.layout);
    const { fetchCheckpoint: fetch, prepareProgram: prepare, log } = options;
    this.#arrivals = new Arrivals({ store: this.#store, fetch, prepare, log });
  }

  /** Every attempt that the box holds or remembers, in the order of their start. */
  list(): readonly Attempt[] {
    return [...this.#attempts.values()];
  }

  get running(): readonly Attempt[] {
    return this.list().filter((attempt) => !attempt.over);
  }

  /** Runs, is held, or its end is not acknowledged: nothing of these may be removed from the disk. */
  get open(): readonly Attempt[] {
    return this.list().filter((attempt) => !attempt.published);
  }

  forget(attemptDir: string): void {
    const attempt = this.#byDir.get(attemptDir);
    if (attempt !== undefined) this.#attempts.delete(attempt.id);
    this.#byDir.delete(attemptDir);
  }

  /** Takes up what earlier services have accepted. `slots` must be linked to the supervisors that live. */
  async recover(slots: readonly Slot[], held: ReadonlyMap<Slot, string | null>): Promise<void> {
    this.#slots = slots;
    const found = this.#store.loadAll();
    const known = new Set(found.filter((attempt) => attempt.published).slice(-REMEMBERED));
    for (const attempt of found) if (!attempt.published || known.has(attempt)) this.#add(attempt);
    for (const [slot, dir] of held) if (dir !== null) this.#hold(slot, this.#byDir.get(dir) ?? null);
    for (const attempt of this.open) {
      this.options.devices.adopt(attempt.accepted);
      await this.#followers.get(attempt.id)?.notify();
      const slot = this.#slotOf(attempt);
      if (slot !== undefined)
        this.options.log.info({ attempt: attempt.name, slot: slot.info.slotId }, 'adopted a running attempt');
      else if (!attempt.over) await this.#takeUp(attempt);
    }
    await this.options.devices.restoreAllBut(this.running);
  }

  /** An attempt that no supervisor runs: start it if it never was, else say how it ended. */
  async #takeUp(attempt: Attempt): Promise<void> {
    const { accepted } = attempt;
    const sameBoot = accepted.bootId === bootId();
    const fresh = Date.now() - accepted.acceptedAtUnixMs < this.options.lostAfterMs;
    const slot = this.#slots.find(({ info, holder }) => info.slotId === accepted.slotId && holder === null);
    if (!attempt.begun && sameBoot && fresh && slot !== undefined) {
      this.#store.mend(attempt);
      this.#hold(slot, attempt);
      this.#launch(slot, attempt);
      return;
    }
    await this.#endOrphan(
      attempt,
      sameBoot && attempt.begun
        ? {
            class: 'crashed',
            code: 'ATTEMPT_CRASHED',
            message: 'The supervisor of the slot was killed while the attempt ran.',
          }
        : {
            class: 'preempted',
            code: '',
            message: sameBoot
              ? 'The service went away before the attempt began.'
              : 'The box was restarted while the attempt ran.',
          },
    );
  }

  #add(attempt: Attempt): void {
    this.#attempts.set(attempt.id, attempt);
    this.#byDir.set(attempt.dir, attempt);
    if (attempt.published) return;
    this.#followers.set(
      attempt.id,
      new AttemptFollower(attempt, attempt.accepted.metered, this.options.meter, this.options.statedDevices, {
        onReport: (report) => {
          const { spoolLine, fact } = report;
          this.options.publish({
            id: `${attempt.id}:${String(spoolLine)}`,
            report,
            onAcknowledged: () => {
              const complete = fact?.$case === 'ended';
              attempt.acknowledge(spoolLine, complete);
              if (complete) this.#followers.delete(attempt.id);
            },
          });
        },
        onStep: (step) => this.options.onStep(attempt.id, step),
        onCheckpoint: (written) => this.options.checkpoints.offer({ ...written, attempt }),
        onGone: () => this.options.devices.leave(attempt),
        onEnd: (endClass) => {
          this.options.devices.end(attempt.accepted);
          this.options.checkpoints.ended(attempt, demandAfter(endClass, attempt.stopMode));
          // Before the end is told: whoever hears of it may use the slot at once.
          for (const slot of this.#slots) if (slot.holder === attempt) slot.holder = null;
          this.#forgetOld();
          this.options.log.info({ attempt: attempt.name }, 'attempt ended');
        },
      }),
    );
  }

  /** The disk remembers the older ones: a repeated start of theirs is still answered rightly. */
  #forgetOld(): void {
    if (this.#attempts.size < REMEMBERED + FORGOTTEN_TOGETHER) return;
    const done = this.list().filter((attempt) => attempt.published);
    for (const attempt of done.slice(0, Math.max(0, done.length - REMEMBERED))) this.forget(attempt.dir);
  }

  /** The slot whose supervisor runs the attempt. */
  #slotOf(attempt: Attempt): Slot | undefined {
    const { slotId } = attempt.accepted;
    return this.#slots.find(({ holder, info }) => holder === attempt && info.slotId === slotId);
  }

  /** Gives the attempt its slot, and those that it holds beside it. */
  #hold(slot: Slot, attempt: Attempt | null): void {
    slot.holder = attempt;
    const further = attempt?.accepted.furtherSlotIds ?? [];
    for (const other of this.#slots) if (further.includes(other.info.slotId)) other.holder ??= attempt;
  }

  /**
   * Accepts an attempt and starts it. Returns false when the box has it already. Throws what the request or the state of
   * the box forbids: PARAMETER_REFUSED, RECIPE_NOT_OFFERED, SLOT_NOT_FOUND, SLOT_BUSY, DRAINING, BOX_UNFIT.
   */
  start(request: StartAttemptRequest, ledgerId: string, draining: boolean): boolean {
    const key = checkedKey(request.key, request.trialTermId);
    const id = attemptId(ledgerId, key);
    if (this.#attempts.has(id) || this.#store.find(ledgerId, key) !== null) return false;
    if (draining) throw new WattsweepError('DRAINING', 'This trainer takes no new attempts.');
    this.#refuseSecond(ledgerId, key);
    const slots = [request.slotId, ...request.furtherSlotIds].map((slotId) => this.#freeSlot(slotId));
    this.#accept(request, ledgerId, key, slots);
    return true;
  }

  /** An attempt that was given up while this box was cut off may still run here: two would share a checkpoint folder. */
  #refuseSecond(ledgerId: string, key: AttemptKey): void {
    const folder = this.options.layout.checkpointDir(ledgerId, key);
    for (const other of this.#attempts.values()) {
      if (other.over || other.accepted.spec.checkpointDir !== folder) continue;
      throw new WattsweepError(
        'SLOT_BUSY',
        `Slot ${other.accepted.slotId} still runs ${other.name}, an earlier attempt of the trial.`,
      );
    }
  }

  #freeSlot(slotId: string): Slot {
    const slot = this.#slots.find(({ info }) => info.slotId === slotId);
    if (slot?.offered !== true)
      throw new WattsweepError('SLOT_NOT_FOUND', `This trainer has no slot '${slotId}'.`);
    const holder = slot.holder ?? this.#formerHolder(slot);
    if (holder !== null) throw new WattsweepError('SLOT_BUSY', `Slot ${slotId} runs ${holder.name}.`);
    this.options.devices.assertFree(slot.info);
    return slot;
  }

  /** An attempt that has the slot's GPU from when the box was divided otherwise: its joules would count twice. */
  #formerHolder({ info }: Slot): Attempt | null {
    const hasItsGpu = (other: Slot): boolean =>
      other.holder?.accepted.spec.device.uuids.some((uuid) => info.device.uuids.includes(uuid)) === true;
    return this.#slots.find((other) => !other.offered && hasItsGpu(other))?.holder ?? null;
  }

  /** Writes the attempt to the disk and launches it under the supervisor of the first slot. */
  #accept(
    request: StartAttemptRequest,
    ledgerId: string,
    key: AttemptKey,
    [slot, ...further]: readonly Slot[],
  ): void {
    if (slot === undefined) throw new WattsweepError('REQUEST_INVALID', 'The command names no slot.');
    const resume = findCheckpoint(this.options.layout, ledgerId, key, request.recipe, request.resumeFrom);
    const joined = joinSlots(
      slot.info,
      further.map(({ info }) => info),
    );
    const accepted = acceptAttempt(request, ledgerId, joined, resume, this.options);
    const attempt = this.#create({ ...accepted, ...this.options.devices.take(joined) });
    this.#add(attempt);
    this.#hold(slot, attempt);
    this.options.log.info(
      { attempt: attempt.name, slot: slot.info.slotId, resume: resume.reason },
      'attempt accepted',
    );
    this.#launch(slot, attempt);
    setTimeout(() => {
      if (attempt.over || this.#closed) return;
      this.#store
        .makeDurable(attempt)
        .catch((error: unknown) => this.options.log.warn({ attempt: attempt.name, err: error }, 'no sync'));
    }, DURABLE_AFTER_MS).unref();
  }

  #create(accepted: AcceptedAttempt): Attempt {
    try {
      return this.#store.create(accepted);
    } catch (error) {
      this.options.devices.end(accepted);
      throw new WattsweepError('BOX_UNFIT', `The attempt cannot be written to the disk: ${String(error)}.`, {
        cause: error,
      });
    }
  }

  #launch(slot: Slot, attempt: Attempt): void {
    const further = this.#slots.filter((other) => other !== slot && other.holder === attempt);
    this.#begin(slot, attempt, further).catch(async (error: unknown) => {
      await this.#endOrphan(attempt, endBefore(error));
    });
  }

  async #begin(slot: Slot, attempt: Attempt, further: readonly Slot[]): Promise<void> {
    const { awaits, needs } = attempt.accepted;
    if (awaits !== undefined || needs !== undefined) {
      const arrival = await this.#arrivals.arrived(attempt);
      if (arrival === 'given_up') return;
      if (arrival !== 'ready') {
        await this.#endOrphan(attempt, arrival);
        return;
      }
    }
    if (this.#closed || attempt.over) return;
    await slot.start(attempt, further, () => this.options.devices.prepare(attempt));
  }

  /** Asks an attempt to end. Returns false when it has ended, or is not known here. */
  async stop(
    wireKey: WireKey | undefined,
    ledgerId: string,
    mode: StopMode,
    reason: string,
  ): Promise<boolean> {
    const id = attemptId(ledgerId, checkedKey(wireKey));
    const attempt = this.#attempts.get(id);
    if (attempt === undefined || attempt.over) return false;
    this.options.log.info({ attempt: attempt.name, mode, reason }, 'attempt is asked to stop');
    await this.#stop(attempt, mode, 'stopped');
    return true;
  }

  async #stop(attempt: Attempt, mode: StopMode, endAs: 'stopped' | 'preempted'): Promise<void> {
    attempt.phase = AttemptPhase.STOPPING;
    attempt.stopMode = mode;
    if (this.#arrivals.giveUp(attempt)) {
      const message = 'It waited for its checkpoint, or for what its program needs, and had not begun.';
      await this.#endOrphan(attempt, { class: endAs, code: '', message });
      return;
    }
    await this.#slotOf(attempt)?.stop(attempt, mode, endAs);
  }

  /** Asks every running attempt to checkpoint and end; their ends are told as the box's doing. */
  async preemptAll(): Promise<void> {
    await Promise.all(this.running.map((attempt) => this.#stop(attempt, 'pause', 'preempted')));
  }

  /** Resolves when no attempt runs, or after `timeoutMs`. */
  async idle(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.running.length > 0 && performance.now() < deadline) await sleep(POLL_MS);
  }

  /** The slot's supervisor has news about the attempt in this folder. */
  news(attemptDir: string): void {
    const attempt = this.#byDir.get(attemptDir);
    if (attempt === undefined || this.#closed) return;
    this.#followers
      .get(attempt.id)
      ?.notify()
      .catch((error: unknown) => {
        this.options.log.error({ attempt: attempt.name, err: error }, 'the spool cannot be read');
        // No other news may come: the end is told once.
        setTimeout(() => this.news(attemptDir), DISK_RETRY_MS).unref();
      });
  }

  async refused(attemptDir: string, reason: string): Promise<void> {
    const attempt = this.#byDir.get(attemptDir);
    if (attempt !== undefined)
      await this.#endOrphan(attempt, {
        class: 'crashed',
        code: 'INTERNAL',
        message: `The slot's supervisor refused the attempt: ${reason}.`,
      });
  }

  /** The supervisor of a slot has died. Its runner reads the end of its input and may be on its way out; it is not waited for. */
  async supervisorGone(slot: Slot): Promise<void> {
    // The supervisor of a slot that an attempt holds beside its own runs nothing.
    const holder = slot.holder?.accepted.slotId === slot.info.slotId ? slot.holder : null;
    this.options.log.error(
      { slot: slot.info.slotId, attempt: holder?.name },
      'the supervisor of the slot is gone',
    );
    if (holder !== null)
      await this.#endOrphan(holder, {
        class: 'crashed',
        code: 'ATTEMPT_CRASHED',
        message: 'The supervisor of the slot was killed while the attempt ran.',
      });
  }

  async #endOrphan(attempt: Attempt, end: Parameters<AttemptStore['writeEnd']>[1]): Promise<void> {
    await endOrphan(attempt, end, {
      store: this.#store,
      follower: this.#followers.get(attempt.id),
      isClosed: () => this.#closed,
      log: this.options.log,
    });
  }

  close(): void {
    this.#closed = true;
    this.#arrivals.close();
    for (const follower of this.#followers.values()) follower.close();
    for (const attempt of this.#attempts.values()) attempt.noteAcknowledged();
  }
}

/** Who may be in want of the checkpoints of the attempt. */
function demandAfter(endClass: AttemptEndClass, stopMode: StopMode | null): CheckpointDemand {
  if (stopMode === 'cancel' || endClass === 'diverged' || endClass === 'refused') return 'nobody';
  return stopMode === 'stop' || endClass === 'completed' ? 'a_person' : 'the_next_attempt';
}
