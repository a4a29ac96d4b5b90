import { afterEach, beforeEach, expect, test } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import {
  SweepControl,
  SweepState,
  TrainerState,
  TrialState,
  type ControlSweepResponse,
  type ListTrainersResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer, type FakeTrainerOptions } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { Client, close, failure, startLeader, SWEEP, until } from './world.js';

let nats: TestNats;
let coordinator: RunningCoordinator;
let client: Client;
const trainers: FakeTrainer[] = [];

beforeEach(async () => {
  nats = await startNats();
  coordinator = await startLeader(nats.url);
  client = new Client(coordinator.grpcAddress);
});
afterEach(async () => {
  for (const trainer of trainers.splice(0)) await trainer.vanish();
  await close(client);
  await coordinator.close();
  await nats.stop();
});

async function box(over: Partial<FakeTrainerOptions> & { readonly trainerId: string }): Promise<FakeTrainer> {
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, slots: 2, ...over });
  trainers.push(trainer);
  await until(async () =>
    (await fleet()).some(
      ({ trainerId, state }) => trainerId === over.trainerId && state === TrainerState.ALIVE,
    ),
  );
  return trainer;
}

const fleet = async (): Promise<ListTrainersResponse['trainers']> =>
  (await client.call<ListTrainersResponse>((api, metadata, done) => api.listTrainers({}, metadata, done)))
    .trainers;

const control = (sweepId: string, what: SweepControl): Promise<ControlSweepResponse> =>
  client.call((api, metadata, done) => api.controlSweep({ sweepId, control: what }, metadata, done));

test('attempts of a trainer that stays away run elsewhere, and no trial is lost or counted twice', async () => {
  const lost = await box({ trainerId: 'lost', epochMs: 200 });
  const { sweepId } = await client.submit(SWEEP);
  await until(() => lost.started.length === 2);
  await lost.vanish();
  await until(
    async () => (await fleet()).find((t) => t.trainerId === 'lost')?.state === TrainerState.SUSPECT,
  );
  const other = await box({ trainerId: 'other' });
  const messages = await client.watch(sweepId);
  const { sweep, trials } = await client.sweep(sweepId);
  expect(sweep?.state).toBe(SweepState.COMPLETED);
  expect(trials.map(({ state, epoch }) => [state, epoch])).toEqual(
    trials.map(() => [TrialState.SUCCEEDED, 3]),
  );
  expect(trials.map(({ attempts }) => attempts).sort()).toEqual([1, 1, 1, 1, 2, 2]);
  expect(other.started.filter(({ key }) => key?.attempt === 2)).toHaveLength(2);
  expect(messages.flatMap((message) => message.messages)).toContain('trainer lost is lost');
});

test('a trial that a trainer refuses for good fails alone, and says why', async () => {
  await box({
    trainerId: 'picky',
    admit: ({ parametersJson }) => {
      if (parametersJson.includes('"batch_size":64'))
        throw new WattsweepError('PARAMETER_REFUSED', 'batch_size 64 is unlucky');
    },
  });
  const { sweepId } = await client.submit(SWEEP);
  await client.watch(sweepId);
  const { sweep, trials } = await client.sweep(sweepId);
  expect(sweep?.trialsByState).toEqual({ succeeded: 4, failed: 2 });
  const failed = trials.filter(({ state }) => state === TrialState.FAILED);
  expect(failed.map(({ errorCode, reason }) => [errorCode, reason])).toEqual(
    failed.map(() => ['PARAMETER_REFUSED', 'batch_size 64 is unlucky']),
  );
});

test('a busy slot is tried again', async () => {
  let refusals = 1;
  const trainer = await box({
    trainerId: 'busy',
    slots: 1,
    admit: () => {
      if (refusals-- > 0) throw new WattsweepError('SLOT_BUSY', 'cpu0 is not yet free');
    },
  });
  const { sweepId } = await client.submit(SWEEP, '', ['sweep.lr_peak=[0.1]', 'sweep.batch_size=[32]']);
  await client.watch(sweepId);
  expect((await client.sweep(sweepId)).sweep?.trialsByState).toEqual({ succeeded: 1 });
  expect(trainer.started).toHaveLength(1);
});

test('a sweep can be paused, resumed and stopped; afterwards it cannot be steered', async () => {
  const trainer = await box({ trainerId: 'box', epochMs: 40 });
  const { sweepId } = await client.submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 50'));
  // Whoever is paused before its first epoch has no checkpoint to go on from.
  const attempts = () => [...trainer.attempts.values()];
  await until(() => attempts().length === 2 && attempts().every(({ epoch }) => epoch > 0));
  expect((await control(sweepId, SweepControl.PAUSE)).sweep?.state).toBe(SweepState.PAUSED);
  await until(async () => (await client.sweep(sweepId)).sweep?.trialsByState['paused'] === 2);
  expect(trainer.started).toHaveLength(2);
  expect((await control(sweepId, SweepControl.RESUME)).sweep?.state).toBe(SweepState.RUNNING);
  await until(() => trainer.started.length === 4);
  expect(trainer.started[2]?.resumeFrom).toMatch(/^1\/\d+$/);
  await control(sweepId, SweepControl.STOP);
  await client.watch(sweepId);
  const { sweep } = await client.sweep(sweepId);
  expect(sweep).toMatchObject({ state: SweepState.STOPPED, reason: 'stopped by a person' });
  expect(await failure(control(sweepId, SweepControl.PAUSE))).toBe('SWEEP_ENDED');
  expect(await failure(control(sweepId, SweepControl.UNSPECIFIED))).toBe('USAGE');
});

test('what no box offers is refused; what the fleet may run later is accepted with a warning', async () => {
  const lonely = await client.submit(SWEEP);
  expect(lonely.warnings.join()).toMatch(/no trainer is here yet/);
  await control(lonely.sweepId, SweepControl.STOP);
  await box({ trainerId: 'box' });
  for (const [resources, words] of [
    ['{ gpus: 4 }', 'no box has a GPU'],
    ['{ device: H100 }', 'no box has a device "H100"; there are fake CPU'],
    ['{ labels: { room: attic } }', 'no box has the labels room=attic'],
    ['{ memory_gb: 24 }', 'no device has 24 GB of memory free; no device says how much it has'],
  ] as const) {
    const waiting = await client.submit(`${SWEEP}resources: ${resources}\n`);
    expect(waiting.warnings).toContain(`${words}: the sweep waits for one that has`);
    expect((await client.sweep(waiting.sweepId)).sweep?.waiting).toBe(words);
    await control(waiting.sweepId, SweepControl.STOP);
  }
  expect(await failure(client.submit(`${SWEEP}budget: { energy_wh: 1 }\n`))).toBe('BUDGET_WITHOUT_METER');
  const command = SWEEP.replace('recipe: resnet-cifar10', 'command: [python3, train.py]');
  expect(await failure(client.submit(command))).toBe('RECIPE_NOT_OFFERED');
  const many = await client.submit(`${SWEEP}max_parallel: 9\n`);
  expect(many.warnings.join()).toMatch(/max_parallel is 9, but only 2 slots/);
  await client.watch(many.sweepId);
});
