/**
 * The trainer's record in the KV bucket `trainers`: found by it, alive by it. Each write is compared with the last, so
 * that two trainers of one name are noticed instead of overwriting each other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KV, KvEntry } from 'nats';
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isWrongSequence } from './link.js';

export interface RegistrationOptions {
  readonly trainerId: string;
  readonly ttlMs: number;
  /** The record as it is now. */
  readonly record: () => TrainerRecord;
  /** Instance of a service of this trainer that is known to be dead, or null: its record is taken over at once. */
  readonly predecessor: string | null;
  readonly log: Logger;
  /** Another live service has taken the name. */
  readonly onClash: (error: WattsweepError) => void;
}

/** What it needs of the bucket. */
export type TrainersBucket = Pick<KV, 'get' | 'put' | 'delete'>;

const RETRY_MS = 250;
const SAY_EVERY_MS = 10_000;

export class Registration {
  #revision = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly kv: TrainersBucket,
    private readonly options: RegistrationOptions,
  ) {}

  /**
   * Writes the record, as soon as NATS takes it, and keeps it alive. Throws ALREADY_RUNNING when a living trainer has the
   * name.
   */
  static async open(kv: TrainersBucket, options: RegistrationOptions): Promise<Registration> {
    const registration = new Registration(kv, options);
    await registration.#claim();
    registration.#schedule();
    return registration;
  }

  async #claim(): Promise<void> {
    const { trainerId, predecessor, log } = this.options;
    let saidMs = -Infinity;
    for (;;) {
      try {
        const found = await this.#get();
        if (found !== null && instanceOf(found) !== predecessor && (await this.#isRenewed(found)))
          throw this.#clash(found);
        this.#revision = await this.kv.put(trainerId, this.#value(), {
          previousSeq: await this.#lastRevision(),
        });
        return;
      } catch (error) {
        if (error instanceof WattsweepError) throw error;
        // Somebody was quicker: look again who it is.
        if (isWrongSequence(error)) continue;
        if (performance.now() - saidMs > SAY_EVERY_MS) {
          saidMs = performance.now();
          log.warn({ reason: String(error) }, 'NATS does not take the trainer record; trying again');
        }
        await sleep(RETRY_MS);
      }
    }
  }

  /** A living trainer renews each third of the TTL. */
  async #isRenewed(found: KvEntry): Promise<boolean> {
    const { ttlMs } = this.options;
    const deadline = performance.now() + ttlMs;
    while (performance.now() < deadline) {
      await sleep(Math.min(100, ttlMs / 10));
      const now = await this.#get();
      if (now === null) return false;
      if (now.revision !== found.revision) return true;
    }
    return false;
  }

  async #get(): Promise<KvEntry | null> {
    const entry = await this.kv.get(this.options.trainerId);
    return entry?.operation === 'PUT' ? entry : null;
  }

  /** Revision to compare with: that of a removal too, 0 when the key has run out. */
  async #lastRevision(): Promise<number> {
    return (await this.kv.get(this.options.trainerId))?.revision ?? 0;
  }

  #value(): string {
    return JSON.stringify(TrainerRecord.toJSON(this.options.record()));
  }

  #clash(found: KvEntry): WattsweepError {
    const { trainerId } = this.options;
    const address = recordOf(found)?.address ?? 'unknown';
    return new WattsweepError(
      'ALREADY_RUNNING',
      `Another trainer named ${trainerId} is alive at ${address}.`,
      {
        advice: 'Give this one another name (--id).',
      },
    );
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.renew().finally(() => this.#schedule()), this.options.ttlMs / 3);
  }

  /** Writes the record as it is now. Without NATS it does nothing: the next turn tries again. */
  renew(): Promise<void> {
    this.#writing = this.#writing
      .then(() => this.#renewOnce())
      .catch((error: unknown) => {
        this.options.log.debug({ reason: String(error) }, 'the trainer record could not be renewed');
      });
    return this.#writing;
  }

  async #renewOnce(): Promise<void> {
    if (this.#closed) return;
    const { trainerId, onClash, record } = this.options;
    try {
      this.#revision = await this.kv.put(trainerId, this.#value(), { previousSeq: this.#revision });
      return;
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
    }
    // Run out while NATS was away, or written by us with the answer lost, or somebody else's.
    const found = await this.#get();
    if (found !== null && instanceOf(found) !== record().instanceId) {
      this.#closed = true;
      onClash(this.#clash(found));
      return;
    }
    this.#revision = await this.kv.put(trainerId, this.#value(), { previousSeq: await this.#lastRevision() });
  }

  /** Stops renewing and removes the record, if it is still ours. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#writing;
    if (this.#closed) return;
    this.#closed = true;
    await this.kv.delete(this.options.trainerId, { previousSeq: this.#revision }).catch((error: unknown) => {
      this.options.log.debug(
        { reason: String(error) },
        'the trainer record could not be removed; it will run out',
      );
    });
  }
}

function recordOf(entry: KvEntry): TrainerRecord | null {
  try {
    return TrainerRecord.fromJSON(JSON.parse(entry.string()));
  } catch {
    return null;
  }
}

const instanceOf = (entry: KvEntry): string | null => recordOf(entry)?.instanceId ?? null;
