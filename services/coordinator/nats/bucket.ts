/** A KV bucket with a TTL: compare-and-set on single keys, and a watch that says when each key was written. */
import type { KV } from 'nats';
import { natsErrorCode, unreachable } from './failure.js';
import { consumption } from './consumption.js';
import type { NatsLink } from './link.js';

export interface BucketEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A key was written, or removed on purpose. A key that runs out of its TTL says nothing. */
export type BucketChange =
  { readonly type: 'put'; readonly entry: BucketEntry } | { readonly type: 'removed'; readonly key: string };

/** Revision of the write, or null when somebody else wrote in between. */
export type Written = number | null;

export interface Bucket {
  /** Writes only if there is no such key. @throws NATS_UNREACHABLE */
  create(key: string, value: Uint8Array): Promise<Written>;
  /** Writes only over this revision. @throws NATS_UNREACHABLE */
  update(key: string, value: Uint8Array, revision: number): Promise<Written>;
  /** Removes only this revision; harmless when somebody else wrote. @throws NATS_UNREACHABLE */
  remove(key: string, revision: number): Promise<void>;
  /** @throws NATS_UNREACHABLE */
  get(key: string): Promise<BucketEntry | null>;
  /** Present keys first, then each change, until `signal` aborts. */
  watch(signal: AbortSignal): AsyncGenerator<BucketChange>;
}

const RETRY_WAIT_MS = 250;
/** Header of a removal (ADR-8 of nats-architecture-and-design). */
const OPERATION = 'KV-Operation';

/** Binds to a bucket that `ensureStreams` has made. @throws NATS_UNREACHABLE */
export async function openBucket(link: NatsLink, name: string): Promise<Bucket> {
  const kv = await link.jetstream.views
    .kv(name, { bindOnly: true, allow_direct: false })
    .catch((error: unknown) => {
      throw unreachable(`the bucket ${name} does not answer`, error);
    });
  return new NatsBucket(link, kv, name);
}

class NatsBucket implements Bucket {
  readonly #link: NatsLink;
  readonly #kv: KV;
  readonly #name: string;

  constructor(link: NatsLink, kv: KV, name: string) {
    this.#link = link;
    this.#kv = kv;
    this.#name = name;
  }

  create(key: string, value: Uint8Array): Promise<Written> {
    return this.#write(this.#kv.create(key, value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<Written> {
    return this.#write(this.#kv.update(key, value, revision));
  }

  async remove(key: string, revision: number): Promise<void> {
    await this.#write(this.#kv.delete(key, { previousSeq: revision }).then(() => revision));
  }

  async get(key: string): Promise<BucketEntry | null> {
    try {
      const entry = await this.#link.answered(this.#kv.get(key));
      if (entry?.operation !== 'PUT') return null;
      return { key, value: entry.value, revision: entry.revision };
    } catch (error) {
      throw unreachable(`the bucket ${this.#name} does not answer`, error);
    }
  }

  async *watch(signal: AbortSignal): AsyncGenerator<BucketChange> {
    while (!signal.aborted && !this.#link.connection.isClosed()) {
      try {
        for await (const message of consumption(
          this.#link,
          { stream: `KV_${this.#name}`, fromSeq: 1 },
          signal,
        )) {
          const key = message.subject.slice(`$KV.${this.#name}.`.length);
          yield message.headers?.has(OPERATION) === true
            ? { type: 'removed', key }
            : { type: 'put', entry: { key, value: message.data, revision: message.seq } };
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_WAIT_MS));
      }
    }
  }

  async #write(written: Promise<number>): Promise<Written> {
    try {
      return await this.#link.answered(written);
    } catch (error) {
      if (natsErrorCode(error) === 'wrong_sequence') return null;
      throw unreachable(`the bucket ${this.#name} does not answer`, error);
    }
  }
}
