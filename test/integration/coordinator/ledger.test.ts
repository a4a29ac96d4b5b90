import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from 'nats';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../../proto/subjects.js';
import { encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { header, ledgerContract, paused, termStarted } from './ledger.contract.js';

const settings = { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 };
const linkTo = (port: number): Promise<NatsLink> =>
  NatsLink.connect({ url: `nats://127.0.0.1:${port}`, token: null, name: 'test' });

ledgerContract('ledger in memory', () => {
  let next: 'before' | 'after' | null = null;
  const log = new MemoryLog({
    lose: () => {
      const now = next;
      next = null;
      return now;
    },
  });
  return Promise.resolve({
    log,
    other: log,
    loseNextAcknowledgement: () => (next = 'after'),
    loseNextRequest: () => (next = 'before'),
    close: () => Promise.resolve(),
  });
});

ledgerContract('ledger on JetStream', async () => {
  const nats = await startNats();
  const proxy = await startTcpProxy({ port: nats.port });
  const [link, direct] = await Promise.all([linkTo(proxy.port), linkTo(nats.port)]);
  await ensureStreams(direct, settings);
  return {
    log: new JetStreamLog(link),
    other: new JetStreamLog(direct),
    loseNextAcknowledgement: () => {
      proxy.mute();
      setTimeout(() => proxy.mend(), 200);
    },
    loseNextRequest: () => {
      proxy.cut();
      setTimeout(() => proxy.mend(), 200);
    },
    close: async () => {
      await Promise.all([link.close(), direct.close()]);
      await proxy.close();
      await nats.stop();
    },
  };
});

describe('a ledger that cannot be read', () => {
  let nats: TestNats;
  let link: NatsLink;
  beforeAll(async () => {
    nats = await startNats();
    link = await linkTo(nats.port);
  });
  afterAll(async () => {
    await link.close();
    await nats.stop();
  });

  const fresh = async (...entries: Uint8Array[]): Promise<JetStreamLog> => {
    const { manager } = link;
    await manager.streams.delete(LEDGER_STREAM).catch(() => undefined);
    await ensureStreams(link, settings);
    const connection = await connect({ servers: nats.url });
    for (const data of entries) await connection.jetstream().publish(LEDGER_SUBJECT, data);
    await connection.close();
    return new JetStreamLog(link);
  };
  const good = encodeBatch(header('a', 1), [encodeEvents([termStarted(1)])]);

  test('names the broken entry', async () => {
    const log = await fresh(good, Buffer.from('{"v":1,"appen'));
    await expect(loadLedger(log)).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE', message: /entry 2/ });
  });

  test('names an entry that does not follow from those before', async () => {
    const log = await fresh(good, encodeBatch(header('b', 1), [encodeEvents([paused('nobody')])]));
    await expect(loadLedger(log)).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE', message: /entry 2/ });
  });

  test('refuses a future version and an unknown event', async () => {
    const future = Buffer.from(
      Buffer.from(good)
        .toString()
        .replace(/"v":\d+/, '"v":99'),
    );
    await expect(loadLedger(await fresh(future))).rejects.toMatchObject({
      code: 'LEDGER_VERSION',
      message: /version 99/,
    });
    const event = Buffer.from(Buffer.from(good).toString().replace('term_started', 'term_blessed'));
    await expect(loadLedger(await fresh(event))).rejects.toMatchObject({
      code: 'LEDGER_VERSION',
      message: /term_blessed/,
    });
  });

  test('reads thousands of entries in one go', async () => {
    const log = await fresh(good);
    const connection = await connect({ servers: nats.url });
    const js = connection.jetstream();
    const data = encodeBatch(header('n', 1), []);
    for (let i = 0; i < 10; i += 1) {
      await Promise.all(Array.from({ length: 200 }, () => js.publish(LEDGER_SUBJECT, data)));
    }
    await connection.close();
    expect((await loadLedger(log)).lastSeq).toBe(2_001);
  });
});
