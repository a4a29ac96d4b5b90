/** Trials that pause at rungs: the promotion form of ASHA, and Hyperband. */
import { describe, expect, it } from 'vitest';
import type { AshaSpec, StoppingSpec } from '../../../services/coordinator/core/index.js';
import { hyperbandBrackets } from '../../../services/coordinator/core/stopping/hyperband.js';
import { epochRecord, sweepSpec, trainer, World } from '../../support/core.js';

const promote = (over: Partial<AshaSpec> = {}): AshaSpec => ({
  rule: 'asha',
  firstRung: 1,
  eta: 4,
  window: 1,
  compareWithin: [],
  brackets: 1,
  mode: 'promote',
  ...over,
});

interface Run {
  readonly stopping: StoppingSpec;
  readonly trials: number;
  readonly maxEpochs: number;
  /** The objective of a trial at an epoch; `made` counts from 0. */
  readonly value: (made: number, epoch: number) => number;
  readonly slots?: number;
}

function begin({ stopping, trials, maxEpochs, slots = 1 }: Omit<Run, 'value'>): World {
  const world = new World();
  const values = Array.from({ length: trials }, (_, i) => i);
  world.submit(sweepSpec({ stopping, maxEpochs, sweep: [{ name: 'x', domain: { kind: 'list', values } }] }));
  world.join(trainer('a', slots));
  return world;
}

/** The trial's next epoch, and the end of its attempt where the core asked for one or the last epoch is done. */
function advance(world: World, start: ReturnType<World['running']>[number], run: Run): void {
  const trial = world.trial(start.trialId);
  const epoch = (trial.epochs.at(-1)?.epoch ?? 0) + 1;
  world.epoch(start, epochRecord(epoch, run.value(Number(start.trialId.slice(1)) - 1, epoch)));
  if (epoch >= run.maxEpochs) world.end(start, 'completed');
  else if (trial.attempts.at(-1)?.stopMode != null) world.end(start, 'stopped');
}

function runToEnd(run: Run): World {
  const world = begin(run);
  for (let i = 0; i < 20_000 && world.state.sweeps.get('s')!.endedAt === null; i++) {
    const [start] = world.running();
    if (start === undefined) throw new Error('nobody runs, and the sweep has not ended');
    advance(world, start, run);
  }
  return world;
}

/** Trials by the epochs that they reached. */
function budgets(world: World): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const trial of world.state.sweeps.get('s')!.trials.values()) {
    const epochs = trial.epochs.at(-1)?.epoch ?? 0;
    counts[epochs] = (counts[epochs] ?? 0) + 1;
  }
  return counts;
}

const isDone = (world: World): void => {
  const sweep = world.state.sweeps.get('s')!;
  expect(sweep.status).toBe('completed');
  const states = new Set([...sweep.trials.values()].map(({ state }) => state));
  expect([...states].every((state) => ['succeeded', 'stopped', 'diverged'].includes(state))).toBe(true);
};

describe('asha, promotion form', () => {
  it.each([
    [1, 16, 4, { 1: 12, 4: 3, 16: 1 }],
    [5, 125, 5, { 5: 20, 25: 4, 125: 1 }],
  ])('(%i, %i, %i) spends its budget as the paper says', (firstRung, maxEpochs, eta, reached) => {
    for (const slots of [1, 3]) {
      const trials = eta ** 2;
      const world = runToEnd({
        stopping: promote({ firstRung, eta }),
        trials,
        maxEpochs,
        slots,
        value: (made) => trials - made,
      });
      // (16, 1) (4, 4) (1, 16): of 16 trials 4 came to epoch 4, and 1 of them to 16.
      expect(budgets(world)).toEqual(reached);
      isDone(world);
    }
  });

  const firstEpochs = (world: World, values: readonly number[]): void => {
    for (const value of values) {
      const [start] = world.running();
      world.epoch(start!, epochRecord(1, value));
      world.end(start!, 'stopped');
    }
  };

  it('pauses at the rung with its checkpoint, and goes on from it when it is promoted', () => {
    const world = begin({ stopping: promote({ eta: 2 }), trials: 4, maxEpochs: 4 });
    const [first] = world.running();
    world.epoch(first!, epochRecord(1, 0.9));
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', mode: 'pause', trialId: 't0001' });
    world.end(first!, 'stopped');
    expect(world.trial('t0001')).toMatchObject({ state: 'paused', waitsAtRung: 1 });
    firstEpochs(world, [0.5]);
    // Two values: the best one is promoted before the third point begins.
    expect(world.running()).toMatchObject([{ trialId: 't0001', attempt: 2, resumeFrom: '1/1' }]);
    expect(world.trial('t0001').decisions).toMatchObject([
      { action: 'pause', rung: 1, rank: 1, n: 1 },
      { action: 'promote', rung: 1, rank: 1, n: 2, rule: 'asha-promote@1' },
    ]);
  });

  it('promotes from the top rung first', () => {
    const world = begin({ stopping: promote({ eta: 2 }), trials: 9, maxEpochs: 8 });
    firstEpochs(world, [0.9, 0.8]);
    const [up] = world.running();
    world.epoch(up!, epochRecord(2, 0.9));
    world.end(up!, 'stopped');
    firstEpochs(world, [0.7, 0.85]);
    // t0004 is among the best two of four at rung 1 now, and nobody waits higher up with a right to go on.
    const [second] = world.running();
    expect(second).toMatchObject({ trialId: 't0004', attempt: 2 });
    world.epoch(second!, epochRecord(2, 0.95));
    world.end(second!, 'stopped');
    expect(world.running()).toMatchObject([{ trialId: 't0004', attempt: 3, resumeFrom: '2/2' }]);
  });

  it('breaks ties by arrival', () => {
    const world = begin({ stopping: promote({ eta: 2 }), trials: 6, maxEpochs: 4 });
    firstEpochs(world, [0.5, 0.5]);
    expect(world.running()).toMatchObject([{ trialId: 't0001', attempt: 2 }]);
  });

  it('leaves trials at their rungs when a person pauses and resumes the sweep', () => {
    const world = begin({ stopping: promote({ eta: 2 }), trials: 6, maxEpochs: 4 });
    firstEpochs(world, [0.5]);
    for (const control of ['pause', 'resume'] as const)
      world.feed({ type: 'control', sweepId: 's', control, at: world.now });
    expect(world.trial('t0001')).toMatchObject({ state: 'paused', waitsAtRung: 1 });
  });

  it('ends what can no longer be promoted once the search is done, and the sweep with it', () => {
    const world = runToEnd({ stopping: promote(), trials: 3, maxEpochs: 16, value: () => 1 });
    expect(budgets(world)).toEqual({ 1: 3 });
    expect(world.trial('t0001')).toMatchObject({ state: 'stopped' });
    expect(world.trial('t0001').reason).toMatch(/^asha-promote@1: .*no other trial can come/);
    isDone(world);
  });

  it('gives a trial that is not finite no place at the rung', () => {
    const world = begin({ stopping: promote({ eta: 2 }), trials: 6, maxEpochs: 4 });
    firstEpochs(world, [NaN, 0.5]);
    expect(world.trial('t0001').state).toBe('diverged');
    expect(world.trial('t0002').decisions).toMatchObject([{ n: 1, rank: 1 }]);
  });
});

describe('hyperband', () => {
  it.each([
    [
      81,
      3,
      [
        [81, 1],
        [34, 3],
        [15, 9],
        [8, 27],
        [5, 81],
      ],
    ],
    [
      1000,
      10,
      [
        [1000, 1],
        [134, 10],
        [20, 100],
        [4, 1000],
      ],
    ],
    [
      60,
      3,
      [
        [27, 2],
        [12, 6],
        [6, 20],
        [4, 60],
      ],
    ],
  ])('with R = %i and eta = %i has the brackets of the paper', (maxEpochs, eta, wanted) => {
    expect(hyperbandBrackets(eta, maxEpochs).map(({ trials, epochs }) => [trials, epochs[0]])).toEqual(
      wanted,
    );
    for (const { epochs } of hyperbandBrackets(eta, maxEpochs)) expect(epochs.at(-1)).toBe(maxEpochs);
  });

  it('runs the rounds of each bracket, whatever order the trials come in', () => {
    for (const slots of [1, 4]) {
      const run: Run = {
        stopping: { rule: 'hyperband', eta: 3 },
        trials: 9 + 5 + 3,
        maxEpochs: 9,
        slots,
        value: (made, epoch) => ((made * 7) % 17) + epoch,
      };
      // Brackets (9, 1) (5, 3) (3, 9): 9 -> 3 -> 1, 5 -> 1, 3.
      const world = runToEnd(run);
      expect(budgets(world)).toEqual({ 1: 6, 3: 2 + 4, 9: 1 + 1 + 3 });
      isDone(world);
    }
  });

  it('waits for the whole round before it promotes', () => {
    const world = begin({ stopping: { rule: 'hyperband', eta: 3 }, trials: 9, maxEpochs: 9, slots: 2 });
    const [slow] = world.running();
    const run: Run = { stopping: { rule: 'none' }, trials: 9, maxEpochs: 9, value: (made) => made };
    for (let i = 0; i < 8; i++)
      advance(
        world,
        world.running().find(({ trialId }) => trialId !== slow!.trialId)!,
        run,
      );
    expect(world.running().map(({ trialId }) => trialId)).toEqual([slow!.trialId]);
    // A trial that diverges counts as having come: three of nine go on.
    world.epoch(slow!, epochRecord(1, NaN));
    world.end(slow!, 'stopped');
    expect(world.running().map(({ trialId, attempt }) => [trialId, attempt])).toEqual([
      ['t0009', 2],
      ['t0008', 2],
    ]);
    const states = [...world.state.sweeps.get('s')!.trials.values()].map(({ state }) => state);
    expect(states.filter((state) => state === 'stopped')).toHaveLength(5);
    expect(states.filter((state) => state === 'paused')).toHaveLength(1);
  });

  it('ends an unfilled bracket when the search is done', () => {
    const world = runToEnd({
      stopping: { rule: 'hyperband', eta: 3 },
      trials: 4,
      maxEpochs: 9,
      value: (made) => made,
    });
    expect(budgets(world)).toEqual({ 1: 3, 9: 1 });
    isDone(world);
  });
});
