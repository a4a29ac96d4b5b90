/** Snapshots in JetStream's object store; the facts are the object's metadata. */
import { SNAPSHOTS_BUCKET } from '../../../../proto/subjects.js';
import { ObjectBucket, type NatsLink } from '../../nats/index.js';
import type { SnapshotFacts, SnapshotSink, SnapshotStore, StoredSnapshot } from './store.js';

export class ObjectStoreSnapshots implements SnapshotStore {
  readonly #bucket: ObjectBucket;

  constructor(link: NatsLink) {
    this.#bucket = new ObjectBucket(link, SNAPSHOTS_BUCKET);
  }

  get maxPartBytes(): number {
    return this.#bucket.maxChunkBytes;
  }

  async list(): Promise<readonly StoredSnapshot[]> {
    return (await this.#bucket.list()).flatMap(({ name, size, metadata }) => {
      const facts = factsOf(metadata);
      return facts === null ? [] : [{ name, facts, bytes: size, checksum: metadata.checksum ?? '' }];
    });
  }

  async read({ name }: StoredSnapshot): Promise<Uint8Array | null> {
    const object = (await this.#bucket.list()).find((candidate) => candidate.name === name);
    return object === undefined ? null : this.#bucket.read(object);
  }

  create(): SnapshotSink {
    const sink = this.#bucket.create();
    return {
      write: (part) => sink.write(part),
      finish: (name, facts, checksum) => sink.finish(name, metadataOf(facts, checksum)),
      abandon: () => sink.abandon(),
    };
  }

  async keepOnly(names: ReadonlySet<string>): Promise<void> {
    await this.#bucket.keepOnly(({ name }) => names.has(name));
  }
}

const metadataOf = (facts: SnapshotFacts, checksum: string): Record<string, string> => ({
  schema: facts.schema,
  ledger_id: facts.ledgerId,
  seq: String(facts.seq),
  append_id: facts.appendId,
  events: String(facts.events),
  reports_seq: String(facts.reportsSeq),
  checksum,
});

function factsOf(metadata: Readonly<Record<string, string | undefined>>): SnapshotFacts | null {
  const { schema, ledger_id: ledgerId, append_id: appendId } = metadata;
  const [seq, events, reportsSeq] = [metadata.seq, metadata.events, metadata.reports_seq].map(Number);
  const isWhole = (value: number | undefined): value is number => Number.isSafeInteger(value);
  if (schema === undefined || ledgerId === undefined || appendId === undefined) return null;
  if (!isWhole(seq) || !isWhole(events) || !isWhole(reportsSeq)) return null;
  return { schema, ledgerId, seq, appendId, events, reportsSeq };
}
