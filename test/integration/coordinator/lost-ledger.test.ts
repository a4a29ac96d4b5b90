/** The stream LEDGER is removed, emptied, or changed for another one: nothing is written there, and boxes go on. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import {
  SweepState,
  TrialState,
  type ListSweepsResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../../proto/subjects.js';
import { startCoordinator, type RunningCoordinator } from '../../../services/coordinator/index.js';
import { encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { JetStreamLog } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { header, termStarted } from './ledger.contract.js';
import { Client, close, coordinatorOptions, readiness, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let store: string;
let nats: TestNats;
let link: NatsLink;
let leader: RunningCoordinator;
let trainer: FakeTrainer;
let client: Client;
let sweepId: string;

/** A leader, and a box that trains for it. */
async function world(slots: number, epochMs = 200): Promise<void> {
  store = await mkdtemp(join(tmpdir(), 'wattsweep-lost-'));
  later(() => rm(store, { recursive: true, force: true }));
  nats = await startNats({ dataDir: store });
  later(() => nats.stop());
  const { url } = nats;
  link = await NatsLink.connect({ url, token: null, name: 'test' });
  later(() => link.close());
  leader = await startLeader(url, { leaseTtlMs: 3_000 });
  later(() => leader.close());
  trainer = await FakeTrainer.start({ natsUrl: url, trainerId: 'box', slots, epochMs });
  later(() => trainer.vanish());
  client = new Client(leader.grpcAddress);
  later(() => close(client));
  ({ sweepId } = await client.submit(SWEEP));
  await until(() => trainer.started.length >= 2);
}

const isRunning = ({ state }: { readonly state: TrialState }): boolean => state === TrialState.RUNNING;

/** The server may have started only just now, and this connection be still on its way there. */
async function entries(): Promise<Uint8Array[]> {
  let all: Uint8Array[] = [];
  await until(async () => {
    all = [];
    for await (const { data } of new JetStreamLog(link).read(1)) all.push(data);
    return true;
  });
  return all;
}

const FOLDER = 'jetstream/$G/streams/LEDGER';

/** The stream's folder as it is now. */
async function copyOfStream(): Promise<string> {
  const copy = join(store, 'copy');
  await cp(join(store, FOLDER), copy, { recursive: true });
  return copy;
}

/** The stream's folder as another server writes it. */
async function written(entriesOfIt: readonly Uint8Array[]): Promise<string> {
  const { config } = await link.manager.streams.info(LEDGER_STREAM);
  const other = join(store, 'other');
  const server = await startNats({ dataDir: other });
  const writer = await NatsLink.connect({ url: server.url, token: null, name: 'other' });
  await writer.manager.streams.add(config);
  for (const [i, data] of entriesOfIt.entries())
    await writer.publish(LEDGER_SUBJECT, data, { messageId: `theirs ${i}` });
  await writer.close();
  await server.stop();
  return join(other, FOLDER);
}

/** At one blow for who reads it: the server is away meanwhile. */
async function putInPlace(folder: string): Promise<void> {
  await nats.stop();
  await rm(join(store, FOLDER), { recursive: true, force: true });
  await cp(folder, join(store, FOLDER), { recursive: true });
  nats = await startNats({ dataDir: store, port: nats.port });
}

/** Of another ledger, each of another term: as many as asked for. */
const theirs = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => {
    const started = encodeEvents([termStarted(i + 1)]).replace('"ledgerId":"l"', '"ledgerId":"theirs"');
    return encodeBatch(header(`t${i}`, i + 1), [started]);
  });

test.each([
  ['emptied', 0, /is empty now/],
  ['changed for a shorter one', 1, /holds the ledger theirs now/],
  ['changed for a longer one', 60, /holds the ledger theirs now/],
])('%s: the coordinator ends at its next append and has written nothing', async (_, count, message) => {
  await world(2);
  const by = theirs(count);
  const ended = expect(leader.done).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE', message });
  await putInPlace(await written(by));
  await ended;
  expect((await entries()).map(String)).toEqual(by.map(String));
  // Nobody was told to stop: the attempts in hand are trained to their end.
  const inHand = trainer.started.length;
  await until(() => [...trainer.attempts.values()].every(({ epoch }) => epoch === 3));
  expect(trainer.stopped).toEqual([]);
  expect(trainer.started).toHaveLength(inHand);
});

test('changed for one of exactly as many entries: the coordinator ends at its next append and has written nothing', async () => {
  await world(2, 600_000);
  await until(async () => (await client.sweep(sweepId)).trials.filter(isRunning).length === 2);
  const by = theirs((await entries()).length);
  const ended = expect(leader.done).rejects.toMatchObject({
    code: 'LEDGER_UNREADABLE',
    message: /holds the ledger theirs now/,
  });
  await putInPlace(await written(by));
  await client.submit(SWEEP).catch(() => undefined);
  await ended;
  expect((await entries()).map(String)).toEqual(by.map(String));
  expect(trainer.stopped).toEqual([]);
});

test('removed: nobody leads, nothing is made in its place, and once it is restored the sweep goes on', async () => {
  await world(2);
  const copy = await copyOfStream();
  await link.manager.streams.delete(LEDGER_STREAM);
  await until(async () => (await readiness(leader)).role === 'following');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await link.find(LEDGER_STREAM)).toBeNull();
  await putInPlace(copy);
  await until(async () => (await readiness(leader)).role === 'leading');
  await until(async () => (await client.sweep(sweepId)).sweep?.state === SweepState.COMPLETED);
  expect((await client.sweep(sweepId)).trials.map(({ epoch }) => epoch)).toEqual([3, 3, 3, 3, 3, 3]);
});

test('removed while nobody leads: the next coordinator refuses to begin an empty one, and a standby, too', async () => {
  await world(8);
  const standby = await startCoordinator(
    coordinatorOptions(nats.url, { coordinatorId: 'standby', leaseTtlMs: 3_000 }),
  );
  later(() => standby.close());
  const gaveUp = expect(standby.done).rejects.toMatchObject({ code: 'LEDGER_LOST' });
  await until(() => trainer.started.length === 6);
  const { config } = await link.manager.streams.info(LEDGER_STREAM);
  await link.manager.streams.delete(LEDGER_STREAM);
  await link.manager.streams.add(config);
  await leader.close();
  await gaveUp;
  await link.manager.streams.delete(LEDGER_STREAM);
  await expect(startLeader(nats.url, { coordinatorId: 'next' })).rejects.toMatchObject({
    code: 'LEDGER_LOST',
    message: expect.stringMatching(/no stream LEDGER.*REPORTS has had reports/) as string,
  });
  expect(await link.find(LEDGER_STREAM)).toBeNull();
});

test('removed, and a person has a new one begun: what boxes train is left alone, and it is said', async () => {
  await world(8);
  await until(() => trainer.started.length === 6);
  await leader.close();
  await link.manager.streams.delete(LEDGER_STREAM);
  const next = await startLeader(nats.url, { coordinatorId: 'next', leaseTtlMs: 3_000, newLedger: true });
  later(() => next.close());
  const after = new Client(next.grpcAddress);
  later(() => close(after));
  const { warnings } = await after.call<ListSweepsResponse>((api, metadata, done) =>
    api.listSweeps({ archived: false, tags: [] }, metadata, done),
  );
  expect(warnings.join('\n')).toMatch(/begun with nothing in it, though NATS has had another: REPORTS/);
  const fresh = await after.submit(SWEEP);
  await until(async () => (await after.sweep(fresh.sweepId)).sweep?.state === SweepState.COMPLETED);
  expect(trainer.stopped).toEqual([]);
  for (const { epoch } of trainer.attempts.values()) expect(epoch).toBe(3);
  expect(trainer.started.slice(6).every(({ key }) => key?.sweepId === fresh.sweepId)).toBe(true);
  for (const trial of (await after.sweep(fresh.sweepId)).trials) expect(trial.epoch).toBe(3);
});

test('changed for an older copy of its own: a new term begins with that, and the sweep ends whole', async () => {
  await world(2);
  const copy = await copyOfStream();
  await until(() => trainer.started.length >= 4);
  await putInPlace(copy);
  await until(async () => (await readiness(leader)).term === 2);
  await until(async () => (await client.sweep(sweepId)).sweep?.state === SweepState.COMPLETED);
  expect((await client.sweep(sweepId)).trials.map(({ epoch }) => epoch)).toEqual([3, 3, 3, 3, 3, 3]);
});
