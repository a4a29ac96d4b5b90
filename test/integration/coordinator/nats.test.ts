import { connect } from 'nats';
import { afterEach, describe, expect, test } from 'vitest';
import { CODE_BUCKET, TELEMETRY_STREAM } from '../../../proto/subjects.js';
import { startCoordinator } from '../../../services/coordinator/index.js';
import {
  ensureStreams,
  NatsLink,
  ObjectBucket,
  openBucket,
} from '../../../services/coordinator/nats/index.js';
import { refuseMismatch, wantedStreams } from '../../../services/coordinator/nats/streams.js';
import { startNats } from '../../support/nats.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { coordinatorOptions, readiness, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const settings = { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 };

async function world(): Promise<{ url: string; link: NatsLink }> {
  const nats = await startNats();
  later(() => nats.stop());
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  later(() => link.close());
  return { url: nats.url, link };
}

describe('streams', () => {
  test('are made with every setting, found again, and their limits changed', async () => {
    const { link } = await world();
    await ensureStreams(link, settings);
    const ledger = (await link.manager.streams.info('LEDGER')).config;
    expect(ledger).toMatchObject({
      deny_delete: true,
      deny_purge: true,
      max_age: 0,
      max_bytes: -1,
      storage: 'file',
    });
    expect((await link.manager.streams.info(TELEMETRY_STREAM)).config).toMatchObject({
      persist_mode: 'async',
    });
    await ensureStreams(link, settings);
    await ensureStreams(link, { ...settings, trainerTtlMs: 5_000 });
    expect((await link.manager.streams.info('KV_trainers')).config.max_age).toBe(5_000 * 1e6);
  });

  test('of somebody else are refused, and left as they are', async () => {
    const { url, link } = await world();
    await link.manager.streams.add({ name: 'LEDGER', subjects: ['their.ledger'] });
    const starting = startCoordinator(coordinatorOptions(url));
    await expect(starting).rejects.toMatchObject({ code: 'NATS_CONFIG', message: /LEDGER has subjects/ });
    expect((await link.manager.streams.info('LEDGER')).config.subjects).toEqual(['their.ledger']);
  });

  test('with a setting that the server dropped are refused, with setting and version', () => {
    const ledger = wantedStreams(settings)[0]!;
    const { deny_purge: _dropped, ...kept } = ledger;
    expect(() => refuseMismatch(ledger, kept, null, '2.9.10')).toThrow(
      expect.objectContaining({
        code: 'NATS_CONFIG',
        message: expect.stringMatching(/deny_purge.*2\.9\.10/) as string,
      }),
    );
  });

  test('cannot be emptied: the ledger denies deletion', async () => {
    const { url, link } = await world();
    await ensureStreams(link, settings);
    const connection = await connect({ servers: url });
    later(() => connection.close());
    await connection.jetstream().publish('wattsweep.v1.ledger', 'x');
    await expect(link.manager.streams.purge('LEDGER')).rejects.toThrow();
    await expect(link.manager.streams.deleteMessage('LEDGER', 1)).rejects.toThrow();
  });
});

test('a consumption and a watch end whenever their signal comes, also while they begin', async () => {
  const { link } = await world();
  await ensureStreams(link, settings);
  const trainers = await openBucket(link, 'trainers');
  const ends = Array.from({ length: 40 }, async (_, i) => {
    const stop = new AbortController();
    const begun = i % 2 === 0 ? link.consume('REPORTS', 1, stop.signal) : trainers.watch(stop.signal);
    setTimeout(() => stop.abort(), i / 2);
    while ((await begun.next()).done !== true);
  });
  await expect(Promise.all(ends)).resolves.toHaveLength(40);
});

test('a consumption goes on where it stood when the server has lost its consumer', async () => {
  const { link } = await world();
  await ensureStreams(link, settings);
  const stop = new AbortController();
  later(() => {
    stop.abort();
    return Promise.resolve();
  });
  const reading = link.consume('REPORTS', 1, stop.signal);
  for (let round = 1; round <= 3; round += 1) {
    await link.publish('wattsweep.v1.reports.box', Buffer.from(String(round)), { messageId: String(round) });
    expect((await reading.next()).value).toMatchObject({ seq: round, data: Buffer.from(String(round)) });
    const [consumer] = await link.manager.consumers.list('REPORTS').next();
    await link.manager.consumers.delete('REPORTS', consumer!.name);
  }
});

test('a watch says what is there, then what comes and goes, also of a bucket that was made anew', async () => {
  const { link } = await world();
  await ensureStreams(link, settings);
  const trainers = await openBucket(link, 'trainers');
  const value = Buffer.from('here');
  const revision = await trainers.create('box', value);
  const stop = new AbortController();
  later(() => {
    stop.abort();
    return Promise.resolve();
  });
  const watching = trainers.watch(stop.signal);
  expect((await watching.next()).value).toMatchObject({
    type: 'put',
    entry: { key: 'box', value, revision },
  });
  const renewed = (await trainers.update('box', value, revision!))!;
  expect((await watching.next()).value).toMatchObject({
    type: 'put',
    entry: { key: 'box', revision: renewed },
  });
  await trainers.remove('box', renewed);
  expect((await watching.next()).value).toEqual({ type: 'removed', key: 'box' });
  await link.manager.streams.delete('KV_trainers');
  await ensureStreams(link, settings);
  await trainers.create('other', value);
  expect((await watching.next()).value).toMatchObject({ type: 'put', entry: { key: 'other', revision: 1 } });
});

test('of an object store what is named stays, and what was just written or is being written', async () => {
  const { link } = await world();
  await ensureStreams(link, settings);
  const store = new ObjectBucket(link, CODE_BUCKET);
  const put = async (name: string): Promise<void> => {
    const sink = store.create();
    await sink.write(Buffer.from(name));
    await sink.finish(name, {});
  };
  const names = async (): Promise<string[]> => (await store.list()).map(({ name }) => name).sort();
  await put('named');
  await put('forgotten');
  const underWay = store.create();
  await underWay.write(Buffer.from('half'));
  const isNamed = ({ name }: { readonly name: string }): boolean => name === 'named';
  expect(await store.keepOnly(isNamed, Date.now() - 60_000)).toBe(0);
  await underWay.finish('late', {});
  expect(await names()).toEqual(['forgotten', 'late', 'named']);
  expect(await store.has('late')).toBe(true);
  const givenUp = store.create();
  await givenUp.write(Buffer.from('half'));
  await until(async () => (await subjectsOf(link)).length === 7);
  expect(await store.keepOnly(isNamed, Date.now() + 60_000)).toBe(2);
  expect(await names()).toEqual(['named']);
  expect(await store.has('named')).toBe(true);
  expect(await subjectsOf(link)).toHaveLength(2);
});

async function subjectsOf(link: NatsLink): Promise<readonly string[]> {
  const info = await link.manager.streams.info(`OBJ_${CODE_BUCKET}`, { subjects_filter: '>' });
  return Object.keys(info.state.subjects ?? {});
}

test('an old server is refused, with the version that is needed', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const rewrite = (chunk: Buffer): Buffer => {
    const text = chunk.toString('latin1');
    return Buffer.from(text.replace(/"version":"[^"]+"/, '"version":"2.10.29"'), 'latin1');
  };
  const proxy = await startTcpProxy({ port: nats.port, rewrite });
  later(() => proxy.close());
  const starting = startCoordinator(coordinatorOptions(`nats://127.0.0.1:${proxy.port}`));
  await expect(starting).rejects.toMatchObject({ code: 'NATS_TOO_OLD', message: /2\.10\.29 .* 2\.12\.0/ });
});

test('a wrong join token is refused at once', async () => {
  const nats = await startNats({ token: 'right' });
  later(() => nats.stop());
  const starting = startCoordinator(coordinatorOptions(nats.url, { token: 'wrong' }));
  await expect(starting).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('without NATS it keeps trying, says so at /readyz, and leads once NATS is there', async () => {
  const first = await startNats();
  await first.kill();
  const httpPort = (await startNats().then(async (other) => (await other.kill(), other))).port;
  const starting = startCoordinator(coordinatorOptions(first.url, { httpPort }));
  later(async () => (await starting).close());
  const address = { httpAddress: `127.0.0.1:${httpPort}` };
  await until(async () => (await readiness(address).catch(() => null)) !== null);
  const response = await fetch(`http://${address.httpAddress}/readyz`);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ ready: false, nats: false, role: 'starting', term: 0 });
  expect((await fetch(`http://${address.httpAddress}/healthz`)).status).toBe(200);
  expect((await fetch(`http://${address.httpAddress}/metrics`)).status).toBe(503);
  const nats = await startNats({ port: first.port });
  later(() => nats.stop());
  await starting;
  await until(async () => (await readiness(address)).role === 'leading');
});

test('a start that waits for NATS can be given up', async () => {
  const nats = await startNats();
  await nats.kill();
  const giveUp = new AbortController();
  const starting = startCoordinator({ ...coordinatorOptions(nats.url), signal: giveUp.signal });
  setTimeout(() => giveUp.abort(), 300);
  await expect(starting).rejects.toMatchObject({ code: 'NATS_UNREACHABLE' });
});

test('a ledger that cannot be read ends the coordinator, with the entry named', async () => {
  const { url, link } = await world();
  await ensureStreams(link, settings);
  await link.publish('wattsweep.v1.ledger', Buffer.from('{"v":1,'), { messageId: 'broken' });
  const running = await startCoordinator(coordinatorOptions(url));
  await expect(running.done).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE', message: /entry 1/ });
});
