import { describe, expect, it } from 'vitest';
import type { AshaSpec, Goal, PatienceSpec } from '../../../services/coordinator/core/index.js';
import { asha, ashaBracket, ashaRungs } from '../../../services/coordinator/core/stopping/asha.js';
import { patience } from '../../../services/coordinator/core/stopping/patience.js';
import { threshold } from '../../../services/coordinator/core/stopping/threshold.js';
import { judgeTarget } from '../../../services/coordinator/core/stopping/target.js';
import type { Observation, StoppingRule } from '../../../services/coordinator/core/stopping/rule.js';
import { epochRecord } from '../../support/core.js';

const ashaSpec = (over: Partial<AshaSpec> = {}): AshaSpec => ({
  rule: 'asha',
  firstRung: 1,
  eta: 2,
  window: 1,
  compareWithin: [],
  brackets: 1,
  ...over,
});

const observation = (over: Partial<Observation> & { value: number }): Observation => ({
  trialId: 't',
  index: 0,
  parameters: {},
  repeat: 1,
  epoch: 1,
  previousEpoch: (over.epoch ?? 1) - 1,
  recent: () => [over.value],
  history: () => [{ epoch: over.epoch ?? 1, value: over.value, joules: null, seconds: null }],
  ...over,
});

/** Tells the rule of a report and gives the letters of its answers. */
function tell(rule: StoppingRule, state: Record<string, unknown>, seen: Observation): string {
  rule.absorb(state, seen);
  return rule
    .judge(state, seen)
    .map((decision) => (decision.action === 'stop' ? 'S' : 'C'))
    .join('');
}

function answers(values: readonly number[], eta: number, goal: Goal = 'maximize'): string {
  const rule = asha(ashaSpec({ eta, version: 2 }), 1000, goal, 's');
  const state = rule.init();
  return values.map((value, i) => tell(rule, state, observation({ trialId: `t${i}`, value }))).join(' ');
}

describe('asha', () => {
  it.each([
    ['10 8 6 4', 2, 'C S S S'],
    ['10 8 6 4 2 1', 3, 'C S S S S S'],
    ['1 2 3 4 5 6', 3, 'C C C C C C'],
    ['5 5 5 5 5 5', 2, 'C C C C C C'],
    ['5 5 5 5 5 5', 3, 'C C C C C C'],
    ['7 3 9 5 8 1 6 4 2 10', 3, 'C S C S S S S S S C'],
  ])('at one rung, %s with eta %i answers %s', (values, eta, expected) => {
    expect(answers(values.split(' ').map(Number), eta)).toBe(expected);
  });

  it('negates for minimize', () => {
    expect(answers([-10, -8, -6, -4], 2, 'minimize')).toBe('C S S S');
  });

  it.each([
    [{ firstRung: 1, eta: 4 }, 16, [1, 4]],
    [{ firstRung: 1, eta: 10 }, 1001, [1, 10, 100, 1000]],
    [{ firstRung: 1, eta: 10 }, 1000, [1, 10, 100]],
    [{ firstRung: 40, eta: 3 }, 60, [40]],
    [{ firstRung: 4, eta: 2 }, 4, []],
  ])('%o below %i epochs has rungs %o', (over, maxEpochs, rungs) => {
    expect(ashaRungs(ashaSpec(over), maxEpochs)).toEqual(rungs);
  });

  it('begins bracket s at first_rung * eta^s', () => {
    const spec = ashaSpec({ firstRung: 1, eta: 3, brackets: 3 });
    expect([0, 1, 2].map((s) => ashaRungs(spec, 81, s))).toEqual([
      [1, 3, 9, 27],
      [3, 9, 27],
      [9, 27],
    ]);
  });

  it('counts a report that skips rungs at each of them, lowest first', () => {
    const rule = asha(ashaSpec(), 100, 'maximize', 's');
    const state = rule.init();
    for (let e = 1; e <= 4; e++) tell(rule, state, observation({ trialId: 'a', value: 5, epoch: e }));
    const late = observation({ trialId: 'b', value: 4, epoch: 4, previousEpoch: 0 });
    rule.absorb(state, late);
    expect(rule.judge(state, late).map(({ rung, rank, n, action }) => [rung, rank, n, action])).toEqual([
      [1, 2, 2, 'stop'],
      [2, 2, 2, 'stop'],
      [4, 2, 2, 'stop'],
    ]);
  });

  it('since version 2 does not count a report above the first rung that stops the trial', () => {
    const rule = asha(ashaSpec({ version: 2 }), 100, 'maximize', 's');
    const state = rule.init();
    for (const epoch of [1, 2, 4]) tell(rule, state, observation({ trialId: 'a', value: 9, epoch }));
    const late = observation({ trialId: 'b', value: 4, epoch: 4, previousEpoch: 0 });
    rule.absorb(state, late);
    expect(rule.judge(state, late)).toMatchObject([
      { rule: 'asha@2', rung: 1, rank: 2, n: 2, action: 'stop' },
    ]);
    // Nobody but `a` came to epoch 4: with `b` there, the best 1 of 3 would go on, and c is the second.
    const next = observation({ trialId: 'c', value: 9, epoch: 4, previousEpoch: 2 });
    rule.absorb(state, next);
    expect(rule.judge(state, next)).toMatchObject([{ rung: 4, n: 2, action: 'continue' }]);
  });

  it('says rung, rank, n and threshold in the decision and in words', () => {
    const rule = asha(ashaSpec(), 100, 'maximize', 's');
    const state = rule.init();
    tell(rule, state, observation({ trialId: 'a', value: 0.9 }));
    const seen = observation({ trialId: 'b', value: 0.5 });
    rule.absorb(state, seen);
    expect(rule.judge(state, seen)).toEqual([
      {
        rule: 'asha@1',
        action: 'stop',
        epoch: 1,
        rung: 1,
        value: 0.5,
        rank: 2,
        n: 2,
        threshold: 0.9,
        reason: 'rung 1: value 0.5000 is rank 2 of 2; the best 1 (to 0.9000) go on',
      },
    ]);
  });

  it('takes the mean of the last epochs with a window', () => {
    const rule = asha(ashaSpec({ firstRung: 3, window: 3 }), 100, 'maximize', 's');
    const state = rule.init();
    tell(rule, state, observation({ trialId: 'a', value: 9, epoch: 3, recent: () => [1, 2, 9] }));
    expect(
      tell(rule, state, observation({ trialId: 'b', value: 5, epoch: 3, recent: () => [5, 5, 5] })),
    ).toBe('C');
  });

  it('ranks only among trials that share the parameters of compare_within', () => {
    const rule = asha(ashaSpec({ compareWithin: ['batch_size'] }), 100, 'maximize', 's');
    const state = rule.init();
    tell(rule, state, observation({ trialId: 'a', value: 9, parameters: { batch_size: 32 } }));
    expect(tell(rule, state, observation({ trialId: 'b', value: 1, parameters: { batch_size: 64 } }))).toBe(
      'C',
    );
    expect(tell(rule, state, observation({ trialId: 'c', value: 1, parameters: { batch_size: 32 } }))).toBe(
      'S',
    );
  });

  it('ranks first repeats only', () => {
    const rule = asha(ashaSpec(), 100, 'maximize', 's');
    const state = rule.init();
    tell(rule, state, observation({ trialId: 'a', value: 9 }));
    expect(tell(rule, state, observation({ trialId: 'b', value: 1, repeat: 2 }))).toBe('');
    expect(tell(rule, state, observation({ trialId: 'c', value: 2 }))).toBe('S');
  });

  it('spreads trials over brackets with the weights of Hyperband', () => {
    const spec = ashaSpec({ eta: 3, brackets: 3 });
    const counts = [0, 0, 0];
    for (let i = 0; i < 3000; i++) counts[ashaBracket('s', `t${i}`, spec)]!++;
    // 9/3 : 3/2 : 1/1
    const total = 3 + 1.5 + 1;
    for (const [s, weight] of [3, 1.5, 1].entries())
      expect(Math.abs(counts[s]! / 3000 - weight / total)).toBeLessThan(0.03);
  });
});

describe('patience', () => {
  const stopAt = (over: Partial<PatienceSpec>, values: readonly number[]): number | null => {
    const rule = patience({ rule: 'patience', patience: 0, minDelta: 0, startEpoch: 1, ...over }, 'maximize');
    const state = rule.init();
    const at = values.findIndex(
      (value, i) => tell(rule, state, observation({ value, epoch: i + 1 })) === 'S',
    );
    return at < 0 ? null : at;
  };
  it.each([
    [0, 0, [1, 0], 1],
    [1, 0, [2, 1, 0], 1],
    [2, 0, [2, 1, 0], 2],
    [2, 0, [1, 1, 1], 2],
    [2, 0.1, [1, 1.05, 1.08, 1.2], 2],
    [1, 0, [1, 2, 3], null],
    [0, 0, [1, 2, 3], null],
  ])('patience %i, min_delta %d, values %o stops at index %o', (waits, minDelta, values, index) => {
    expect(stopAt({ patience: waits, minDelta }, values)).toBe(index);
  });

  it('negates for minimize', () => {
    const rule = patience({ rule: 'patience', patience: 2, minDelta: 0.1, startEpoch: 1 }, 'minimize');
    const state = rule.init();
    const letters = [1, 0.95, 0.8, 0.75, 0.72].map((value, i) =>
      tell(rule, state, observation({ value, epoch: i + 1 })),
    );
    expect(letters).toEqual(['', 'C', 'C', 'C', 'S']);
  });

  it('does not count epochs before start_epoch', () => {
    expect(stopAt({ patience: 1, startEpoch: 3 }, [9, 1, 1, 1])).toBe(3);
  });
});

describe('threshold', () => {
  it('stops what is worse than the bound from the epoch on', () => {
    const rule = threshold({ rule: 'threshold', bound: 0.3, fromEpoch: 2 }, 'maximize');
    const letters = [0.1, 0.3, 0.2].map((value, i) => tell(rule, {}, observation({ value, epoch: i + 1 })));
    expect(letters).toEqual(['', 'C', 'S']);
  });

  it('negates for minimize', () => {
    const rule = threshold({ rule: 'threshold', bound: 2, fromEpoch: 1 }, 'minimize');
    expect([1, 2, 3].map((value) => tell(rule, {}, observation({ value })))).toEqual(['C', 'C', 'S']);
  });
});

describe('target', () => {
  const objective = {
    metric: 'val_accuracy',
    goal: 'maximize' as const,
    target: 0.92,
    holdEpochs: 3,
    holdTolerance: 0.002,
  };
  const confirmedAt = (values: readonly number[]): number | null => {
    const at = values.findIndex(
      (_, i) =>
        judgeTarget(
          objective,
          values.slice(0, i + 1).map((v, e) => epochRecord(e + 1, v)),
        ) !== null,
    );
    return at < 0 ? null : at + 1;
  };
  it('succeeds when the level was held, as the confirmed transition of reports', () => {
    // Transition at epoch 4 (epoch 2 fails on .915 < .918), confirmed three epochs later.
    expect(confirmedAt([0.9, 0.921, 0.915, 0.922, 0.9215, 0.9212, 0.923, 0.9225])).toBe(7);
    const losses = [0.5, 0.4, 0.401, 0.399, 0.402].map((v, e) => epochRecord(e + 1, v));
    const lossGoal = { ...objective, goal: 'minimize' as const, target: 0.4 };
    expect(judgeTarget(lossGoal, losses)).toMatchObject({ action: 'succeed', value: 0.4, epoch: 5 });
    expect(judgeTarget({ ...lossGoal, holdTolerance: 0.001 }, losses)).toBeNull();
    expect(confirmedAt([0.91, 0.92])).toBeNull();
    expect(confirmedAt([0.5, 0.6, 0.7, 0.8, 0.9])).toBeNull();
  });
});
