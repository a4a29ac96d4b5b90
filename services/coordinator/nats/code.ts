/** The object store of code that sweeps ship: written here, read by trainers. An object's name is the hash of its content. */
import { CODE_BUCKET } from '../../../proto/subjects.js';
import type { NatsLink } from './link.js';
import { ObjectBucket, type ObjectSink } from './objects.js';

export interface StoredCodeFact {
  readonly sha256: string;
  /** When it was written, milliseconds since 1970. */
  readonly storedAtMs: number;
}

export class StoredCode {
  readonly #bucket: ObjectBucket;

  constructor(link: NatsLink) {
    this.#bucket = new ObjectBucket(link, CODE_BUCKET);
  }

  /** Whether all of it is there. @throws NATS_UNREACHABLE */
  has(sha256: string): Promise<boolean> {
    return this.#bucket.has(sha256);
  }

  /** @throws NATS_UNREACHABLE */
  async list(): Promise<readonly StoredCodeFact[]> {
    const objects = await this.#bucket.list();
    return objects.map(({ name, mtime }) => ({ sha256: name, storedAtMs: Date.parse(mtime ?? '') || 0 }));
  }

  /** Bytes of all of them together. @throws NATS_UNREACHABLE */
  totalBytes(): Promise<number> {
    return this.#bucket.totalBytes();
  }

  get pieceBytes(): number {
    return this.#bucket.maxChunkBytes;
  }

  create(): ObjectSink {
    return this.#bucket.create();
  }

  /** Removes all others, and pieces of uploads that were given up. @throws NATS_UNREACHABLE */
  keepOnly(hashes: ReadonlySet<string>): Promise<void> {
    return this.#bucket.keepOnly(hashes);
  }
}
