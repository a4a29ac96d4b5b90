/** Median, several rules together, and the limits of a trial. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../../services/coordinator/core/index.js';
import { composite } from '../../../services/coordinator/core/stopping/composite.js';
import { median } from '../../../services/coordinator/core/stopping/median.js';
import { patience } from '../../../services/coordinator/core/stopping/patience.js';
import type { Observation } from '../../../services/coordinator/core/stopping/rule.js';
import { threshold } from '../../../services/coordinator/core/stopping/threshold.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';

const rule = (
  over: { grace?: number; minTrials?: number } = {},
  goal: 'maximize' | 'minimize' = 'maximize',
) => median({ rule: 'median', grace: 1, minTrials: 3, ...over }, goal);

interface Report {
  readonly trialId: string;
  readonly epoch: number;
  readonly value: number;
  readonly repeat?: number;
}

/** Tells a rule of reports in order of arrival; its decisions, one list a report. */
function tell(judge: ReturnType<typeof median>, reports: readonly Report[]): (readonly Decision[])[] {
  const state = judge.init();
  const last = new Map<string, number>();
  return reports.map(({ trialId, epoch, value, repeat = 1 }) => {
    const seen: Observation = {
      trialId,
      index: 0,
      parameters: {},
      repeat,
      epoch,
      previousEpoch: last.get(trialId) ?? 0,
      value,
      recent: () => [value],
      history: () => [{ epoch, value, joules: null, seconds: null }],
    };
    last.set(trialId, epoch);
    judge.absorb(state, seen);
    return judge.judge(state, seen);
  });
}

/** Reports of whole curves, one trial after the other: a, b, c, ... */
const curves = (...all: readonly (readonly number[])[]): Report[] =>
  all.flatMap((values, i) =>
    values.map((value, e) => ({ trialId: String.fromCharCode(97 + i), epoch: e + 1, value })),
  );

describe('median', () => {
  it('stops a trial whose best is strictly worse than the median of the running averages of the others', () => {
    // Averages up to epoch 2: 3, 5, 7; the median is 5. The best of x by then is 4.
    const decisions = tell(rule(), curves([2, 4], [4, 6], [6, 8], [4, 1])).at(-1);
    expect(decisions).toEqual([
      {
        rule: 'median@1',
        action: 'stop',
        epoch: 2,
        rung: null,
        value: 4,
        rank: null,
        n: 3,
        threshold: 5,
        reason:
          'its best value, 4.0000, is worse than 5.0000, the median of the averages up to epoch 2 of 3 other trials',
      },
    ]);
  });

  it('goes on at the median itself, and by its best value, not its last', () => {
    expect(tell(rule(), curves([2, 4], [4, 6], [6, 8], [5, 0])).at(-1)).toMatchObject([
      { action: 'continue', value: 5, threshold: 5 },
    ]);
  });

  it('takes the mean of the middle two of an even count', () => {
    const four = curves([1, 1], [2, 2], [4, 4], [9, 9], [2.9, 2.9]);
    expect(tell(rule(), four).at(-1)).toMatchObject([{ action: 'stop', threshold: 3, n: 4 }]);
  });

  it('negates for minimize', () => {
    const losses = curves([2, 4], [4, 6], [6, 8], [6, 5.1]);
    expect(tell(rule({}, 'minimize'), losses).at(-1)).toMatchObject([
      { action: 'stop', value: 5.1, threshold: 5 },
    ]);
  });

  it.each([
    ['within grace', { grace: 2 }, curves([9, 9], [9, 9], [9, 9], [1, 1])],
    ['with too few others', { minTrials: 4 }, curves([9, 9], [9, 9], [9, 9], [1, 1])],
    ['of others that have not come so far', {}, curves([9], [9], [9], [1, 1])],
  ])('says nothing %s', (_, over, reports) => {
    expect(tell(rule(over), reports).at(-1)).toEqual([]);
  });

  it('judges from the epoch after grace', () => {
    const letters = tell(rule({ grace: 2 }), curves([9, 9, 9], [9, 9, 9], [9, 9, 9], [1, 1, 1])).slice(-3);
    expect(letters.map((decisions) => decisions.map(({ action }) => action))).toEqual([[], [], ['stop']]);
  });

  it('counts a trial that skipped an epoch with the average it had before', () => {
    const reports = [
      { trialId: 'a', epoch: 1, value: 4 },
      { trialId: 'a', epoch: 3, value: 100 },
      ...curves([], [5, 5], [6, 6], [4.5, 4.5]),
    ];
    expect(tell(rule(), reports).at(-1)).toMatchObject([{ action: 'stop', threshold: 5, n: 3 }]);
  });

  it('keeps nothing for epochs that nobody reports, however many lie between two reports', () => {
    const state = rule().init();
    const tellOf = (trialId: string, previousEpoch: number, epoch: number, value: number): Observation => ({
      ...{ trialId, index: 0, parameters: {}, repeat: 1, epoch, previousEpoch, value },
      recent: () => [value],
      history: () => [],
    });
    for (const trialId of ['a', 'b', 'c']) {
      rule().absorb(state, tellOf(trialId, 0, 1, 9));
      rule().absorb(state, tellOf(trialId, 1, 900_000, 5));
    }
    rule().absorb(state, tellOf('d', 0, 500_000, 1));
    expect(JSON.stringify(state).length).toBeLessThan(1_000);
    // At its epoch the others stand with what they had before they skipped it.
    expect(rule().judge(state, tellOf('d', 0, 500_000, 1))).toMatchObject([{ n: 3, threshold: 9 }]);
  });

  it('takes first repeats only', () => {
    const reports = [
      ...curves([9, 9], [9, 9]),
      { trialId: 'r', epoch: 2, value: 9, repeat: 2 },
      ...curves([], [], [], [1, 1]),
    ];
    expect(tell(rule(), reports).at(-1)).toEqual([]);
  });

  it('is the definition, whatever arrives', () => {
    const report = fc.record({
      trial: fc.integer({ min: 0, max: 6 }),
      ahead: fc.integer({ min: 1, max: 3 }),
      value: fc.integer({ min: -5, max: 5 }),
    });
    fc.assert(
      fc.property(
        fc.array(report, { maxLength: 60 }),
        fc.nat(3),
        fc.integer({ min: 1, max: 4 }),
        (drawn, grace, minTrials) => {
          const last = new Map<number, number>();
          const reports = drawn.map(({ trial, ahead, value }) => {
            const epoch = (last.get(trial) ?? 0) + ahead;
            last.set(trial, epoch);
            return { trialId: `t${trial}`, epoch, value };
          });
          const answers = tell(rule({ grace, minTrials }), reports);
          for (const [i, { trialId, epoch }] of reports.entries()) {
            const soFar = reports.slice(0, i + 1);
            const averages = [...new Set(soFar.map((r) => r.trialId))].flatMap((other) => {
              const own = soFar.filter((r) => r.trialId === other);
              const upTo = own.filter((r) => r.epoch <= epoch).map((r) => r.value);
              const counts = other !== trialId && own.some((r) => r.epoch >= epoch) && upTo.length > 0;
              return counts ? [upTo.reduce((sum, v) => sum + v, 0) / upTo.length] : [];
            });
            if (epoch <= grace || averages.length < minTrials) {
              expect(answers[i]).toEqual([]);
              continue;
            }
            const sorted = averages.toSorted((a, b) => a - b);
            const half = sorted.length / 2;
            const middle = (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
            const best = Math.max(...soFar.filter((r) => r.trialId === trialId).map((r) => r.value));
            expect(answers[i]).toMatchObject([
              { action: best < middle ? 'stop' : 'continue', n: averages.length, value: best },
            ]);
            expect(answers[i]![0]!.threshold).toBeCloseTo(middle, 12);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('holds plain JSON', () => {
    const judge = rule();
    const state = judge.init();
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  });
});

describe('composite', () => {
  const parts = () => [
    threshold({ rule: 'threshold', bound: 0.3, fromEpoch: 1 }, 'maximize'),
    patience({ rule: 'patience', patience: 2, minDelta: 0, startEpoch: 1 }, 'maximize'),
    rule({ minTrials: 1 }),
  ];

  it('asks every rule and keeps every answer', () => {
    const answers = tell(composite(parts()), curves([0.5, 0.4, 0.2]));
    expect(answers.at(-1)!.map(({ rule: id, action }) => [id, action])).toEqual([
      ['threshold@1', 'stop'],
      ['patience@1', 'stop'],
    ]);
  });

  it('says what its rules say alone, whatever arrives', () => {
    const value = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 6 }), (all) => {
        const reports = curves(...all);
        const alone = parts().map((part) => tell(part, reports));
        const expected = reports.map((_, i) => alone.flatMap((answers) => answers[i] ?? []));
        expect(tell(composite(parts()), reports)).toEqual(expected);
      }),
    );
  });

  it('ends the trial by the first stop and keeps the reasons of all', () => {
    const world = new World();
    world.submit(
      sweepSpec({
        maxEpochs: 9,
        stopping: {
          rule: 'composite',
          rules: [
            { rule: 'threshold', bound: 0.3, fromEpoch: 1 },
            { rule: 'patience', patience: 1, minDelta: 0, startEpoch: 1 },
          ],
        },
      }),
    );
    world.join(trainer('a', 1));
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, 0.5));
    world.epoch(start!, epochRecord(2, 0.2));
    const trial = world.trial(start!.trialId);
    expect(trial.state).toBe('stopped');
    expect(trial.reason).toMatch(/^threshold@1: .*; patience@1: /);
  });
});

describe('limits of a trial', () => {
  const begin = (trialLimits: { maxSeconds: number | null; maxEnergyWh: number | null }) => {
    const world = new World();
    world.submit(sweepSpec({ maxEpochs: 9, trialLimits }));
    world.join(trainer('a', 1));
    return { world, start: world.running()[0]! };
  };

  it('stops at the first epoch at which the seconds read reach the limit', () => {
    const { world, start } = begin({ maxSeconds: 2.2, maxEnergyWh: null });
    world.epoch(start, epochRecord(1, 0.5));
    expect(world.trial(start.trialId).state).toBe('running');
    world.epoch(start, epochRecord(2, 0.5));
    expect(world.trial(start.trialId)).toMatchObject({
      state: 'stopped',
      reason: 'max_seconds@1: the trial has spent 2.2 s; its limit is 2.2 s',
    });
  });

  it('counts the joules of every attempt, retrained ones too', () => {
    const { world, start } = begin({ maxSeconds: null, maxEnergyWh: 0.01 });
    world.epoch(start, epochRecord(1, 0.5, { train: joules(10) }));
    world.end(start, 'preempted', joules(14));
    const again = world.running().find(({ trialId }) => trialId === start.trialId)!;
    world.epoch(again, epochRecord(1, 0.5, { train: joules(10) }));
    world.epoch(again, epochRecord(2, 0.5, { train: joules(12) }));
    expect(world.trial(start.trialId)).toMatchObject({ state: 'stopped' });
    expect(world.trial(start.trialId).decisions).toMatchObject([
      { rule: 'max_energy@1', action: 'stop', epoch: 2, value: 36 / 3600, threshold: 0.01 },
    ]);
  });

  it('never acts on null readings, and says so once', () => {
    const { world, start } = begin({ maxSeconds: null, maxEnergyWh: 1e-9 });
    for (let e = 1; e <= 8; e++) world.epoch(start, epochRecord(e, 0.5));
    expect(world.trial(start.trialId).state).toBe('running');
    expect(world.trial(start.trialId).decisions).toMatchObject([
      { rule: 'max_energy@1', action: 'continue', epoch: 1, value: null },
    ]);
  });

  it('leaves a trial alone that has reached its last epoch', () => {
    const { world, start } = begin({ maxSeconds: 5, maxEnergyWh: null });
    world.epoch(start, epochRecord(9, 0.5, { trainSeconds: 100 }));
    expect(world.trial(start.trialId).state).toBe('succeeded');
  });
});
