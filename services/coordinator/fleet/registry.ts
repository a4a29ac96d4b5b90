/**
 * Who is there: watches the bucket in which trainers renew their records, and tells the core of trainers that come,
 * change, fall silent and stay away. Time is monotonic and begins anew with each term; before a trainer is called
 * silent the bucket is asked once more, so that a coordinator that was itself asleep or cut off accuses nobody.
 */
import type { Logger } from 'pino';
import { systemClock, type Clock } from '../clock.js';
import type { Input, State } from '../core/index.js';
import type { Bucket, BucketEntry } from '../nats/index.js';
import { toTrainerInfo } from './convert.js';

export interface RegistryOptions {
  readonly bucket: Bucket;
  /** No renewal for this long: suspect. */
  readonly ttlMs: number;
  /** No renewal for this long: its attempts run elsewhere. */
  readonly lostAfterMs: number;
  /** Whether the connection to the bucket stands: renewals cannot be seen while it does not. */
  readonly connected: () => boolean;
  readonly now: () => number;
  readonly offer: (input: Input) => void;
  readonly log: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
}

interface Known {
  /** Its record as told to the core; empty before the first. */
  told: string;
  seenAtMs: number;
  /** Revision of the last renewal; 0 before the first. */
  revision: number;
  silent: boolean;
}

export class TrainerRegistry {
  readonly #options: RegistryOptions;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #tickMs: number;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#tickMs = Math.max(20, Math.min(options.ttlMs / 4, 1_000));
  }

  /** Follows the bucket until `signal` aborts. Trainers of `state` that never appear fall silent like any other. */
  async run(state: State, signal: AbortSignal): Promise<void> {
    for (const { info, status } of state.trainers.values()) {
      if (status === 'lost') continue;
      this.#known.set(info.trainerId, {
        told: '',
        seenAtMs: this.#clock.monotonicMs(),
        revision: 0,
        silent: status === 'suspect',
      });
    }
    const looking = this.#look(signal);
    for await (const change of this.#options.bucket.watch(signal)) {
      if (change.type === 'put') this.#seen(change.entry);
      else this.#leave(change.key);
    }
    await looking;
  }

  #seen(entry: BucketEntry): void {
    const doubts: string[] = [];
    const trainer = toTrainerInfo(entry.key, entry.value, (sentence) => void doubts.push(sentence));
    if (trainer === null) {
      this.#options.log.warn({ key: entry.key }, 'a record in the bucket of trainers cannot be read');
      return;
    }
    const told = JSON.stringify(trainer);
    const known = this.#known.get(entry.key);
    this.#known.set(entry.key, {
      told,
      seenAtMs: this.#clock.monotonicMs(),
      revision: entry.revision,
      silent: false,
    });
    if (known?.told === told && !known.silent) return;
    if (doubts.length > 0)
      this.#options.log.warn({ trainerId: entry.key, doubts }, 'a trainer says of itself what cannot be');
    this.#options.offer({ type: 'trainer_seen', trainer, at: this.#options.now() });
  }

  /** A trainer that removes its record says goodbye: nothing new goes there from now on. */
  #leave(trainerId: string): void {
    const known = this.#known.get(trainerId);
    if (known !== undefined && !known.silent) this.#silence(trainerId, known);
  }

  #silence(trainerId: string, known: Known): void {
    known.silent = true;
    this.#options.log.warn({ trainerId }, 'trainer is silent');
    this.#options.offer({ type: 'trainer_silent', trainerId, at: this.#options.now() });
  }

  async #look(signal: AbortSignal): Promise<void> {
    let last = this.#clock.monotonicMs();
    while (!signal.aborted) {
      await this.#clock.sleep(this.#tickMs);
      const elapsed = this.#clock.monotonicMs() - last;
      last += elapsed;
      // While this process slept or was cut off, renewals went unseen: the pause counts for nobody.
      const overslept = elapsed > 2 * this.#tickMs ? elapsed - this.#tickMs : 0;
      const pause = this.#options.connected() ? overslept : elapsed;
      const { ttlMs, lostAfterMs } = this.#options;
      for (const [trainerId, known] of [...this.#known]) {
        known.seenAtMs += pause;
        const away = last - known.seenAtMs;
        if (away > (known.silent ? Math.max(lostAfterMs, ttlMs) : ttlMs))
          await this.#accuse(trainerId, known);
      }
    }
  }

  async #accuse(trainerId: string, known: Known): Promise<void> {
    const { bucket, offer, now, log } = this.#options;
    let entry: BucketEntry | null;
    try {
      entry = await bucket.get(trainerId);
    } catch {
      return;
    }
    if (entry !== null) {
      // The server removes an expired record a little late: only a newer one is a sign of life.
      if (entry.revision !== known.revision) this.#seen(entry);
      return;
    }
    if (this.#known.get(trainerId) !== known) return;
    if (!known.silent) {
      this.#silence(trainerId, known);
      return;
    }
    this.#known.delete(trainerId);
    log.warn({ trainerId }, 'trainer is lost');
    offer({ type: 'trainer_gone', trainerId, at: now() });
  }
}
