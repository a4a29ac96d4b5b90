import { describe, expect, it } from 'vitest';
import {
  learningRate,
  scheduleTable,
} from '../../../services/trainer/runner/recipes/resnet-cifar10/schedule.js';
import { parseSchedule } from '../../../services/trainer/runner/recipes/resnet-cifar10/settings.js';

/** Epochs at each rate, in order. */
function runs(schedule: Parameters<typeof parseSchedule>[0], maxEpochs: number, stepsPerEpoch = 1563) {
  const context = { schedule: parseSchedule(schedule, maxEpochs), lrPeak: 1e-3, maxEpochs, stepsPerEpoch };
  const counted: [number, number][] = [];
  for (let epoch = 1; epoch <= maxEpochs; epoch++) {
    const first = learningRate(context, (epoch - 1) * stepsPerEpoch + 1);
    expect(learningRate(context, epoch * stepsPerEpoch)).toBe(first);
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
    const schedule = parseSchedule({ kind: 'piecewise', at: [0.5], factor: 0.1 }, 3);
    const context = { schedule, lrPeak: 1, maxEpochs: 3, stepsPerEpoch: 10 };
    expect(scheduleTable(context, [1, 15, 16, 30])).toEqual([
      { step: 1, epoch: 1, lr: 1 },
      { step: 15, epoch: 2, lr: 1 },
      { step: 16, epoch: 2, lr: 0.1 },
      { step: 30, epoch: 3, lr: 0.1 },
    ]);
  });

  it.each([
    [{ kind: 'piecwise' }, /schedule\.kind: "piecwise" is none of .*did you mean 'piecewise'/],
    [{ kind: 'constant', at: [1] }, /schedule\.at: a constant schedule has no such key/],
    [{ kind: 'piecewise', at: [20, 0.5], factor: 0.1 }, /schedule\.at: the boundaries do not rise/],
    [{ kind: 'piecewise', at: [5, 9], factor: [0.1] }, /schedule\.factor: 1 factors for 2 boundaries/],
    [{ kind: 'piecewise', at: [-1], factor: 0.1 }, /schedule\.at: .* no list of positive numbers/],
    [{ kind: 'piecewise', at: [0.5], factor: 'tenth' }, /schedule\.factor: .* no list of positive numbers/],
  ])('refuses %j', (schedule, message) => {
    expect(() => parseSchedule(schedule, 30)).toThrow(message);
  });
});
