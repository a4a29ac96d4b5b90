import { afterAll, beforeAll, expect, test } from 'vitest';
import { SweepState, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { Client, startLeader, SWEEP } from './world.js';

let nats: TestNats;
let coordinator: RunningCoordinator;
let client: Client;
let trainer: FakeTrainer;

beforeAll(async () => {
  nats = await startNats();
  coordinator = await startLeader(nats.url);
  client = new Client(coordinator.grpcAddress);
  trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, copies: 2 });
});

afterAll(async () => {
  client.close();
  await trainer.vanish();
  await coordinator.close();
  await nats.stop();
});

test('a sweep runs from submission to its end, every report counted once', async () => {
  const { sweepId } = await client.submit(SWEEP);
  const messages = await client.watch(sweepId);
  const { sweep, trials } = await client.sweep(sweepId);
  expect(sweep?.state).toBe(SweepState.COMPLETED);
  expect(trials).toHaveLength(6);
  for (const trial of trials) {
    expect(trial).toMatchObject({ state: TrialState.SUCCEEDED, epoch: 3, attempts: 1, bestObjective: 0.03 });
    expect(trial.seconds).toBe(4.5);
    expect(trial.joules).toBeUndefined();
  }
  expect(trainer.started).toHaveLength(6);
  expect(messages.at(-1)?.sweep?.state).toBe(SweepState.COMPLETED);
});
