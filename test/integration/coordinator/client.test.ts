/** The client for programs, against a real coordinator that is restarted under it. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SweepState, TrialState, WattsweepClient, type SweepEvent } from '../../../client/index.js';
import { Coordinator } from '../../../client/coordinator.js';
import { CODE_PIECE_BYTES } from '../../../proto/code.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startLeader, until } from './world.js';

const TOKEN = 'a join token';
let nats: TestNats;
let running: RunningCoordinator;
let trainer: FakeTrainer;
let client: WattsweepClient;

beforeAll(async () => {
  nats = await startNats();
  running = await startLeader(nats.url, { token: TOKEN });
  trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 20 });
  client = new WattsweepClient({ server: running.grpcAddress, token: TOKEN });
});

afterAll(async () => {
  client.close();
  await trainer.vanish();
  await running.close();
  await nats.stop();
});

const study = {
  name: 'from a program',
  recipe: 'resnet-cifar10',
  objective: { metric: 'val_accuracy', goal: 'maximize' },
  max_epochs: 5,
  sweep: { batch_size: [32, 64], lr_peak: { min: 0.1, max: 0.4, count: 2 } },
};

test('submits an object, tells what happens, waits, and reads the report', async () => {
  const { sweepId } = await client.submit(study, { tags: ['program'], overrides: ['max_epochs=4'] });
  const events: SweepEvent[] = [];
  for await (const event of client.watch(sweepId)) events.push(event);
  const { sweep, trials } = await client.wait(sweepId);
  expect(sweep).toMatchObject({ state: SweepState.COMPLETED, tags: ['program'], maxEpochs: 4 });
  expect(trials.map(({ state, epoch }) => [state, epoch])).toEqual(
    Array.from({ length: 4 }, () => [TrialState.SUCCEEDED, 4]),
  );
  expect(events[0]).toMatchObject({ type: 'sweep' });
  const told = events.flatMap((event) => (event.type === 'trial' ? [event.trial] : []));
  expect(new Set(told.map(({ trialId }) => trialId)).size).toBe(4);
  expect(events).toContainEqual({ type: 'message', message: expect.stringContaining('ended') as string });
  expect(await client.report(sweepId)).toMatchObject({ sweep: { sweepId } });
  expect((await client.list())[0]?.sweepId).toBe(sweepId);
});

test('waits through a restart of the coordinator', async () => {
  const { sweepId } = await client.submit({ ...study, max_epochs: 60 });
  const waiting = client.wait(sweepId);
  const [, grpcPort] = running.grpcAddress.split(':');
  await running.close();
  running = await startLeader(nats.url, { token: TOKEN, coordinatorId: 'two', grpcPort: Number(grpcPort) });
  const { sweep, trials } = await waiting;
  expect(sweep.state).toBe(SweepState.COMPLETED);
  expect(trials.every(({ epoch }) => epoch === 60)).toBe(true);
});

test('stops; mistakes are told by code', async () => {
  const { sweepId } = await client.submit({ ...study, max_epochs: 100_000 });
  await client.stop(sweepId);
  expect((await client.wait(sweepId)).sweep.state).toBe(SweepState.STOPPED);
  await expect(client.stop(sweepId)).rejects.toMatchObject({ code: 'SWEEP_ENDED' });
  await expect(client.submit({ ...study, epochs: 3 })).rejects.toMatchObject({ code: 'SPEC_UNKNOWN_KEY' });
  await expect(client.submit(`# ${'x'.repeat(40_000_000)}`)).rejects.toMatchObject({
    code: 'SPEC_TOO_LARGE',
  });
  await expect(client.wait('nobody')).rejects.toMatchObject({ code: 'SWEEP_NOT_FOUND' });
});

test('uploads code piece by piece, once, and without a listener more for each that waits', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const coordinator = new Coordinator({ address: running.grpcAddress, token: TOKEN });
  try {
    const content = randomBytes(40 * CODE_PIECE_BYTES);
    const code = { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length };
    let sent = 0;
    let closed = 0;
    async function* pieces(): AsyncGenerator<Buffer> {
      try {
        for (let at = 0; at < content.length; at += CODE_PIECE_BYTES) {
          sent += 1;
          yield await Promise.resolve(content.subarray(at, at + CODE_PIECE_BYTES));
        }
      } finally {
        closed += 1;
      }
    }
    expect(await coordinator.uploadCode(code, pieces)).toEqual({ stored: true });
    expect(sent).toBe(40);
    expect(await coordinator.uploadCode(code, pieces)).toEqual({ stored: false });
    await until(() => closed === 2);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', onWarning);
    coordinator.close();
  }
});
