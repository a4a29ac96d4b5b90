/**
 * The lease that says which coordinator should lead. It is a hint, no fence: what a deposed leader may write or command
 * is decided by the ledger (`../ledger/fence.ts`) and by the trainers' terms. A key with a TTL in a bucket: whoever
 * creates it leads, renews it by compare-and-set on its own timer, and stops leading at once when somebody else holds
 * it, or when no renewal got through for a whole TTL.
 */
import { isAborted, systemClock, type Clock } from '../clock.js';
import type { Bucket } from '../nats/index.js';

/** What stands in the lease, for those who follow. */
export interface LeaseHolder {
  /** Differs in each acquisition. */
  readonly holder: string;
  readonly coordinatorId: string;
  readonly grpcAddress: string;
}

export interface LeaseOptions {
  readonly bucket: Bucket;
  readonly self: LeaseHolder;
  /** TTL of the bucket, milliseconds. Renewed three times as often. */
  readonly ttlMs: number;
  /** @default systemClock */
  readonly clock?: Clock;
  /** It could not be asked for; it is asked for again. */
  readonly onRetry?: (error: unknown) => void;
}

const KEY = 'coordinator';
/** When NATS is away, the lease runs out by itself. */
const RELEASE_WITHIN_MS = 1_000;

export class Lease {
  readonly #options: LeaseOptions;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  readonly #done = new AbortController();
  #revision: number;
  /** When the last renewal that got through was sent. */
  #renewedAt: number;
  readonly #renewing: Promise<void>;

  private constructor(options: LeaseOptions, revision: number, sentAt: number) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#revision = revision;
    this.#renewedAt = sentAt;
    this.#renewing = this.#renew();
  }

  /** Takes the lease if nobody holds it; null otherwise. @throws NATS_UNREACHABLE */
  static async tryAcquire(options: LeaseOptions): Promise<Lease | null> {
    const sentAt = (options.clock ?? systemClock).monotonicMs();
    const revision = await options.bucket.create(KEY, encode(options.self));
    return revision === null ? null : new Lease(options, revision, sentAt);
  }

  /** Tries until it gets the lease, or null when `signal` aborts first. An expiry says nothing, so it asks. */
  static async acquire(options: LeaseOptions, signal: AbortSignal): Promise<Lease | null> {
    while (!signal.aborted) {
      const lease = await Lease.tryAcquire(options).catch((error: unknown) => {
        options.onRetry?.(error);
        return null;
      });
      if (lease !== null) return lease;
      await (options.clock ?? systemClock).sleep(options.ttlMs / 4, { signal });
    }
    return null;
  }

  /** Who holds the lease now; null when nobody does or it cannot be known. */
  static async holder(bucket: Bucket): Promise<LeaseHolder | null> {
    const entry = await bucket.get(KEY).catch(() => null);
    return entry === null ? null : decode(entry.value);
  }

  /** Aborts when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Gives the lease back, unless somebody else has it by now. */
  async release(): Promise<void> {
    this.#done.abort();
    await this.#renewing;
    const held = !this.#lost.signal.aborted;
    this.#lost.abort();
    if (!held) return;
    const removed = this.#options.bucket.remove(KEY, this.#revision).catch(() => undefined);
    await Promise.race([removed, this.#clock.sleep(RELEASE_WITHIN_MS, { ref: false })]);
  }

  async #renew(): Promise<void> {
    const { ttlMs } = this.#options;
    const { signal } = this.#done;
    let wait = ttlMs / 3;
    while (!signal.aborted) {
      await this.#clock.sleep(wait, { signal });
      if (isAborted(signal)) return;
      const sentAt = this.#clock.monotonicMs();
      // The deadline holds even while a request hangs.
      const left = this.#renewedAt + ttlMs - sentAt;
      const result = left <= 0 ? 'failed' : await Promise.race([this.#renewOnce(), this.#within(left)]);
      if (result === 'renewed') {
        this.#renewedAt = sentAt;
        wait = ttlMs / 3;
        continue;
      }
      if (result === 'beaten' || this.#clock.monotonicMs() >= this.#renewedAt + ttlMs) {
        this.#lost.abort();
        return;
      }
      wait = ttlMs / 12;
    }
  }

  async #within(ms: number): Promise<'failed'> {
    await this.#clock.sleep(ms, { ref: false });
    return 'failed';
  }

  async #renewOnce(): Promise<'renewed' | 'beaten' | 'failed'> {
    const { bucket, self } = this.#options;
    try {
      const written = await bucket.update(KEY, encode(self), this.#revision);
      if (written !== null) {
        this.#revision = written;
        return 'renewed';
      }
      // Expired, or an acknowledgement got lost, or another one has it.
      const created = await bucket.create(KEY, encode(self));
      if (created !== null) {
        this.#revision = created;
        return 'renewed';
      }
      const entry = await bucket.get(KEY);
      if (entry === null) return 'failed';
      if (decode(entry.value)?.holder !== self.holder) return 'beaten';
      this.#revision = entry.revision;
      return 'failed';
    } catch {
      return 'failed';
    }
  }
}

const encode = (holder: LeaseHolder): Uint8Array => Buffer.from(JSON.stringify(holder));

function decode(value: Uint8Array): LeaseHolder | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { holder, coordinatorId, grpcAddress } = parsed as Record<string, unknown>;
    if (typeof holder !== 'string' || typeof coordinatorId !== 'string' || typeof grpcAddress !== 'string')
      return null;
    return { holder, coordinatorId, grpcAddress };
  } catch {
    return null;
  }
}
