/** What is changed of a sweep after its submission, over the API, with a trainer that trains on command. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Coordinator } from '../../../client/coordinator.js';
import { SweepControl, SweepState, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { WattsweepError } from '../../../proto/errors.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startLeader, SWEEP, until } from './world.js';

let nats: TestNats;
let running: RunningCoordinator;
let api: Coordinator;
let trainer: FakeTrainer;
/** Batch sizes that the trainer refuses. */
const refused = new Set<number>();

beforeAll(async () => {
  nats = await startNats();
  running = await startLeader(nats.url);
  api = new Coordinator({ address: running.grpcAddress, token: null });
  trainer = await FakeTrainer.start({
    natsUrl: nats.url,
    trainerId: 'box',
    slots: 4,
    admit: ({ parametersJson }) => {
      const { batch_size: size } = JSON.parse(parametersJson) as { batch_size: number };
      if (refused.has(size)) throw new WattsweepError('PARAMETER_REFUSED', `batch size ${size} is too large`);
    },
  });
});

afterAll(async () => {
  api.close();
  await trainer.vanish();
  await running.close();
  await nats.stop();
});

const code = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no failure',
    (error: unknown) => (error instanceof WattsweepError ? error.code : String(error)),
  );

const submit = async (yaml = SWEEP, tags: readonly string[] = []): Promise<string> =>
  (await api.submit({ yaml, overrides: [], requestId: '', tags })).sweepId;

async function ended(sweepId: string): Promise<void> {
  const updates = api.watch(sweepId);
  while (!(await updates.next()).done);
}

const nothing = { trials: undefined, repeats: undefined, maxEpochs: undefined, yaml: '', overrides: [] };
const failedOnly = { trialIds: [], cancelled: false, diverged: false };

test('failed trials run again after the end, and nothing else', async () => {
  refused.add(128);
  const sweepId = await submit();
  await ended(sweepId);
  const before = trainer.started.length;
  refused.clear();
  const { trialIds, sweep } = await api.rerun({ sweepId, ...failedOnly });
  expect(trialIds).toHaveLength(2);
  expect(sweep?.state).toBe(SweepState.RUNNING);
  await ended(sweepId);
  const { trials } = await api.get(sweepId);
  expect(trials.map(({ state, epoch }) => [state, epoch])).toEqual(
    Array.from({ length: 6 }, () => [TrialState.SUCCEEDED, 3]),
  );
  expect(trainer.started.length - before).toBe(2);
  expect(await code(api.rerun({ sweepId, ...failedOnly }))).toBe('NOTHING_TO_RERUN');
  expect(await code(api.rerun({ sweepId, ...failedOnly, trialIds: ['t9999'] }))).toBe('TRIAL_NOT_FOUND');
  expect(await code(api.rerun({ sweepId, ...failedOnly, trialIds: ['t0001'] }))).toBe('NOTHING_TO_RERUN');
});

test('an ended sweep is extended by epochs, repeats and points of its file; other changes are refused', async () => {
  const sweepId = await submit();
  await ended(sweepId);
  await api.extend({ sweepId, ...nothing, maxEpochs: 5 });
  await ended(sweepId);
  const longer = await api.get(sweepId);
  expect(longer.trials.map(({ epoch, attempts }) => [epoch, attempts])).toEqual(
    Array.from({ length: 6 }, () => [5, 2]),
  );
  const resumed = trainer.started.filter(({ key, maxEpochs }) => key?.sweepId === sweepId && maxEpochs === 5);
  expect(resumed.map(({ resumeFrom }) => resumeFrom)).toEqual(Array.from({ length: 6 }, () => '1/3'));

  const wider = SWEEP.replace('max_epochs: 3', 'max_epochs: 5').replace('128]', '128, 256]');
  const { change } = await api.extend({ sweepId, ...nothing, yaml: `${wider}repeats: 2\n` });
  expect(change).toBe('2 points added, repeats 1 -> 2');
  await ended(sweepId);
  const { trials, sweep } = await api.get(sweepId);
  expect(trials).toHaveLength(16);
  expect(new Set(trials.map(({ pointHash, repeat }) => `${pointHash}/${repeat}`)).size).toBe(16);
  expect(sweep?.trialsTotal).toBe(16);
  const same = { sweepId, yaml: `${wider}repeats: 2\n`, overrides: [] };
  expect(await api.compare(same)).toEqual([]);

  for (const [request, words] of [
    [
      { yaml: wider.replace('maximize', 'maximize, target: 0.9') },
      /changes more .*objective\.target: nothing, in the file 0\.9/,
    ],
    [{ yaml: wider.replace('[32, ', '[') }, /lacks 2 of the 8 points/],
    [{ maxEpochs: 2 }, /max_epochs is 5, and cannot become less/],
    [{ trials: 9 }, /search is a grid/],
    [{ repeats: 2 }, /nothing is asked for/],
    [{ repeats: 5_000 }, /at most 1000/],
  ] as const) {
    const call = api.extend({ sweepId, ...nothing, ...request });
    await expect(call).rejects.toMatchObject({ code: 'EXTENSION_REFUSED', message: words });
  }
});

test('what differs between a file and the sweep is named', async () => {
  const sweepId = await submit();
  await ended(sweepId);
  const yaml = `${SWEEP.replace('max_epochs: 3', 'max_epochs: 30').replace('[0.1, 0.2]', '[0.1]')}budget: { hours: 2 }\n`;
  expect(await api.compare({ sweepId, yaml, overrides: ['seed=7'] })).toEqual([
    'max_epochs: 3, in the file 30',
    'seed: 1, in the file 7',
    'sweep.lr_peak: [0.1,0.2], in the file [0.1]',
    'budget.hours: nothing, in the file 2',
  ]);
});

test('limits act while it runs; a budget that is spent must be raised before it goes on', async () => {
  const sweepId = await submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 100000'));
  await until(async () => (await api.get(sweepId)).sweep?.trialsByState['running'] === 4);
  const { sweep } = await api.setLimits(sweepId, [
    { key: 'max_parallel', value: 2 },
    { key: 'budget.hours', value: 1e-9 },
    { key: 'priority', value: 2.5 },
  ]);
  expect(sweep).toMatchObject({ maxParallel: 2, budgetHours: 1e-9, priority: 2.5 });
  await ended(sweepId);
  expect((await api.get(sweepId)).sweep).toMatchObject({
    state: SweepState.STOPPED,
    reason: expect.stringContaining('time budget') as unknown,
  });
  const again = { sweepId, ...failedOnly, cancelled: true };
  expect(await code(api.rerun(again))).toBe('BUDGET_SPENT');
  await api.setLimits(sweepId, [{ key: 'budget.hours', value: undefined }]);
  expect((await api.rerun(again)).trialIds).toHaveLength(4);
  await api.control(sweepId, SweepControl.STOP);
  await ended(sweepId);
  for (const change of [
    { key: 'max_parallel', value: 1.5 },
    { key: 'max_parallel', value: 0 },
    { key: 'budget.hours', value: NaN },
    { key: 'priority', value: -1 },
    { key: 'seed', value: 1 },
  ])
    expect(await code(api.setLimits(sweepId, [change]))).toBe('USAGE');
});

test('tags find a sweep, an archived one is hidden, a deleted one is gone also for the next coordinator', async () => {
  const [kept, gone] = [await submit(SWEEP, ['night', 'gpu']), await submit(SWEEP, ['night'])];
  await Promise.all([ended(kept), ended(gone)]);
  await api.tag({ sweepId: kept, add: ['best'], remove: ['gpu'] });
  expect(await code(api.tag({ sweepId: kept, add: ['two words'], remove: [] }))).toBe('USAGE');
  const list = async (archived: boolean, ...tags: string[]): Promise<string[]> =>
    (await api.list({ archived, tags })).sweeps.map(({ sweepId }) => sweepId);
  expect(await list(false, 'night')).toEqual([gone, kept]);
  expect(await list(false, 'night', 'best')).toEqual([kept]);
  await api.archive(kept, true);
  expect(await list(false, 'night')).toEqual([gone]);
  expect(await list(true, 'night')).toEqual([gone, kept]);
  expect(await api.delete(gone, false)).toEqual({ deleted: true, trials: 6, epochs: 18 });

  const endless = await submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 100000'));
  await until(async () => (await api.get(endless)).sweep?.trialsByState['running'] === 4);
  expect(await code(api.archive(endless, true))).toBe('SWEEP_RUNNING');
  expect(await code(api.delete(endless, false))).toBe('SWEEP_RUNNING');
  expect((await api.delete(endless, true)).deleted).toBe(false);
  await until(async () => (await code(api.get(endless))) === 'SWEEP_NOT_FOUND');

  await running.close();
  running = await startLeader(nats.url, { coordinatorId: 'two' });
  api.close();
  api = new Coordinator({ address: running.grpcAddress, token: null });
  expect(await list(true, 'night')).toEqual([kept]);
  await expect(api.get(gone)).rejects.toMatchObject({ code: 'SWEEP_NOT_FOUND', message: /was deleted/ });
  expect((await api.get(kept)).sweep).toMatchObject({ tags: ['night', 'best'], archived: true });
});

test('a request id that comes back with another file says what holds', async () => {
  const request = { yaml: SWEEP, overrides: [], requestId: 'same', tags: [] };
  const { sweepId } = await api.submit(request);
  const again = await api.submit({ ...request, overrides: ['max_epochs=9'] });
  expect(again.sweepId).toBe(sweepId);
  expect(again.warnings.join()).toMatch(/what is recorded holds: max_epochs: 3, in the file 9/);
  await ended(sweepId);
  await api.delete(sweepId, false);
  await expect(api.submit(request)).rejects.toMatchObject({
    code: 'SWEEP_NOT_FOUND',
    message: /accepted before, as .*, which was deleted since/,
  });
});
