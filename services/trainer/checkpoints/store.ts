/**
 * Puts checkpoints of trials into NATS, so that a trial goes on when its box and disk are gone; `fetch.ts` takes them
 * out. What lies on this box's own disk is attempts/resume.ts' business, and the coordinator forgets what nobody needs.
 *
 * Training never waits for it: a checkpoint that is written while an older one is under way takes its place, one trial's
 * are put there once in a while, one at a time, and what cannot be put there (too large, NATS away, the store full) is
 * told once and left out. One is put there only when NATS has the report of its epoch: an attempt never goes on from an
 * epoch that the ledger will not have.
 */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Attempt } from '../attempts/attempt.js';
import type { CheckpointObjects, StoredCheckpoint, TrialName } from '../nats/checkpoint-objects.js';
import { FolderChanged, listFolder, packFolder, type FolderListing } from './pack.js';

export interface StoreBounds {
  /** Largest checkpoint that is put there, bytes; 0: none is. */
  readonly storeCheckpointBytes: number;
  /** Nothing is put there while all together, of all boxes, would have more bytes. */
  readonly storeTotalBytes: number;
  /** A trial's checkpoint is put there at most once in this time. */
  readonly storeEveryMs: number;
}

export interface StoreOptions {
  readonly bounds: StoreBounds;
  /** Null while NATS has not been reached. */
  readonly objects: () => CheckpointObjects | null;
  readonly log: Logger;
}

/** A checkpoint that an attempt has written. */
export interface Offer {
  readonly attempt: Attempt;
  /** Last epoch that it holds. */
  readonly epoch: number;
  readonly path: string;
  /** The path is the folder of all of the trial's checkpoints: its program keeps its own order there. */
  readonly isWhole: boolean;
  /** Line of the spool that told of the epoch. */
  readonly epochLine: number;
}

/** Who may go on from the last checkpoint of an attempt: `a_person` may extend or rerun what is done by itself. */
export type CheckpointDemand = 'the_next_attempt' | 'a_person' | 'nobody';

interface Waiting {
  offer: Offer;
  /** Monotonic; not put there before. */
  dueMs: number;
  /** The attempt has ended: nothing newer will come. */
  isLast: boolean;
  /** Its trial is done: only what is small is worth its room. */
  isDone: boolean;
}

const LOOK_MS = 200;
const RETRY_MS = 5_000;
/** A program that writes all the time is asked again so much later. */
const CHANGED_RETRY_MS = 1_000;
const MIB = 1024 * 1024;
/** Of a trial that is done: a small network's. */
const SMALL_BYTES = 8 * MIB;

export const trialOf = ({ accepted: { ledgerId, spec } }: Attempt): TrialName => {
  const { sweepId, trialId, trialTermId } = spec.key;
  return { ledgerId, sweepId, trialId, ...(trialTermId === undefined ? {} : { trialTermId }) };
};

export class CheckpointStore {
  readonly #waiting = new Map<string, Waiting>();
  /** When an attempt's checkpoint was last put there. */
  readonly #storedMs = new Map<string, number>();
  readonly #said = new Set<string>();
  readonly #closing = new AbortController();
  #running = false;

  constructor(private readonly options: StoreOptions) {}

  /** The checkpoint is put there soon, unless a newer one of the attempt comes before. */
  offer(offer: Offer): void {
    const { storeCheckpointBytes, storeEveryMs } = this.options.bounds;
    if (storeCheckpointBytes === 0 || this.#closing.signal.aborted) return;
    const { id } = offer.attempt;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) waiting.offer = offer;
    else {
      const dueMs = (this.#storedMs.get(id) ?? -Infinity) + storeEveryMs;
      this.#waiting.set(id, { offer, dueMs, isLast: false, isDone: false });
    }
    if (!this.#running) void this.#run();
  }

  /** The attempt has ended. */
  ended(attempt: Attempt, demand: CheckpointDemand): void {
    this.#storedMs.delete(attempt.id);
    const waiting = this.#waiting.get(attempt.id);
    if (waiting === undefined) return;
    if (demand === 'nobody') this.#waiting.delete(attempt.id);
    else Object.assign(waiting, { isLast: true, isDone: demand === 'a_person', dueMs: -Infinity });
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { signal } = this.#closing;
    while (this.#waiting.size > 0 && !signal.aborted) {
      const due = [...this.#waiting.values()].find((waiting) => isDue(waiting));
      if (due !== undefined) await this.#put(due);
      else await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#running = false;
  }

  async #put(waiting: Waiting): Promise<void> {
    const { offer } = waiting;
    const { attempt } = offer;
    const laterMs = await this.#tryPut(offer, waiting).catch((error: unknown) => {
      if (error instanceof FolderChanged) return offer.isWhole ? CHANGED_RETRY_MS : null;
      this.options.log.debug({ attempt: attempt.name, reason: String(error) }, 'a checkpoint was not stored');
      return RETRY_MS;
    });
    // Another one has come meanwhile, or the attempt has ended.
    if (this.#waiting.get(attempt.id) !== waiting) return;
    if (laterMs !== null) waiting.dueMs = performance.now() + laterMs;
    else if (waiting.offer === offer) this.#waiting.delete(attempt.id);
    else
      waiting.dueMs = waiting.isLast
        ? -Infinity
        : (this.#storedMs.get(attempt.id) ?? -Infinity) + this.options.bounds.storeEveryMs;
  }

  /** @returns null when it is done with, else after how many milliseconds it shall be tried again. */
  async #tryPut(offer: Offer, { isDone }: Pick<Waiting, 'isDone'>): Promise<number | null> {
    const { bounds, log } = this.options;
    const { attempt, path, isWhole } = offer;
    const objects = this.options.objects();
    if (objects === null) return RETRY_MS;
    const listing = await listFolder(path);
    if (listing.entries.length === 0) return null;
    if (isDone && listing.bytes > SMALL_BYTES) return null;
    if (!this.#fits(offer, listing)) return null;
    const trial = trialOf(attempt);
    const stored = await objects.find(trial);
    const about = {
      attempt: attempt.key.attempt,
      // The folder of a program holds what it holds now, whenever it was offered.
      epoch: isWhole ? attempt.epoch : offer.epoch,
      folder: isWhole ? '' : basename(path),
    };
    const [newest] = stored;
    if (newest !== undefined && isBeyond(newest, about)) return null;
    if ((await objects.totalBytes()) + listing.bytes > bounds.storeTotalBytes) {
      this.#sayOnce(
        'full',
        { totalMib: Math.round(bounds.storeTotalBytes / MIB) },
        'the store of checkpoints is full: trials go on from what lies on their own box only',
      );
      return RETRY_MS;
    }
    const copy = newest === undefined ? 0 : newest.name.copy === 0 ? 1 : 0;
    const beganMs = performance.now();
    await objects.write(
      { ...about, name: { ...trial, copy } },
      packFolder(path, listing),
      this.#closing.signal,
    );
    if (!attempt.over) this.#storedMs.set(attempt.id, performance.now());
    const { epoch } = about;
    const ms = Math.round(performance.now() - beganMs);
    log.debug({ attempt: attempt.name, epoch, bytes: listing.bytes, ms }, 'a checkpoint was stored');
    return null;
  }

  #fits({ attempt }: Offer, { bytes }: FolderListing): boolean {
    const most = this.options.bounds.storeCheckpointBytes;
    if (bytes <= most) return true;
    this.#sayOnce(
      attempt.id,
      { attempt: attempt.name, mib: Math.ceil(bytes / MIB), mostMib: Math.floor(most / MIB) },
      'the checkpoint is too large for the store: the trial goes on from this box only',
    );
    return false;
  }

  #sayOnce(what: string, facts: object, sentence: string): void {
    if (this.#said.has(what)) return;
    this.#said.add(what);
    this.options.log.warn(facts, sentence);
  }

  /** Resolves when the last checkpoints of ended attempts are there, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while ([...this.#waiting.values()].some(({ isLast }) => isLast) && performance.now() < deadline)
      await sleep(LOOK_MS / 10);
  }

  /** Gives up what waits. */
  close(): void {
    this.#closing.abort();
    this.#waiting.clear();
  }
}

const isDue = ({ offer, dueMs }: Waiting): boolean =>
  performance.now() >= dueMs && offer.attempt.acknowledgedLine >= offer.epochLine;

/** A later attempt has taken over, or the store has this very checkpoint. */
const isBeyond = (
  stored: StoredCheckpoint,
  { attempt, epoch, folder }: Pick<StoredCheckpoint, 'attempt' | 'epoch' | 'folder'>,
): boolean =>
  stored.attempt > attempt ||
  (stored.attempt === attempt && stored.epoch === epoch && folder !== '' && stored.folder === folder);
