/** As docs/runbook.md says: stop, copy the folder, go on, restore the copy, go on. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SweepState, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { Client, close, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('a restored copy goes on above the term that trainers remember, and counts nothing twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'wattsweep-restore-'));
  later(() => rm(folder, { recursive: true, force: true }));
  const [store, copy] = [join(folder, 'jetstream'), join(folder, 'copy')];
  let nats = await startNats({ dataDir: store });
  later(() => nats.stop());
  let leader = await startLeader(nats.url, { leaseTtlMs: 1_000 });
  later(() => leader.close());
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 150 });
  later(() => trainer.vanish());
  const client = new Client(leader.grpcAddress);
  const { sweepId } = await client.submit(SWEEP);
  await until(() => trainer.started.length >= 2);
  client.close();

  // The copy: coordinator and server are stopped, training goes on.
  await leader.close();
  await nats.stop();
  await cp(store, copy, { recursive: true });
  nats = await startNats({ dataDir: store, port: nats.port });

  // Two more terms, and trials that the copy will not know.
  for (const coordinatorId of ['two', 'three']) {
    leader = await startLeader(nats.url, { coordinatorId, leaseTtlMs: 1_000 });
    const before = trainer.started.length;
    await until(() => trainer.started.length > before);
    await leader.close();
  }
  const known = new Set(trainer.attempts.keys());
  const { term } = trainer.fence;

  await nats.stop();
  await rm(store, { recursive: true });
  await cp(copy, store, { recursive: true });
  nats = await startNats({ dataDir: store, port: nats.port });
  leader = await startLeader(nats.url, { coordinatorId: 'four', leaseTtlMs: 1_000 });
  const after = new Client(leader.grpcAddress);
  later(() => close(after));
  await until(async () => (await after.sweep(sweepId)).sweep?.state === SweepState.COMPLETED, 60_000);
  const { trials } = await after.sweep(sweepId);
  expect(trials).toHaveLength(6);
  for (const trial of trials) expect(trial).toMatchObject({ state: TrialState.SUCCEEDED, epoch: 3 });

  expect(trainer.fence.term).toBeGreaterThan(term);
  expect(trainer.stopped).toEqual([]);
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  const { state } = await loadLedger(new JetStreamLog(link));
  await link.close();
  expect(state.copies).toBe(1);
  expect(state.notices.map(({ text }) => text).join()).toMatch(/older copy/);
  for (const { trialId, epochs, attempts } of state.sweeps.get(sweepId)!.trials.values()) {
    expect(epochs.map(({ epoch }) => epoch)).toEqual([...new Set(epochs.map(({ epoch }) => epoch))]);
    // What was assigned after the copy was taken up has a number that the lost part never gave.
    for (const { attempt } of attempts)
      if (attempt < 1_000) expect(known).toContain(`${sweepId}/${trialId}#${attempt}`);
  }
});
