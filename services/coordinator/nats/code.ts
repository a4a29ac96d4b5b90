/** The object store of code that sweeps ship: written here, read by trainers. An object's name is the hash of its content. */
import { CODE_BUCKET } from '../../../proto/subjects.js';
import type { NatsLink } from './link.js';
import { ObjectBucket, type ObjectSink } from './objects.js';

export interface StoredCodeFact {
  readonly sha256: string;
  /** Of the ledger under which it was uploaded; null where that was not written. */
  readonly ledgerId: string | null;
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

  /** Bytes of all of them together. @throws NATS_UNREACHABLE */
  totalBytes(): Promise<number> {
    return this.#bucket.totalBytes();
  }

  get pieceBytes(): number {
    return this.#bucket.maxChunkBytes;
  }

  create(ledgerId: string): Pick<ObjectSink, 'write' | 'abandon'> & {
    finish(sha256: string): Promise<void>;
  } {
    const sink = this.#bucket.create();
    return {
      write: (piece) => sink.write(piece),
      finish: (sha256) => sink.finish(sha256, { ledger_id: ledgerId }),
      abandon: () => sink.abandon(),
    };
  }

  /** As `ObjectBucket.keepOnly`. @throws NATS_UNREACHABLE */
  keepOnly(isKept: (code: StoredCodeFact) => boolean, writtenBeforeMs: number): Promise<number> {
    return this.#bucket.keepOnly(
      ({ name, metadata }) => isKept({ sha256: name, ledgerId: metadata.ledger_id ?? null }),
      writtenBeforeMs,
    );
  }
}
