import { expect, it } from 'vitest';
import { summarize } from '../../../services/trainer/runner/recipes/images/summary.js';

it('summarizes a setting: layers, counts, steps and the rates where they change', () => {
  const summary = summarize({ schedule: { kind: 'keras-cifar10' } }, 130);
  expect(summary).toMatchObject({
    trainable: 1_663_338,
    nonTrainable: 10_400,
    stepsPerEpoch: 1563,
    totalSteps: 203_190,
  });
  expect(summary.layers[0]).toEqual({
    name: 'stem_conv',
    kind: 'conv',
    output: [32, 32, 16],
    parameters: 448,
  });
  expect(summary.layers.at(-1)).toEqual({
    name: 'head_dense',
    kind: 'dense',
    output: [10],
    parameters: 2570,
  });
  expect(summary.layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(summary.trainable);
  expect(summary.schedule.map(({ step, epoch }) => [step, epoch])).toEqual([
    [1, 1],
    [81 * 1563 + 1, 82],
    [121 * 1563 + 1, 122],
  ]);
});

it('tabulates the steps asked for', () => {
  const { schedule } = summarize({ lr_peak: 0.01, batch_size: 64 }, 2, [1, 782, 783]);
  expect(schedule).toEqual([
    { step: 1, epoch: 1, lr: 0.01, weightDecay: 0, momentum: 0.9 },
    { step: 782, epoch: 1, lr: 0.01, weightDecay: 0, momentum: 0.9 },
    { step: 783, epoch: 2, lr: 0.01, weightDecay: 0, momentum: 0.9 },
  ]);
});
