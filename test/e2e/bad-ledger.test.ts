/** A ledger that this program cannot go on with: the coordinator's process says which entry and why, and changes nothing. */
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { errorRegistry } from '../../proto/errors.js';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../proto/subjects.js';
import { FakeTrainer } from '../support/fake-trainer.js';
import { startNats, type TestNats } from '../support/nats.js';
import { type Running, Sandbox, until } from './support.js';

let box: Sandbox;
let nats: TestNats;
let connection: NatsConnection;
let manager: JetStreamManager;
beforeEach(async () => {
  box = new Sandbox();
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  manager = await connection.jetstreamManager();
});
afterEach(async () => {
  await box.close();
  await connection.close();
  await nats.stop();
});

const coordinator = (): Running =>
  box.wattsweep([
    'coordinator',
    '--nats',
    nats.url,
    '--grpc-port',
    '0',
    '--http-port',
    '0',
    '--lease-ttl',
    '2s',
  ]);

async function leading(): Promise<Running> {
  const running = coordinator();
  await until('it leads', () => running.stderr.includes('"msg":"leading"'), { words: () => running.words });
  return running;
}

/** The stream LEDGER with these entries, in place of the one that is there. */
async function put(...entries: readonly string[]): Promise<void> {
  const { config } = await manager.streams.info(LEDGER_STREAM);
  await manager.streams.delete(LEDGER_STREAM);
  await manager.streams.add(config);
  for (const entry of entries) await connection.jetstream().publish(LEDGER_SUBJECT, entry);
}

async function entries(): Promise<string[]> {
  const { state } = await manager.streams.info(LEDGER_STREAM);
  return Promise.all(
    Array.from({ length: state.last_seq }, async (_, i) =>
      (await manager.streams.getMessage(LEDGER_STREAM, { seq: i + 1 })).string(),
    ),
  );
}

async function expectEnd(
  running: Running,
  code: keyof typeof errorRegistry,
  ...words: string[]
): Promise<void> {
  const { exitCode, stderr } = await running.exit;
  for (const word of [`error[${code}]: `, ...words]) expect(stderr).toContain(word);
  expect(exitCode).toBe(errorRegistry[code].exit);
}

it('a ledger with a broken entry, an event of the future, or put in the place of its own ends the process with exit code 4', async () => {
  const first = await leading();
  first.child.kill('SIGTERM');
  expect((await first.exit).exitCode).toBe(0);
  const [good = ''] = await entries();

  const bad = [
    [[good, good.slice(0, 40)], 'LEDGER_UNREADABLE', "the ledger's entry 2 cannot be read"],
    [[good, '{"v":1}'], 'LEDGER_UNREADABLE', "the ledger's entry 2 cannot be read"],
    [
      [good.replace('term_started', 'term_blessed')],
      'LEDGER_VERSION',
      'entry 1 holds an event "term_blessed"',
    ],
  ] as const;
  for (const [texts, code, words] of bad) {
    await put(...texts);
    await expectEnd(coordinator(), code, words, errorRegistry[code].advice);
    expect(await entries()).toEqual(texts);
  }

  await put(good);
  const running = await leading();
  const others = good.replace(/"ledgerId":"[^"]+"/, '"ledgerId":"theirs"');
  await put(others);
  // Something to write down.
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box' });
  await expectEnd(running, 'LEDGER_UNREADABLE', 'the stream LEDGER holds the ledger theirs now');
  await trainer.vanish();
  expect(await entries()).toEqual([others]);
});
