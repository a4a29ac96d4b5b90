/** Snapshots in the object store of a real nats-server, and in memory: the same contract. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from 'nats';
import { SNAPSHOTS_BUCKET } from '../../../proto/subjects.js';
import { ObjectStoreSnapshots } from '../../../services/coordinator/ledger/index.js';
import {
  MemorySnapshots,
  type SnapshotFacts,
  type SnapshotStore,
} from '../../../services/coordinator/ledger/snapshot/index.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { startNats, type TestNats } from '../../support/nats.js';

let nats: TestNats;
let link: NatsLink;
beforeAll(async () => {
  nats = await startNats();
  link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  await ensureStreams(link, { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 });
});
afterAll(async () => {
  await link.close();
  await nats.stop();
});

const facts = (seq: number): SnapshotFacts => ({
  schema: '1 0.1.0 x',
  ledgerId: 'l',
  seq,
  appendId: `a${seq}`,
  events: 10 * seq,
  reportsSeq: 3,
});

async function store(into: SnapshotStore, seq: number, content: Buffer): Promise<void> {
  const sink = into.create();
  for (let at = 0; at < content.length; at += into.maxPartBytes)
    await sink.write(content.subarray(at, at + into.maxPartBytes));
  await sink.finish(`ledger-${seq}`, facts(seq), 'sum');
}

describe.each([
  ['in memory', (): SnapshotStore => new MemorySnapshots()],
  ['in the object store', (): SnapshotStore => new ObjectStoreSnapshots(link)],
])('a store %s', (_, open) => {
  test('gives back what was written, in parts of any number, and forgets what is not kept', async () => {
    const snapshots = open();
    expect(await snapshots.list()).toEqual([]);
    const contents = [randomBytes(5), randomBytes(3_000_000)];
    for (const [i, content] of contents.entries()) await store(snapshots, i + 1, content);
    const listed = (await snapshots.list()).toSorted((a, b) => a.facts.seq - b.facts.seq);
    expect(listed).toEqual(
      contents.map(({ length }, i) => ({
        name: `ledger-${i + 1}`,
        facts: facts(i + 1),
        bytes: length,
        checksum: 'sum',
      })),
    );
    for (const [i, content] of contents.entries())
      expect(Buffer.compare((await snapshots.read(listed[i]!))!, content)).toBe(0);
    await snapshots.keepOnly(new Set(['ledger-2']));
    expect((await snapshots.list()).map(({ name }) => name)).toEqual(['ledger-2']);
    expect(await snapshots.read(listed[0]!)).toBeNull();
    await snapshots.keepOnly(new Set());
  });

  test('shows none that was not finished', async () => {
    const snapshots = open();
    const sink = snapshots.create();
    await sink.write(randomBytes(10));
    expect(await snapshots.list()).toEqual([]);
    await sink.abandon();
  });
});

describe('the object store', () => {
  const subjects = async (): Promise<string[]> => {
    const info = await link.manager.streams.info(`OBJ_${SNAPSHOTS_BUCKET}`, { subjects_filter: '>' });
    return Object.keys(info.state.subjects ?? {});
  };

  test('is read by the tools of NATS', async () => {
    const content = randomBytes(600_000);
    await store(new ObjectStoreSnapshots(link), 7, content);
    const connection = await connect({ servers: nats.url });
    const objects = await connection.jetstream().views.os(SNAPSHOTS_BUCKET);
    const read = await objects.getBlob('ledger-7');
    expect(Buffer.compare(read!, content)).toBe(0);
    expect((await objects.list()).map(({ name, size }) => [name, size])).toEqual([['ledger-7', 600_000]]);
    await connection.close();
  });

  test('tells a snapshot of which a part is missing or another', async () => {
    const snapshots = new ObjectStoreSnapshots(link);
    await store(snapshots, 8, randomBytes(600_000));
    await snapshots.keepOnly(new Set(['ledger-8']));
    const [stored] = (await snapshots.list()).filter(({ facts: { seq } }) => seq === 8);
    const chunks = (await subjects())
      .filter((subject) => subject.startsWith(`$O.${SNAPSHOTS_BUCKET}.C.`))
      .at(-1)!;
    const last = await link.manager.streams.getMessage(`OBJ_${SNAPSHOTS_BUCKET}`, { last_by_subj: chunks });
    await link.manager.streams.deleteMessage(`OBJ_${SNAPSHOTS_BUCKET}`, last.seq);
    expect(await snapshots.read(stored!)).toBeNull();
    const other = Buffer.from(last.data);
    other[0]! ^= 1;
    await link.publish(chunks, other, { messageId: createHash('sha256').update(other).digest('hex') });
    expect(await snapshots.read(stored!)).toBeNull();
  });

  test('loses the chunks of writers that died', async () => {
    const snapshots = new ObjectStoreSnapshots(link);
    await store(snapshots, 9, randomBytes(10));
    const before = await subjects();
    await snapshots.create().write(randomBytes(10));
    // A chunk is not waited for when it is written.
    await expect.poll(subjects).toHaveLength(before.length + 1);
    await snapshots.keepOnly(new Set(['ledger-9']));
    expect(await subjects()).toHaveLength(2);
  });
});
