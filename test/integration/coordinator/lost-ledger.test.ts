/** The stream LEDGER is removed, emptied, or changed for another one: nothing is written there, and boxes go on. */
import { afterEach, expect, test } from 'vitest';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../../proto/subjects.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { JetStreamLog } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { header, termStarted } from './ledger.contract.js';
import { Client, close, readiness, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let url: string;
let link: NatsLink;
let leader: RunningCoordinator;
let trainer: FakeTrainer;
let client: Client;
let sweepId: string;

/** A leader, and a box that trains for it. */
async function world(slots: number): Promise<void> {
  const nats = await startNats();
  later(() => nats.stop());
  ({ url } = nats);
  link = await NatsLink.connect({ url, token: null, name: 'test' });
  later(() => link.close());
  leader = await startLeader(url, { leaseTtlMs: 3_000 });
  later(() => leader.close());
  trainer = await FakeTrainer.start({ natsUrl: url, trainerId: 'box', slots, epochMs: 200 });
  later(() => trainer.vanish());
  client = new Client(leader.grpcAddress);
  later(() => close(client));
  ({ sweepId } = await client.submit(SWEEP));
  await until(() => trainer.started.length >= 2);
}

async function entries(): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const { data } of new JetStreamLog(link).read(1)) all.push(data);
  return all;
}

/** The stream as another one of this name, with these entries. */
async function replace(by: readonly Uint8Array[]): Promise<void> {
  const { config } = await link.manager.streams.info(LEDGER_STREAM);
  await link.manager.streams.delete(LEDGER_STREAM);
  await make(config, by);
}

async function make(config: Parameters<typeof link.manager.streams.add>[0], by: readonly Uint8Array[]) {
  await link.manager.streams.add(config);
  for (const [i, data] of by.entries()) await link.publish(LEDGER_SUBJECT, data, { messageId: `new ${i}` });
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
  await replace(by);
  await ended;
  expect((await entries()).map(String)).toEqual(by.map(String));
  // Nobody was told to stop: the attempts in hand are trained to their end.
  const inHand = trainer.started.length;
  await until(() => [...trainer.attempts.values()].every(({ epoch }) => epoch === 3));
  expect(trainer.stopped).toEqual([]);
  expect(trainer.started).toHaveLength(inHand);
});

test('removed: nobody leads, nothing is made in its place, and once it is restored the sweep goes on', async () => {
  await world(2);
  const { config } = await link.manager.streams.info(LEDGER_STREAM);
  const before = await entries();
  await link.manager.streams.delete(LEDGER_STREAM);
  await until(async () => (await readiness(leader)).role === 'following');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await link.find(LEDGER_STREAM)).toBeNull();
  await make(config, before);
  await until(async () => (await readiness(leader)).role === 'leading');
  await until(async () => (await client.sweep(sweepId)).sweep?.state === SweepState.COMPLETED);
  expect((await client.sweep(sweepId)).trials.map(({ epoch }) => epoch)).toEqual([3, 3, 3, 3, 3, 3]);
});

test('removed while nobody leads: the next coordinator begins an empty one and leaves alone what boxes train', async () => {
  await world(8);
  await until(() => trainer.started.length === 6);
  await leader.close();
  await link.manager.streams.delete(LEDGER_STREAM);
  const next = await startLeader(url, { coordinatorId: 'next', leaseTtlMs: 3_000 });
  later(() => next.close());
  const after = new Client(next.grpcAddress);
  later(() => close(after));
  const fresh = await after.submit(SWEEP);
  await until(async () => (await after.sweep(fresh.sweepId)).sweep?.state === SweepState.COMPLETED);
  expect(trainer.stopped).toEqual([]);
  for (const { epoch } of trainer.attempts.values()) expect(epoch).toBe(3);
  expect(trainer.started.slice(6).every(({ key }) => key?.sweepId === fresh.sweepId)).toBe(true);
  for (const trial of (await after.sweep(fresh.sweepId)).trials) expect(trial.epoch).toBe(3);
});
