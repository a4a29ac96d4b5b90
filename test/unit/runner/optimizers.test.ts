import { describe, expect, it } from 'vitest';
import type { OptimizerSettings } from '../../../services/trainer/runner/recipes/resnet-cifar10/optimizers.js';
import {
  referenceState,
  referenceUpdate,
} from '../../../services/trainer/runner/recipes/resnet-cifar10/optimizers.js';

// Keras 3.15.1 in float64: weights after three steps from [1, -2, 0.5] with these gradients.
const start = [1, -2, 0.5];
const gradients = [
  [0.1, -0.2, 0.3],
  [-0.05, 0.4, 0],
  [0.2, 0.1, -1e-6],
];

const adam: OptimizerSettings = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 };
const sgd: OptimizerSettings = { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 };

function after(steps: number, settings: OptimizerSettings, lr: number, l2 = 0): number[] {
  const state = referenceState(settings, start);
  gradients.slice(0, steps).forEach((gradient, index) => {
    const penalised = gradient.map((g, i) => g + 2 * l2 * (state.weights[i] ?? 0));
    referenceUpdate(settings, state, penalised, lr, index + 1);
  });
  return [...state.weights];
}

const cases: [string, OptimizerSettings, number, number, number[]][] = [
  ['Adam', adam, 1e-3, 0, [0.9980755996, -1.9997817651, 0.49781201]],
  [
    'AdamW',
    { ...adam, kind: 'adamw', weightDecay: 0.1 },
    1e-3,
    0,
    [0.9977758562, -1.9991819885, 0.497662292],
  ],
  [
    'Adam with weight decay',
    { ...adam, weightDecay: 0.1 },
    1e-3,
    0,
    [0.9977758562, -1.9991819885, 0.497662292],
  ],
  ['Adam with L2 of 1e-4', adam, 1e-3, 1e-4, [0.9980724036, -1.9997793714, 0.4978113587]],
  ['SGD with momentum', sgd, 0.1, 0, [0.9624, -2.0318, 0.4187001]],
  ['SGD with Nesterov momentum', { ...sgd, nesterov: true }, 0.1, 0, [0.94116, -2.05862, 0.39683019]],
  [
    'SGD with Nesterov momentum and weight decay',
    { ...sgd, nesterov: true, weightDecay: 5e-4 },
    0.1,
    0,
    [0.9410118375, -2.0583208249, 0.3967621086],
  ],
];

describe('the float64 reference of the optimizers', () => {
  it.each(cases)('%s agrees with Keras to the digits known', (_name, settings, lr, l2, expected) => {
    after(3, settings, lr, l2).forEach((weight, index) => {
      expect(Math.abs(weight - expected[index]!)).toBeLessThan(1e-9);
    });
  });

  it('Adam takes its first step like Keras', () => {
    after(1, adam, 1e-3).forEach((weight, index) => {
      expect(Math.abs(weight - [0.9990000316, -1.9990000158, 0.4990000105][index]!)).toBeLessThan(1e-9);
    });
  });

  it('SGD without momentum is plain descent', () => {
    const weights = after(3, { ...sgd, momentum: 0 }, 0.1);
    expect(weights[0]).toBeCloseTo(1 - 0.1 * (0.1 - 0.05 + 0.2), 12);
  });
});
