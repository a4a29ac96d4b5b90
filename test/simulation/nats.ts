/**
 * NATS as the services see it: streams with sequences, message ids and a fence, buckets with revisions and a TTL. The
 * connections to it: `link.ts`.
 */
import type {
  BucketChange,
  BucketEntry,
  PublishOutcome,
  StreamMessage,
  Written,
} from '../../services/coordinator/nats/index.js';
import { MemorySnapshots } from '../../services/coordinator/ledger/snapshot/index.js';
import type { PublishOptions } from '../../services/coordinator/nats/link.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';

const DEDUPE_WINDOW_MS = 120_000;

class Stream {
  readonly messages = new Map<number, StreamMessage>();
  readonly ids = new Map<string, { readonly seq: number; readonly at: number }>();
  readonly listeners = new Set<() => void>();
  firstSeq = 1;
  lastSeq = 0;
}

interface Key extends BucketEntry {
  readonly at: number;
  readonly removed: boolean;
}

class Keys {
  readonly entries = new Map<string, Key>();
  readonly changes: BucketChange[] = [];
  readonly listeners = new Set<() => void>();
  revision = 0;
  constructor(readonly ttlMs: number) {}
}

/** How a connection fares; chances are per request. */
export interface Weather {
  loseRequest: number;
  loseAnswer: number;
  /** Chance that a request takes up to 12 s, longer than its sender waits. */
  late: number;
  /** Whether it meets publishes only, and leases and lists go on. */
  publishesOnly: boolean;
}

/** A connection to the server, which notices after a while whether that is there. */
interface Connected {
  readonly weather: Weather;
  lookAgain(ms: number): void;
}

export class SimNats {
  /** Read and written without delay. */
  readonly snapshots = new MemorySnapshots();
  #up = true;
  /** A server that starts anew has heard nothing of what was on its way to the one before. */
  #starts = 0;
  readonly #streams = new Map<string, Stream>();
  readonly #keys = new Map<string, Keys>();
  readonly links = new Set<Connected>();
  /** Told of every message that a stream takes, and of every trim. */
  onStored: (stream: string, message: StreamMessage) => void = () => undefined;
  onPurged: (stream: string, seq: number) => void = () => undefined;
  /** Told of each message that is there no longer. */
  onRemoved: (stream: string, message: StreamMessage) => void = () => undefined;
  /** Chance that a message on REPORTS is stored twice, as when its id is remembered no longer. */
  duplicates = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly random: Random,
    private readonly ttls: Readonly<Record<string, number>>,
  ) {}

  get up(): boolean {
    return this.#up;
  }

  get starts(): number {
    return this.#starts;
  }

  stop(): void {
    this.#up = false;
    for (const link of this.links) link.lookAgain(0);
  }

  start(): void {
    this.#up = true;
    for (const link of this.links) link.lookAgain(0);
  }

  stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (stream === undefined) this.#streams.set(name, (stream = new Stream()));
    return stream;
  }

  keys(bucket: string): Keys {
    let keys = this.#keys.get(bucket);
    if (keys === undefined) this.#keys.set(bucket, (keys = new Keys(this.ttls[bucket] ?? Infinity)));
    return keys;
  }

  /** The sequence is checked before the message id, as nats-server does. */
  publish(name: string, subject: string, data: Uint8Array, options: PublishOptions): PublishOutcome {
    const stream = this.stream(name);
    const { messageId, expectedLastSeq } = options;
    if (expectedLastSeq !== undefined && expectedLastSeq !== stream.lastSeq) return { ok: false };
    const known = stream.ids.get(messageId);
    if (known !== undefined && this.scheduler.now - known.at < DEDUPE_WINDOW_MS)
      return { ok: true, seq: known.seq };
    const copies = expectedLastSeq === undefined && this.random.chance(this.duplicates) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const message = { seq: (stream.lastSeq += 1), subject, data, storedAtMs: this.scheduler.now };
      stream.messages.set(message.seq, message);
      this.onStored(name, message);
    }
    stream.ids.set(messageId, { seq: stream.lastSeq, at: this.scheduler.now });
    for (const tell of [...stream.listeners]) tell();
    return { ok: true, seq: stream.lastSeq };
  }

  purgeBelow(name: string, seq: number): void {
    this.onPurged(name, seq);
    this.#trim(name, seq);
  }

  /** Every message is removed, and the stream counts on. */
  empty(name: string): void {
    this.#trim(name, this.stream(name).lastSeq + 1);
  }

  #trim(name: string, seq: number): void {
    const stream = this.stream(name);
    for (; stream.firstSeq < seq && stream.firstSeq <= stream.lastSeq; stream.firstSeq += 1)
      this.#remove(name, stream.firstSeq);
  }

  /** An older copy takes the stream's place: it ends with `seq`, and what followed was never there. */
  truncate(name: string, seq: number): void {
    this.#starts += 1;
    const stream = this.stream(name);
    for (; stream.lastSeq > seq; stream.lastSeq -= 1) this.#remove(name, stream.lastSeq);
    stream.firstSeq = Math.min(stream.firstSeq, seq + 1);
    for (const [id, { seq: at }] of stream.ids) if (at > seq) stream.ids.delete(id);
  }

  /** The stream is removed, and made once more. */
  makeAnew(name: string): void {
    this.truncate(name, 0);
    this.stream(name).firstSeq = 1;
  }

  #remove(name: string, seq: number): void {
    const { messages } = this.stream(name);
    const message = messages.get(seq);
    if (message !== undefined) this.onRemoved(name, message);
    messages.delete(seq);
  }

  get(bucket: string, key: string): Key | null {
    const keys = this.keys(bucket);
    const entry = keys.entries.get(key);
    if (entry === undefined || entry.removed || this.scheduler.now - entry.at >= keys.ttlMs) return null;
    return entry;
  }

  /** `revision`: null writes over anything, 0 only where there is nothing. */
  put(bucket: string, key: string, value: Uint8Array, revision: number | null): Written {
    const keys = this.keys(bucket);
    if (revision !== null && (this.get(bucket, key)?.revision ?? 0) !== revision) return null;
    const entry = { key, value, revision: (keys.revision += 1), at: this.scheduler.now, removed: false };
    keys.entries.set(key, entry);
    this.#change(keys, { type: 'put', entry });
    return entry.revision;
  }

  remove(bucket: string, key: string, revision: number | null): void {
    const keys = this.keys(bucket);
    const entry = this.get(bucket, key);
    if (entry === null || (revision !== null && entry.revision !== revision)) return;
    keys.revision += 1;
    keys.entries.set(key, { ...entry, removed: true });
    this.#change(keys, { type: 'removed', key });
  }

  #change(keys: Keys, change: BucketChange): void {
    keys.changes.push(change);
    for (const tell of [...keys.listeners]) tell();
  }
}
