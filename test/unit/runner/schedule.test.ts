import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../services/trainer/runner/recipes/images/schedule-settings.js';
import type { ScheduleContext } from '../../../services/trainer/runner/recipes/images/schedule.js';
import { ratesAt, scheduleTable, turns } from '../../../services/trainer/runner/recipes/images/schedule.js';

type Given = Parameters<typeof parseSchedule>[0];

const contextOf = (
  schedule: Given,
  maxEpochs: number,
  stepsPerEpoch: number,
  more: Partial<ScheduleContext> = {},
): ScheduleContext => ({
  schedule: parseSchedule(schedule, maxEpochs),
  weightDecaySchedule: parseSchedule({ kind: 'constant' }, maxEpochs),
  lrPeak: 1e-3,
  weightDecay: 0,
  momentum: 0.9,
  maxEpochs,
  stepsPerEpoch,
  ...more,
});

/** Epochs at each rate, in order. */
function runs(schedule: Given, maxEpochs: number, stepsPerEpoch = 1563) {
  const context = contextOf(schedule, maxEpochs, stepsPerEpoch);
  const counted: [number, number][] = [];
  for (let epoch = 1; epoch <= maxEpochs; epoch++) {
    const first = ratesAt(context, (epoch - 1) * stepsPerEpoch + 1).lr;
    expect(ratesAt(context, epoch * stepsPerEpoch).lr).toBe(first);
    const last = counted.at(-1);
    if (last?.[0] === first) last[1]++;
    else counted.push([first, 1]);
  }
  return counted;
}

const kerasRates = [1e-3, 1e-4, 1e-5, 1e-6, 0.5e-6];

describe('the learning-rate schedule', () => {
  it.each([
    { kind: 'keras-cifar10' },
    { kind: 'piecewise', at: [81, 121, 161, 181], factor: [0.1, 0.1, 0.1, 0.5] },
  ])('gives the 81, 40, 40, 20 and 19 epochs of the Keras example: %j', (schedule) => {
    const counted = runs(schedule, 200);
    expect(counted.map(([, epochs]) => epochs)).toEqual([81, 40, 40, 20, 19]);
    counted.forEach(([lr], index) => expect(lr).toBeCloseTo(kerasRates[index]!, 15));
  });

  it('scales fractions with max_epochs', () => {
    const schedule = { kind: 'piecewise', at: [0.5, 0.75], factor: 0.1 };
    expect(runs(schedule, 60).map(([, epochs]) => epochs)).toEqual([30, 15, 15]);
    expect(runs(schedule, 8).map(([, epochs]) => epochs)).toEqual([4, 2, 2]);
  });

  it('drops at the first step after a boundary within an epoch', () => {
    const context = contextOf({ kind: 'piecewise', at: [0.5], factor: 0.1 }, 3, 10, { lrPeak: 1 });
    const fixed = { weightDecay: 0, momentum: 0.9 };
    expect(scheduleTable(context, [1, 15, 16, 30])).toEqual([
      { step: 1, epoch: 1, lr: 1, ...fixed },
      { step: 15, epoch: 2, lr: 1, ...fixed },
      { step: 16, epoch: 2, lr: 0.1, ...fixed },
      { step: 30, epoch: 3, lr: 0.1, ...fixed },
    ]);
    expect(turns(context)).toEqual([1, 16]);
  });

  it('goes straight from point to point', () => {
    const context = contextOf({ kind: 'linear', at: [2, 8, 10], factor: [1, 0.1, 0] }, 12, 10);
    const lr = (epoch: number): number => ratesAt(context, epoch * 10 + 1).lr / 1e-3;
    expect([0, 1, 2, 5, 8, 9, 10, 11].map(lr).map((value) => Number(value.toFixed(12)))).toEqual([
      1, 1, 1, 0.55, 0.1, 0.05, 0, 0,
    ]);
    expect(ratesAt(context, 36).lr).toBeCloseTo(1e-3 * (1 - 0.9 * (1.5 / 6)), 12);
  });

  it('moves only between epochs where it is told so', () => {
    const stairs = runs({ kind: 'linear', at: [4], factor: [0], per: 'epoch' }, 4, 10);
    expect(stairs.map(([lr, epochs]) => [Number((lr / 1e-3).toFixed(12)), epochs])).toEqual([
      [1, 1],
      [0.75, 1],
      [0.5, 1],
      [0.25, 1],
    ]);
  });

  it('falls along half a wave and along a quarter of one', () => {
    const half = contextOf({ kind: 'cosine', floor: 0.1 }, 20, 10);
    expect(ratesAt(half, 1).lr).toBe(1e-3);
    expect(ratesAt(half, 101).lr).toBeCloseTo(0.55e-3, 12);
    expect(ratesAt(half, 51).lr).toBeCloseTo(1e-3 * (0.1 + (0.9 * (1 + Math.SQRT1_2)) / 2), 12);
    const quarter = contextOf({ kind: 'quarter-cosine', from: 5, to: 15 }, 20, 10);
    const at = (epoch: number): number => ratesAt(quarter, epoch * 10 + 1).lr / 1e-3;
    expect([0, 5, 15, 19].map((epoch) => Number(at(epoch).toFixed(12)))).toEqual([1, 1, 0, 0]);
    expect(at(10)).toBeCloseTo(Math.SQRT1_2, 12);
    expect(turns(quarter)).toEqual([1, 51, 151, 200]);
  });

  it('rises straight to the curve', () => {
    const context = contextOf({ kind: 'piecewise', at: [4], factor: 0.1, warmup: 1 }, 8, 10);
    expect([1, 5, 10, 11, 41].map((step) => ratesAt(context, step).lr)).toEqual(
      [0.1, 0.5, 1, 1, 0.1].map((multiple) => multiple * 1e-3),
    );
  });

  it('schedules weight decay apart from the rate', () => {
    const weightDecaySchedule = parseSchedule({ kind: 'piecewise', at: [0.8], factor: 0.05 }, 10);
    const context = contextOf({ kind: 'quarter-cosine' }, 10, 10, { weightDecaySchedule, weightDecay: 0.2 });
    expect(ratesAt(context, 80).weightDecay).toBe(0.2);
    expect(ratesAt(context, 81).weightDecay).toBeCloseTo(0.01, 15);
    expect(turns(context)).toEqual([1, 81, 100]);
  });

  describe('1cycle over 100 steps', () => {
    const at = (schedule: Given, index: number) => ratesAt(contextOf(schedule, 10, 10), index + 1);

    // Of PyTorch's OneCycleLR: rate and momentum of the step with this 0-based index.
    it.each([
      [2, 0, 4e-5, 0.95],
      [2, 29, 1e-3, 0.85],
      [2, 30, 9.9949654e-4, undefined],
      [2, 99, 4e-9, 0.95],
      [3, 30, 9.9718622e-4, undefined],
      [3, 50, 2.0925458e-4, 0.93236931],
      [3, 99, 4e-9, 0.95],
    ])("follows PyTorch's %i phases at %i", (phases, index, lr, momentum) => {
      const rates = at({ kind: '1cycle', phases }, index);
      expect(Math.abs(rates.lr / lr - 1)).toBeLessThan(1e-7);
      if (momentum !== undefined) expect(rates.momentum).toBeCloseTo(momentum, 8);
    });

    // fastai: sched_cos(a, b, p) = a + (1 + cos(pi (1 - p))) (b - a) / 2 on either side of pct_start.
    it.each([
      [0, 4e-5, 0.95],
      [25, 1e-3, 0.85],
      [50, 1e-3 + ((1 + Math.cos((Math.PI * 2) / 3)) * (1e-8 - 1e-3)) / 2, 0.875],
    ])("follows fastai's at %i", (index, lr, momentum) => {
      const rates = at({ kind: '1cycle', definition: 'fastai' }, index);
      expect(rates.lr).toBeCloseTo(lr, 12);
      expect(rates.momentum).toBeCloseTo(momentum, 12);
    });

    it('leaves momentum alone when told so, and can be straight', () => {
      const schedule = { kind: '1cycle', momentum: false, anneal: 'linear', div: 10, pct_start: 0.5 };
      expect(at(schedule, 20).momentum).toBe(0.9);
      expect(at(schedule, 49).lr).toBeCloseTo(1e-3, 15);
      expect(at(schedule, 24).lr).toBeCloseTo(1e-3 * (0.1 + (0.9 * 24) / 49), 15);
    });

    it('stands even a run of one step', () => {
      for (const definition of ['pytorch', 'fastai']) {
        const { lr } = ratesAt(contextOf({ kind: '1cycle', definition }, 1, 1), 1);
        expect(lr).toBeGreaterThan(0);
      }
    });
  });

  it.each([
    [{ kind: 'piecwise' }, /schedule\.kind: "piecwise" is none of .*did you mean 'piecewise'/],
    [{ kind: 'constant', at: [1] }, /schedule\.at: a constant schedule has no such key/],
    [{ kind: 'piecewise', at: [20, 0.5], factor: 0.1 }, /schedule\.at: the boundaries do not rise/],
    [{ kind: 'piecewise', at: [5, 9], factor: [0.1] }, /schedule\.factor: 1 factors for 2 boundaries/],
    [{ kind: 'piecewise', at: [-1], factor: 0.1 }, /schedule\.at: .* no list of positive numbers/],
    [{ kind: 'cosine', from: 0.9, to: 10 }, /schedule\.from: the curve must begin before it ends/],
    [{ kind: 'cosine', floor: 2 }, /schedule\.floor: 2 is no number from 0 to 1/],
    [
      { kind: 'linear', at: [1, 2], factor: [1] },
      /schedule\.factor: 1 factors for 2 boundaries; give one for each/,
    ],
    [{ kind: '1cycle', phases: 3, definition: 'fastai' }, /schedule\.phases: fastai defines two/],
    [{ kind: '1cycle', phases: 3, pct_start: 0.6 }, /schedule\.pct_start: three phases/],
    [{ kind: '1cycle', momentum: [0.9, 1] }, /schedule\.momentum: \[0.9,1\] is neither false nor/],
    [{ kind: '1cycle', warmup: 1 }, /schedule\.warmup: a 1cycle schedule has no such key/],
    [{ kind: 'piecewise', at: [0.5], factor: 'tenth' }, /schedule\.factor: .* no list of positive numbers/],
  ])('refuses %j', (schedule, message) => {
    expect(() => parseSchedule(schedule, 30)).toThrow(message);
  });
});
