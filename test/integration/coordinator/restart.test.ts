import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import {
  JetStreamLog,
  loadLedger,
  ObjectStoreSnapshots,
} from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { Client, close, readiness, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const SCRIPT = fileURLToPath(new URL('run-coordinator.ts', import.meta.url));

test('kill -9 in the middle of a sweep: training goes on, the next one ends it, nothing lost or doubled', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, nats.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  later(() => Promise.resolve(child.kill('SIGKILL')));
  const line = await new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve));
  const address = JSON.parse(line) as { grpcAddress: string; httpAddress: string };
  await until(async () => (await readiness(address)).role === 'leading');
  const trainer = await FakeTrainer.start({
    natsUrl: nats.url,
    trainerId: 'box',
    slots: 2,
    epochMs: 80,
    copies: 2,
  });
  later(() => trainer.vanish());

  const before = new Client(address.grpcAddress);
  const { sweepId } = await before.submit(SWEEP, 'request-1');
  await until(() => trainer.started.length >= 3);
  child.kill('SIGKILL');
  before.close();

  const next = await startLeader(nats.url, { coordinatorId: 'next', leaseTtlMs: 1_500 });
  later(() => next.close());
  const client = new Client(next.grpcAddress);
  later(() => close(client));
  expect(await client.submit(SWEEP, 'request-1')).toMatchObject({ sweepId });
  await client.watch(sweepId);
  const { sweep, trials } = await client.sweep(sweepId);
  expect(sweep?.state).toBe(SweepState.COMPLETED);
  expect(trials).toHaveLength(6);
  for (const trial of trials) expect(trial).toMatchObject({ epoch: 3, attempts: 1 });
  expect(new Set(trainer.started.map(({ key }) => key?.trialId)).size).toBe(6);
  expect(trainer.started).toHaveLength(6);
});

test('a restart in order shows the same sweeps, trials and decisions', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const one = await startLeader(nats.url, { snapshotEvents: 10 });
  const trainer = await FakeTrainer.start({
    natsUrl: nats.url,
    trainerId: 'box',
    slots: 3,
    value: ({ key }, epoch) => epoch / 10 + Number(key?.trialId.slice(1)) / 100,
  });
  later(() => trainer.vanish());
  const before = new Client(one.grpcAddress);
  const { sweepId } = await before.submit(`${SWEEP}stopping: { rule: asha, first_rung: 1, eta: 2 }\n`);
  await before.watch(sweepId);
  const shown = await before.sweep(sweepId);
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  later(() => link.close());
  const folded = await loadLedger(new JetStreamLog(link));
  const snapshots = new ObjectStoreSnapshots(link);
  await until(async () => (await snapshots.list()).length === 2);
  before.close();
  await one.close();

  const two = await startLeader(nats.url, { coordinatorId: 'two' });
  later(() => two.close());
  const after = new Client(two.grpcAddress);
  later(() => close(after));
  expect(await after.sweep(sweepId)).toEqual(shown);
  const metrics = await (await fetch(`http://${two.httpAddress}/metrics`)).text();
  expect(metrics).toMatch(/^wattsweep_reports_consumed_total.* 0$/m);
  const again = await loadLedger(new JetStreamLog(link));
  expect(again.state.sweeps).toEqual(folded.state.sweeps);
  expect(again.state.term).toBe(folded.state.term + 1);
  expect(again.state.ledgerId).toBe(folded.state.ledgerId);
});

test('nats-server dies and comes back: the sweep ends complete', async () => {
  const nats = await startNats();
  let server = nats;
  later(() => server.stop());
  const coordinator = await startLeader(nats.url);
  later(() => coordinator.close());
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 50 });
  later(() => trainer.vanish());
  const client = new Client(coordinator.grpcAddress);
  later(() => close(client));
  const { sweepId } = await client.submit(SWEEP);
  await until(() => trainer.started.length >= 2);
  await nats.kill();
  await new Promise((resolve) => setTimeout(resolve, 300));
  server = await startNats({ dataDir: nats.dir, port: nats.port });
  await until(async () => {
    const { sweep } = await client.sweep(sweepId).catch(() => ({ sweep: undefined }));
    return sweep?.state === SweepState.COMPLETED;
  }, 30_000);
  const { trials } = await client.sweep(sweepId);
  for (const trial of trials) expect(trial).toMatchObject({ epoch: 3 });
});
