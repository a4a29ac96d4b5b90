/** A smoke test, a trainer that lies, and attempts of another ledger, over the API, real gRPC and real NATS. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Coordinator } from '../../../client/coordinator.js';
import { WattsweepError } from '../../../proto/errors.js';
import { AttemptEndClass, type AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import {
  SweepControl,
  SweepState,
  TrainerState,
  TrialState,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { EpochReport, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer, type FakeTrainerOptions } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startLeader, SWEEP, until } from './world.js';

let nats: TestNats;
let running: RunningCoordinator;
let api: Coordinator;
const boxes: FakeTrainer[] = [];

beforeAll(async () => {
  nats = await startNats();
  await lead('one');
});

afterAll(async () => {
  api.close();
  for (const box of boxes) await box.vanish();
  await running.close();
  await nats.stop();
});

async function lead(coordinatorId: string): Promise<void> {
  running = await startLeader(nats.url, { coordinatorId });
  api = new Coordinator({ address: running.grpcAddress, token: null });
}

async function box(over: Partial<FakeTrainerOptions> & { readonly trainerId: string }): Promise<FakeTrainer> {
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, ...over });
  boxes.push(trainer);
  await until(async () =>
    (await api.trainers()).trainers.some(
      ({ trainerId, state }) => trainerId === over.trainerId && state === TrainerState.ALIVE,
    ),
  );
  return trainer;
}

/** No box is left, and the coordinator knows it: it gives none of them a trial. */
async function withoutBoxes(): Promise<void> {
  await Promise.all(boxes.splice(0).map((one) => one.vanish()));
  await until(async () => (await api.trainers()).trainers.every(({ state }) => state !== TrainerState.ALIVE));
}

const submit = async (yaml: string, smoke = false): Promise<string> =>
  (await api.submit({ yaml, overrides: [], requestId: '', smoke })).sweepId;

async function ended(sweepId: string): Promise<void> {
  const updates = api.watch(sweepId);
  while (!(await updates.next()).done);
}

test('a smoke test runs an epoch of the extreme points before all others, and pauses when one has failed', async () => {
  const refused = new Set<string>();
  const trainer = await box({
    trainerId: 'smoky',
    slots: 2,
    admit: ({ parametersJson }) => {
      const { batch_size: size } = JSON.parse(parametersJson) as { batch_size: number };
      if (refused.has(String(size))) throw new WattsweepError('PARAMETER_REFUSED', `no room for ${size}`);
    },
  });
  const passes = await submit(SWEEP, true);
  await ended(passes);
  const { sweep, trials } = await api.get(passes);
  expect(sweep).toMatchObject({ state: SweepState.COMPLETED, trialsByState: { succeeded: 6 } });
  expect(sweep?.smoke).toMatch(/^smoke test passed: \d extreme points have run an epoch$/);
  const extreme = Number(/\d/.exec(sweep?.smoke ?? '')?.[0]);
  // All of them have begun before any of the others does.
  const order = [...new Set(trainer.started.map(({ key }) => key?.trialId))];
  expect(order).toEqual(trials.map(({ trialId }) => trialId));
  expect(extreme).toBeGreaterThan(1);
  expect(extreme).toBeLessThan(6);
  const firstOther = trainer.started.findIndex(({ key }) => key?.trialId === order[extreme]);
  expect(trainer.started.slice(0, firstOther).every(({ key }) => order.indexOf(key?.trialId) < extreme)).toBe(
    true,
  );

  refused.add('128');
  const fails = await submit(SWEEP, true);
  await until(async () => (await api.get(fails)).sweep?.state === SweepState.PAUSED);
  expect((await api.get(fails)).sweep?.reason).toMatch(
    /extreme points failed: .*batch_size=128.*no room for/,
  );
  const smoked = (await api.get(fails)).trials.length;
  expect(smoked).toBeLessThan(6);
  await api.control(fails, SweepControl.RESUME);
  await ended(fails);
  expect((await api.get(fails)).sweep?.trialsByState).toEqual({ succeeded: 4, failed: 2 });
});

test('what a trainer says of others counts for nothing, and numbers that cannot be are no readings', async () => {
  await withoutBoxes();
  const honest = await box({ trainerId: 'honest', epochMs: 100, joules: 7, powerMethod: 'nvml-counter' });
  const liar = await box({ trainerId: 'liar', epochMs: 100, value: () => 0.1 });
  const sweepId = await submit(
    SWEEP.replace('max_epochs: 3', 'max_epochs: 20')
      .replace('[32, 64, 128]', '[32, 64]')
      .replace('[0.1, 0.2]', '[0.1]'),
  );
  await until(() => honest.started.length === 1 && liar.started.length === 1);
  const [own, other] = [liar.started[0]?.key, honest.started[0]?.key];
  const unread = { joules: undefined, meanWatts: undefined, method: '', absentReason: '' };
  const epoch = (key: AttemptKey | undefined, over: Partial<EpochReport>): Report => ({
    spoolLine: 1,
    fact: {
      $case: 'epoch',
      value: {
        ...{ key, epoch: 19, step: 1, metrics: { val_accuracy: 0.99 }, trainSeconds: 1 },
        ...{ evaluationSeconds: 0, dataWaitSeconds: undefined, samplesPerSecond: undefined },
        ...{ trainEnergy: unread, evaluationEnergy: unread, gpuUtilization: undefined, atUnixMs: 1 },
        ...over,
      },
    },
  });
  const end: Report = {
    spoolLine: 2,
    fact: {
      $case: 'ended',
      value: {
        ...{ key: other, class: AttemptEndClass.CRASHED, code: 'DISK_FULL', message: 'x'.repeat(100_000) },
        ...{ seconds: -1, energy: unread, atUnixMs: 1 },
      },
    },
  };
  const nobody = { sweepId, trialId: 't9999', attempt: 1, termId: '' };
  const impossible = { joules: -5, meanWatts: NaN, method: 'm'.repeat(5_000), absentReason: '' };
  await liar.publish([
    ...[epoch(other, {}), end, epoch(nobody, {}), epoch({ ...nobody, sweepId: 'nobody' }, {})],
    ...[epoch({ sweepId, trialId: '', attempt: 0, termId: '' }, {}), { spoolLine: 3, fact: undefined }],
    epoch(own, {
      ...{ epoch: 18, metrics: { val_accuracy: 0.2 }, trainSeconds: 1e300, evaluationSeconds: NaN },
      ...{ trainEnergy: impossible, samplesPerSecond: Infinity },
    }),
  ]);
  await ended(sweepId);
  const { sweep, trials } = await api.get(sweepId);
  expect(sweep?.state).toBe(SweepState.COMPLETED);
  const of = (key: AttemptKey | undefined) => trials.find(({ trialId }) => trialId === key?.trialId);
  expect(of(other)).toMatchObject({
    state: TrialState.SUCCEEDED,
    attempts: 1,
    epoch: 20,
    bestObjective: 0.2,
  });
  expect(of(other)?.reason).toBe('complete: 20 epochs');
  expect(of(own)).toMatchObject({
    state: TrialState.SUCCEEDED,
    attempts: 1,
    bestObjective: 0.2,
    bestEpoch: 18,
  });
  expect([of(own)?.joules, of(own)?.seconds]).toEqual([undefined, undefined]);
  expect((await api.trainers()).trainers.every(({ failures }) => failures === 0)).toBe(true);
});

test('attempts of another ledger keep their slots, are shown, and end when a person says so', async () => {
  await withoutBoxes();
  await running.close();
  api.close();
  const keeper = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'keeper' });
  boxes.push(keeper);
  const key = { sweepId: 'theirs', trialId: 't0001', attempt: 3, termId: '' };
  const request = {
    ...{ key, slotId: 'cpu0', furtherSlotIds: [], fence: { ledgerId: 'another', term: 9, termId: '' } },
    ...{ recipe: 'resnet-cifar10', command: [], parametersJson: '{}', maxEpochs: 100, seed: 1, repeat: 1 },
    ...{
      objectiveMetric: 'val_accuracy',
      resumeFrom: '',
      trialTermId: '',
      setup: undefined,
      code: undefined,
    },
  };
  const standing = { epoch: 4, line: 4, stop: false, isAcknowledged: false };
  const theirs = { request, phase: AttemptPhase.RUNNING, ...standing };
  keeper.attempts.set('theirs/t0001#3', theirs);
  await lead('two');
  const held = async () => (await api.trainers()).trainers.find((one) => one.trainerId === 'keeper')?.held;
  await until(async () => (await held())?.length === 1);
  expect(await held()).toMatchObject([
    { ledgerId: 'another', attempt: 'theirs/t0001#3', slotIds: ['cpu0'], stopping: false },
  ]);

  const free = await box({ trainerId: 'free' });
  const sweepId = await submit(SWEEP);
  await ended(sweepId);
  expect(free.started).toHaveLength(6);
  expect([keeper.started, keeper.stopped]).toEqual([[], []]);

  await expect(api.stopHeld('keeper', 'theirs/t0001#4', '')).rejects.toMatchObject({
    code: 'HELD_NOT_FOUND',
  });
  theirs.phase = AttemptPhase.ENDED;
  await api.stopHeld('keeper', 'theirs/t0001#3', '');
  await until(async () => (await held())?.length === 0);
  expect(keeper.stopped).toMatchObject([{ key, ledgerId: 'another' }]);
});
