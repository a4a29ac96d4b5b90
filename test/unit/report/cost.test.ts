import { describe, expect, it } from 'vitest';
import type { EpochRecord } from '../../../services/coordinator/core/events.js';
import { costTo, epochJoules, epochSeconds, meanWatts } from '../../../services/coordinator/report/index.js';
import { meanUtilization, powerMethods } from '../../../services/coordinator/report/analysis/cost.js';
import { quantity } from '../../../services/coordinator/report/render/format.js';
import { epochRecord, joules, NO_READING } from '../../support/core.js';

describe('time and energy to accuracy 0.92 from published means', () => {
  // Batch size, epoch of the transition, seconds and watts of an epoch: RTX 4060 Ti, ResNet56v2, CIFAR-10.
  it.each([
    [32, 85, 27, 70, '2,295', '38.25', '160,650', '44.63'],
    [64, 84, 22, 97, '1,848', '30.80', '179,256', '49.79'],
    [128, 83, 20.5, 114, '1,702', '28.36', '193,971', '53.88'],
    [64, 84, 19, 65, '1,596', '26.60', '103,740', '28.82'],
  ])('batch size %i', (_, epoch, seconds, watts, s, minutes, j, wattHours) => {
    const epochs = Array.from({ length: 160 }, (_value, i) => i + 1);
    const costs = {
      epochs,
      seconds: epochs.map(() => seconds),
      joules: epochs.map(() => watts * seconds),
    };
    const time = costTo(costs, 'seconds', epoch) ?? NaN;
    const energy = costTo(costs, 'joules', epoch) ?? NaN;
    expect([quantity(time), quantity(time / 60), quantity(energy), quantity(energy / 3600)]).toEqual([
      s,
      minutes,
      j,
      wattHours,
    ]);
    expect(meanWatts(costs)).toBeCloseTo(watts, 9);
  });
});

const record = (over: Partial<EpochRecord>): EpochRecord => epochRecord(1, 0.5, over);

describe('an epoch', () => {
  it('costs training and evaluation', () => {
    expect(epochSeconds(record({ trainSeconds: 20, evaluationSeconds: 2 }))).toBe(22);
    expect(epochJoules(record({ train: joules(2000), evaluation: joules(134) }))).toBe(2134);
  });

  it('has no energy when a part was not read: null, not 0', () => {
    expect(
      epochJoules(record({ train: joules(2000), evaluation: NO_READING, evaluationSeconds: 2 })),
    ).toBeNull();
    expect(epochJoules(record({ train: NO_READING, evaluation: joules(2) }))).toBeNull();
    expect(epochSeconds(record({ trainSeconds: null, evaluationSeconds: 2 }))).toBeNull();
  });

  it('is its training when the program reports no evaluation apart', () => {
    const whole = record({
      trainSeconds: 20,
      evaluationSeconds: null,
      train: joules(2000),
      evaluation: NO_READING,
    });
    expect(epochSeconds(whole)).toBe(20);
    expect(epochJoules(whole)).toBe(2000);
  });
});

it('sums to null over an epoch that was not read, and to what was read before it', () => {
  const costs = { epochs: [1, 2, 3], seconds: [1, 2, 3], joules: [10, null, 30] };
  expect(costTo(costs, 'joules', 1)).toBe(10);
  expect(costTo(costs, 'joules', 2)).toBeNull();
  expect(costTo(costs, 'seconds', 3)).toBe(6);
  expect(costTo(costs, 'seconds', 0)).toBeNull();
});

it('takes watts over the epochs with both readings only', () => {
  expect(meanWatts({ epochs: [1, 2], seconds: [10, 10], joules: [1000, null] })).toBe(100);
  expect(meanWatts({ epochs: [1], seconds: [10], joules: [null] })).toBeNull();
});

it('weights utilisation by seconds and passes over epochs without', () => {
  const rows = [
    record({ trainSeconds: 30, evaluationSeconds: 0, gpuUtilization: 0.9 }),
    record({ trainSeconds: 10, evaluationSeconds: 0, gpuUtilization: 0.5 }),
    record({ trainSeconds: 1000, gpuUtilization: null }),
  ];
  expect(meanUtilization(rows)).toBeCloseTo(0.8, 12);
  expect(meanUtilization([record({})])).toBeNull();
});

it('names the methods that read something', () => {
  const estimate = { ...joules(3), method: 'estimate' };
  expect(powerMethods([record({ train: joules(1), evaluation: estimate }), record({})])).toEqual([
    'nvml-counter',
    'estimate',
  ]);
});
