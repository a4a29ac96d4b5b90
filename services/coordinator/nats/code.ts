/** The object store of code that sweeps ship: written here, read by trainers. An object's name is the hash of its content. */
import { CODE_BUCKET } from '../../../proto/subjects.js';
import type { NatsLink } from './link.js';
import { ObjectBucket, type ObjectSink } from './objects.js';

export class StoredCode {
  readonly #bucket: ObjectBucket;

  constructor(link: NatsLink) {
    this.#bucket = new ObjectBucket(link, CODE_BUCKET);
  }

  /** Whether all of it is there. @throws NATS_UNREACHABLE */
  has(sha256: string): Promise<boolean> {
    return this.#bucket.has(sha256);
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

  /** As `ObjectBucket.keepOnly`. @throws NATS_UNREACHABLE */
  keepOnly(named: Pick<ReadonlySet<string>, 'has'>, writtenBeforeMs: number): Promise<number> {
    return this.#bucket.keepOnly(named, writtenBeforeMs);
  }
}
