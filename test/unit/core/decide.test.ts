import { describe, expect, it } from 'vitest';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';
import { asha, busy } from './busy.js';

describe('placement', () => {
  it('makes a trial only when a slot is free for it', () => {
    const world = new World();
    world.submit(
      sweepSpec({
        sweep: [
          {
            name: 'x',
            domain: { kind: 'range', min: 0, max: 1, scale: 'linear', integer: false, count: 1_000_000 },
          },
        ],
      }),
    );
    expect(world.state.sweeps.get('s')?.trials.size).toBe(0);
    world.join(trainer('a', 2));
    expect(world.running().map((start) => start.trialId)).toEqual(['t0001', 't0002']);
    expect(world.state.sweeps.get('s')?.trials.size).toBe(2);
  });

  it('uses the slots of several trainers, and no more than max_parallel', () => {
    const world = new World();
    world.submit(sweepSpec({ maxParallel: 2 }));
    world.join(trainer('a'), trainer('b'), trainer('c'));
    expect(world.running().map((start) => start.trainerId)).toEqual(['a', 'b']);
  });

  it('places nothing on a box that lacks the recipe, the kind of device or the model', () => {
    const world = new World();
    world.submit(sweepSpec({ resources: { gpus: 1, device: 'rtx 4060' } }));
    const gpu = (deviceModel: string) => ({
      slots: [{ slotId: 'gpu0', deviceKind: 'gpu' as const, deviceModel, deviceUuids: ['GPU-1'] }],
    });
    world.join(
      trainer('cpu'),
      trainer('other', 1, gpu('NVIDIA V100')),
      trainer('bare', 1, { ...gpu('NVIDIA RTX 4060 Ti'), recipes: [] }),
    );
    expect(world.running()).toEqual([]);
    world.join(trainer('right', 1, gpu('NVIDIA GeForce RTX 4060 Ti')));
    expect(world.running().map((start) => start.trainerId)).toEqual(['right']);
  });

  it('shares slots between sweeps', () => {
    const world = new World();
    world.submit(sweepSpec(), 'one');
    world.submit(sweepSpec(), 'two');
    world.join(trainer('a', 4));
    const bySweep = world.running().map((start) => start.sweepId);
    expect(bySweep.filter((id) => id === 'one')).toHaveLength(2);
    expect(bySweep.filter((id) => id === 'two')).toHaveLength(2);
  });

  it('takes a repeated submit once', () => {
    const world = new World();
    for (const sweepId of ['one', 'two'])
      world.feed({ type: 'submit', sweepId, spec: sweepSpec(), source: '', requestId: 'r', at: world.now });
    expect([...world.state.sweeps.keys()]).toEqual(['one']);
  });
});

it('a submission that arrives again does not bring back a sweep that was deleted', () => {
  const world = new World();
  const submit = (sweepId: string) =>
    world.feed({ type: 'submit', sweepId, spec: sweepSpec(), source: '', requestId: 'r', at: world.now });
  submit('s');
  world.feed({ type: 'delete', sweepId: 's', force: true, at: world.now });
  expect(world.state.deleted).toEqual(new Map([['s', 'r']]));
  world.submit(sweepSpec());
  expect(submit('another')).toEqual([]);
  expect(world.state.sweeps.size).toBe(0);
});

describe('reports', () => {
  it('runs a sweep to its end', () => {
    const world = busy({ maxEpochs: 2 });
    for (const start of world.running()) {
      world.started(start);
      world.epoch(start, epochRecord(1, 0.1));
      world.epoch(start, epochRecord(2, 0.2));
      world.end(start);
    }
    const sweep = world.state.sweeps.get('s');
    expect(sweep?.status).toBe('completed');
    expect([...(sweep?.trials.values() ?? [])].map((trial) => trial.state)).toEqual([
      'succeeded',
      'succeeded',
      'succeeded',
    ]);
  });

  it('accepts an epoch once, whatever is sent again or late', () => {
    const world = busy();
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, 0.1));
    expect(world.epoch(start!, epochRecord(1, 0.9))).toEqual([]);
    world.epoch(start!, epochRecord(2, 0.2));
    expect(world.epoch(start!, epochRecord(1, 0.9))).toEqual([]);
    expect(world.trial('t0001').epochs.map((record) => record.metrics.val_accuracy)).toEqual([0.1, 0.2]);
  });

  it('ignores words of a superseded attempt, of an unknown trial and of an unknown sweep', () => {
    const world = busy();
    const [start] = world.running();
    world.end(start!, 'preempted');
    expect(world.trial('t0001').attempts).toHaveLength(2);
    expect(world.epoch(start!, epochRecord(1, 0.5))).toEqual([]);
    expect(world.epoch({ ...start!, trialId: 't9' }, epochRecord(1, 0.5))).toEqual([]);
    expect(world.epoch({ ...start!, sweepId: 'x' }, epochRecord(1, 0.5))).toEqual([]);
  });

  it('books the joules of an epoch that had to be trained again as wasted', () => {
    const world = busy({}, 1);
    const [first] = world.running();
    world.started(first!);
    world.epoch(first!, epochRecord(1, 0.1, { train: joules(10) }));
    world.end(first!, 'preempted', joules(13));
    const second = world.running()[0]!;
    expect([second.attempt, second.resumeFrom]).toEqual([2, '1/1']);
    world.epoch(second, epochRecord(1, 0.7, { train: joules(9) }));
    world.epoch(second, epochRecord(2, 0.2, { train: joules(8) }));
    const trial = world.trial('t0001');
    expect(trial.epochs.map((record) => record.metrics.val_accuracy)).toEqual([0.1, 0.2]);
    expect(trial.attempts.map((attempt) => attempt.wastedJoules)).toEqual([3, 9]);
    expect(world.state.sweeps.get('s')?.spentJoules).toBe(10 + 3 + 9 + 8);
  });

  it('goes on from the newest epoch, also when the attempt after it began anew and did not come so far', () => {
    const world = busy({}, 1);
    const [first] = world.running();
    world.epoch(first!, epochRecord(1, 0.1));
    world.epoch(first!, epochRecord(2, 0.2));
    world.end(first!, 'preempted');
    const second = world.running()[0]!;
    world.epoch(second, epochRecord(1, 0.1));
    world.end(second, 'preempted');
    expect(world.running()[0]).toMatchObject({ attempt: 3, resumeFrom: '1/2' });
    world.epoch(world.running()[0]!, epochRecord(2, 0.2));
    world.end(world.running()[0]!, 'preempted');
    expect(world.running()[0]).toMatchObject({ attempt: 4, resumeFrom: '3/2' });
  });

  it('a report beyond the last epoch ends the trial with what it has, and is no epoch', () => {
    const world = busy();
    const [one, two] = world.running();
    world.epoch(one!, epochRecord(2, 0.5));
    world.epoch(one!, epochRecord(4_000_000_000, 0.9));
    expect(world.trial(one!.trialId)).toMatchObject({
      state: 'succeeded',
      reason: 'complete after epoch 2; then it reported epoch 4000000000 of 4',
    });
    world.epoch(two!, epochRecord(4_000_000_000, 0.9));
    expect(world.trial(two!.trialId)).toMatchObject({
      state: 'failed',
      code: 'NO_REPORT',
      reason: 'reported epoch 4000000000 of 4, and none before',
    });
    expect(world.trial(two!.trialId).epochs).toEqual([]);
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', trialId: two!.trialId });
  });

  it('keeps an unread wattage null', () => {
    const world = busy();
    world.epoch(world.running()[0]!, epochRecord(1, 0.1));
    expect(world.state.sweeps.get('s')?.spentJoules).toBeNull();
  });
});

describe('ends of trials', () => {
  it('stops a losing trial at its rung, with the reason, and frees the slot only when the attempt has ended', () => {
    const world = busy({ stopping: asha });
    const [a, b] = world.running();
    world.epoch(a!, epochRecord(1, 0.5));
    world.epoch(b!, epochRecord(1, 0.4));
    const loser = world.trial(b!.trialId);
    expect(loser.state).toBe('stopped');
    expect(loser.reason).toBe('asha@1: rung 1: value 0.4000 is rank 2 of 2; the best 1 (to 0.5000) go on');
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', trialId: b!.trialId, mode: 'stop' });
    expect(world.running()).toHaveLength(3);
    world.end(b!, 'stopped');
    expect(world.running()).toHaveLength(2);
  });

  it.each([NaN, Infinity, undefined])('a trial whose objective is %s has diverged', (value) => {
    const world = busy({ stopping: asha });
    const metrics = value === undefined ? {} : { val_accuracy: value };
    world.epoch(world.running()[0]!, epochRecord(1, 0, { metrics }));
    expect(world.trial('t0001').state).toBe('diverged');
    expect(world.trial('t0001').decisions.map(({ rule, action }) => [rule, action])).toEqual([
      ['finite@1', 'diverge'],
    ]);
  });

  it.each([
    ['NaN 5 4 6', 'S C S C'],
    ['5 NaN 4 6', 'C S S C'],
  ])('with %s at one rung the answers are %s', (values, expected) => {
    const world = busy(
      { stopping: asha, sweep: [{ name: 'x', domain: { kind: 'list', values: [1, 2, 3, 4] } }] },
      4,
    );
    const letters = world.running().map((start, i) => {
      world.epoch(start, epochRecord(1, Number(values.split(' ')[i])));
      return world.trial(start.trialId).state === 'starting' || world.trial(start.trialId).state === 'running'
        ? 'C'
        : 'S';
    });
    expect(letters.join(' ')).toBe(expected);
  });

  it('succeeds early when the target was held', () => {
    const objective = {
      metric: 'val_accuracy',
      goal: 'maximize' as const,
      target: 0.9,
      holdEpochs: 1,
      holdTolerance: 0,
    };
    const world = busy({ objective, maxEpochs: 10 });
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, 0.91));
    expect(world.trial('t0001').state).toBe('running');
    world.epoch(start!, epochRecord(2, 0.92));
    expect(world.trial('t0001').state).toBe('succeeded');
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', mode: 'stop' });
  });

  it('a refused trial fails alone and says why', () => {
    const world = busy();
    const [first] = world.running();
    world.feed({
      type: 'start_refused',
      ...pick(first!),
      retryable: false,
      code: 'PARAMETER_REFUSED',
      message: 'batch_size is 0',
      at: world.now,
    });
    expect(world.trial('t0001')).toMatchObject({
      state: 'failed',
      code: 'PARAMETER_REFUSED',
      reason: 'batch_size is 0',
    });
    expect(world.state.sweeps.get('s')?.status).toBe('running');
  });

  it('retries a crash after a pause, and fails when its retries are used up', () => {
    const world = busy({ sweep: [] }, 1);
    for (let attempt = 1; attempt <= 3; attempt++) {
      const [start] = world.running();
      expect(start?.attempt).toBe(attempt);
      world.started(start!);
      world.end(start!, 'crashed');
      expect(world.running()).toEqual([]);
      world.feed({ type: 'tick', at: world.now + 60_000 });
    }
    expect(world.trial('t0001')).toMatchObject({ state: 'failed', reason: 'crashed (3 attempts ended so)' });
    expect(world.state.sweeps.get('s')?.status).toBe('completed');
  });

  it('does not retry out of memory', () => {
    const world = busy();
    world.end(world.running()[0]!, 'out_of_memory');
    expect(world.trial('t0001')).toMatchObject({ state: 'failed', code: 'ATTEMPT_OUT_OF_MEMORY' });
  });

  it('a program that ends without a report has failed; one that ends early has succeeded', () => {
    const world = busy();
    const [a, b] = world.running();
    world.end(a!);
    world.epoch(b!, epochRecord(1, 0.3));
    world.end(b!);
    expect(world.trial('t0001')).toMatchObject({ state: 'failed', code: 'NO_REPORT' });
    expect(world.trial('t0002').state).toBe('succeeded');
  });
});

const pick = ({ sweepId, trialId, attempt }: { sweepId: string; trialId: string; attempt: number }) => ({
  sweepId,
  trialId,
  attempt,
});
