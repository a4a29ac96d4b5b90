import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { LEADER_BUCKET } from '../../../proto/subjects.js';
import { startCoordinator, type RunningCoordinator } from '../../../services/coordinator/index.js';
import { Lease } from '../../../services/coordinator/leadership/lease.js';
import { encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import {
  ensureStreams,
  NatsLink,
  openBucket,
  type Bucket,
} from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { Client, close, coordinatorOptions, failure, readiness, startLeader, SWEEP, until } from './world.js';

let nats: TestNats;
const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);

beforeAll(async () => {
  nats = await startNats();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(() => nats.stop());

const LEASE = { leaseTtlMs: 3_000 };

const leads = async (running: RunningCoordinator): Promise<boolean> =>
  (await readiness(running)).role === 'leading';

describe('the lease', () => {
  const TTL_MS = 900;
  let link: NatsLink;
  let bucket: Bucket;
  beforeAll(async () => {
    link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
    await ensureStreams(link, { leaseTtlMs: TTL_MS, trainerTtlMs: 1_000, replicas: 1 });
    bucket = await openBucket(link, LEADER_BUCKET);
  });
  afterAll(() => link.close());

  const options = (holder: string, over: Bucket = bucket) => ({
    bucket: over,
    self: { holder, coordinatorId: holder, grpcAddress: 'a:1' },
    ttlMs: TTL_MS,
  });

  test('has one holder at a time, is renewed beyond its TTL, and free at once when given back', async () => {
    const one = await Lease.tryAcquire(options('one'));
    expect(await Lease.tryAcquire(options('two'))).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 1.6 * TTL_MS));
    expect(one?.lost.aborted).toBe(false);
    expect(await Lease.tryAcquire(options('two'))).toBeNull();
    expect((await Lease.holder(bucket))?.coordinatorId).toBe('one');
    await one?.release();
    const two = await Lease.tryAcquire(options('two'));
    expect(two).not.toBeNull();
    // A late release of the old holder changes nothing.
    await one?.release();
    expect((await Lease.holder(bucket))?.coordinatorId).toBe('two');
    await two?.release();
  });

  test('is lost at once when somebody else holds it', async () => {
    const one = await Lease.tryAcquire(options('one'));
    const entry = await bucket.get('coordinator');
    await bucket.remove('coordinator', entry?.revision ?? 0);
    const two = await Lease.tryAcquire(options('two'));
    await until(() => one?.lost.aborted === true, TTL_MS);
    await one?.release();
    expect((await Lease.holder(bucket))?.coordinatorId).toBe('two');
    await two?.release();
  });

  test('survives an expiry that nobody used', async () => {
    const one = await Lease.tryAcquire(options('one'));
    const entry = await bucket.get('coordinator');
    await bucket.remove('coordinator', entry?.revision ?? 0);
    await new Promise((resolve) => setTimeout(resolve, TTL_MS / 2));
    expect(one?.lost.aborted).toBe(false);
    expect((await Lease.holder(bucket))?.coordinatorId).toBe('one');
    await one?.release();
  });

  test('survives a lost acknowledgement of a renewal, and is lost when none gets through for a TTL', async () => {
    let mode: 'ok' | 'lost' | 'away' = 'ok';
    const faulty: Bucket = {
      create: (...args) => (mode === 'away' ? Promise.reject(new Error('away')) : bucket.create(...args)),
      update: async (...args) => {
        if (mode === 'away') throw Object.assign(new Error('away'));
        const written = await bucket.update(...args);
        return mode === 'lost' ? null : written;
      },
      remove: (...args) => bucket.remove(...args),
      get: (key) => bucket.get(key),
      watch: (signal) => bucket.watch(signal),
    };
    const one = await Lease.tryAcquire(options('one', faulty));
    mode = 'lost';
    await new Promise((resolve) => setTimeout(resolve, TTL_MS / 2));
    mode = 'ok';
    await new Promise((resolve) => setTimeout(resolve, TTL_MS));
    expect(one?.lost.aborted).toBe(false);
    mode = 'away';
    await until(() => one?.lost.aborted === true, 1.5 * TTL_MS);
    mode = 'ok';
    await one?.release();
  });
});

describe('the lease, trap by trap', () => {
  const TTL_MS = 1_200;
  const link = { bucket: null as unknown as Bucket, close: (): Promise<void> => Promise.resolve() };
  beforeAll(async () => {
    const connected = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
    link.close = () => connected.close();
    await ensureStreams(connected, { leaseTtlMs: TTL_MS, trainerTtlMs: 1_000, replicas: 1 });
    link.bucket = await openBucket(connected, LEADER_BUCKET);
  });
  afterAll(() => link.close());

  const options = (holder: string, over: Partial<Bucket> = {}, ttlMs = TTL_MS) => {
    const { bucket } = link;
    return {
      bucket: {
        create: over.create ?? ((...args) => bucket.create(...args)),
        update: over.update ?? ((...args) => bucket.update(...args)),
        remove: over.remove ?? ((...args) => bucket.remove(...args)),
        get: over.get ?? ((key) => bucket.get(key)),
        watch: (signal) => bucket.watch(signal),
      } satisfies Bucket,
      self: { holder, coordinatorId: holder, grpcAddress: 'a:1' },
      ttlMs,
    };
  };
  /** Waits for what an earlier test left to run out; given back also when this one fails. */
  const acquire = async (of: ReturnType<typeof options>): Promise<Lease | null> => {
    const lease = await Lease.acquire(of, AbortSignal.timeout(10_000));
    if (lease !== null) later(() => lease.release());
    return lease;
  };
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  test('some renewals fail, and the deadline has not passed: it is kept', async () => {
    let failures = 2;
    const update: Bucket['update'] = (...args) => {
      if (failures === 0) return link.bucket.update(...args);
      failures -= 1;
      return Promise.reject(new Error('a blink'));
    };
    const one = await acquire(options('one', { update }));
    await pause(1.5 * TTL_MS);
    expect(failures).toBe(0);
    expect(one?.lost.aborted).toBe(false);
    await one?.release();
  });

  test('the server let it run out before its holder did: it is made anew, not given up', async () => {
    // Renewed a third of six times the server's TTL: the renewal finds "wrong last sequence: 0".
    const one = await acquire(options('one', {}, 6 * TTL_MS));
    await until(async () => (await link.bucket.get('coordinator')) === null, 2 * TTL_MS);
    await until(async () => (await Lease.holder(link.bucket))?.holder === 'one', 2 * TTL_MS);
    expect(one?.lost.aborted).toBe(false);
    await one?.release();
  });

  test('an expiry tells nobody: who waits asks again and again', async () => {
    await link.bucket.create(
      'coordinator',
      Buffer.from('{"holder":"dead","coordinatorId":"d","grpcAddress":"a:1"}'),
    );
    const begin = performance.now();
    const two = await Lease.acquire(options('two'), AbortSignal.timeout(10_000));
    expect(two).not.toBeNull();
    expect(performance.now() - begin).toBeLessThan(2 * TTL_MS);
    await two?.release();
  });

  test('an old answer says that it is still held: only a write that came through counts', async () => {
    let stolen = false;
    const one = await acquire(
      options('one', {
        get: async (key) => {
          const entry = await link.bucket.get(key);
          const value = Buffer.from('{"holder":"one","coordinatorId":"one","grpcAddress":"a:1"}');
          return stolen && entry !== null ? { ...entry, value, revision: entry.revision - 1 } : entry;
        },
      }),
    );
    const entry = await link.bucket.get('coordinator');
    await link.bucket.remove('coordinator', entry?.revision ?? 0);
    const two = await acquire(options('two'));
    stolen = true;
    await until(() => one?.lost.aborted === true, 1.5 * TTL_MS);
    await one?.release();
    expect((await Lease.holder(link.bucket))?.holder).toBe('two');
    await two?.release();
  });

  test('the clock on the wall jumps by an hour: nothing happens', async () => {
    const one = await acquire(options('one'));
    later(() => {
      vi.useRealTimers();
      return Promise.resolve();
    });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    await pause(1.2 * TTL_MS);
    vi.setSystemTime(0);
    await pause(0.5 * TTL_MS);
    vi.useRealTimers();
    expect(one?.lost.aborted).toBe(false);
    expect(await Lease.tryAcquire(options('two'))).toBeNull();
    await one?.release();
  });
});

test('a leader whose term is over is told so by its next append, which changes nothing', async () => {
  const one = await startLeader(nats.url, { leaseTtlMs: 4_000 });
  later(() => one.close());
  const { term } = await readiness(one);
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  later(() => link.close());
  const log = new JetStreamLog(link);
  const before = await loadLedger(log);
  const data = encodeBatch(
    { appendId: 'other', term: term + 1, at: Date.now(), reportsSeq: before.reports.seq },
    [
      encodeEvents([
        {
          type: 'term_started',
          ledgerId: before.state.ledgerId,
          term: term + 1,
          coordinatorId: 'other',
          settings: before.state.settings,
          at: Date.now(),
        },
      ]),
    ],
  );
  expect(await log.append('other', data, before.lastSeq)).toMatchObject({ ok: true });
  const client = new Client(one.grpcAddress);
  later(() => close(client));
  expect(await failure(client.submit(SWEEP))).toBe('DEPOSED');
  expect((await loadLedger(log)).state.sweeps.size).toBe(before.state.sweeps.size);
  // Nobody else holds the lease: it goes on, in a term of its own.
  await until(async () => (await readiness(one)).term === term + 2, 30_000);
});

test('the follower answers NOT_LEADER and names the leader; it leads at once when the leader closes', async () => {
  const long = { leaseTtlMs: 9_000 };
  const one = await startLeader(nats.url, long);
  later(() => one.close());
  const two = await startCoordinator(coordinatorOptions(nats.url, { coordinatorId: 'two', ...long }));
  later(() => two.close());
  const client = new Client(two.grpcAddress);
  later(() => close(client));
  expect(await failure(client.submit(SWEEP))).toBe('NOT_LEADER');
  await expect(client.sweep()).rejects.toThrow(/one at 127\.0\.0\.1/);
  const { term } = await readiness(one);
  await one.close();
  // Renewed each third of its time: it would not have run out by itself.
  await until(() => leads(two), (2 / 3) * long.leaseTtlMs);
  expect((await readiness(two)).term).toBe(term + 1);
});

test('a leader that is cut off is replaced within two leases, and changes nothing when it comes back', async () => {
  const proxy = await startTcpProxy({ port: nats.port });
  later(() => proxy.close());
  const one = await startLeader(`nats://127.0.0.1:${proxy.port}`, LEASE);
  later(() => one.close());
  const two = await startCoordinator(coordinatorOptions(nats.url, { coordinatorId: 'two', ...LEASE }));
  later(() => two.close());
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 60 });
  later(() => trainer.vanish());
  const [first, second] = [new Client(one.grpcAddress), new Client(two.grpcAddress)];
  later(() => close(first, second));

  const { sweepId } = await first.submit(SWEEP);
  await until(() => trainer.started.length >= 2);
  proxy.cut();
  const cutAt = performance.now();
  const late = first.submit(SWEEP).catch((error: unknown) => error);
  await until(() => leads(two));
  const takeOverMs = performance.now() - cutAt;
  const messages = await second.watch(sweepId);
  proxy.mend();
  expect(await late).toBeInstanceOf(Error);
  await until(async () => !(await leads(one)));

  const { sweep, trials } = await second.sweep(sweepId);
  expect(sweep?.state).toBe(SweepState.COMPLETED);
  expect(messages.at(-1)?.sweep?.state).toBe(SweepState.COMPLETED);
  for (const trial of trials) expect(trial).toMatchObject({ epoch: 3, attempts: 1 });
  expect(trainer.started).toHaveLength(6);
  expect(takeOverMs).toBeLessThan(2 * LEASE.leaseTtlMs);
  const { sweeps } = await second.call<{ sweeps: readonly unknown[] }>((client, metadata, done) =>
    client.listSweeps({ archived: false, tags: [] }, metadata, done),
  );
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  later(() => link.close());
  expect((await loadLedger(new JetStreamLog(link))).state.sweeps.size).toBe(sweeps.length);
});
