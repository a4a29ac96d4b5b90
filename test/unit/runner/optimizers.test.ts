import { describe, expect, it } from 'vitest';
import type { OptimizerSettings } from '../../../services/trainer/runner/recipes/images/optimizers.js';
import {
  referenceState,
  referenceUpdate,
} from '../../../services/trainer/runner/recipes/images/optimizers.js';

// In float64: weights after three steps from [1, -2, 0.5] with these gradients.
const start = [1, -2, 0.5];
const gradients = [
  [0.1, -0.2, 0.3],
  [-0.05, 0.4, 0],
  [0.2, 0.1, -1e-6],
];

const common = { weightDecay: 0, clipNorm: null, semantics: 'keras' } as const;
const adam = { ...common, kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7 } as const;
const sgd = { ...common, kind: 'sgd', momentum: 0.9, nesterov: false } as const;
const torch = { semantics: 'pytorch', epsilon: 1e-8 } as const;

interface Run {
  /** Of each step. */
  readonly rates: readonly number[];
  readonly l2?: number;
  readonly decays?: readonly number[];
}

const constant = (rate: number): Run => ({ rates: [rate, rate, rate] });
/** The rate drops before the third step. */
const drop: Run = { rates: [0.1, 0.1, 0.01] };

function after(settings: OptimizerSettings, { rates, l2 = 0, decays }: Run): number[] {
  const state = referenceState(settings, start);
  rates.forEach((lr, index) => {
    const penalised = gradients[index]!.map((g, i) => g + 2 * l2 * (state.weights[i] ?? 0));
    referenceUpdate(settings, state, penalised, lr, index + 1, undefined, decays);
  });
  return [...state.weights];
}

/** Printed by Keras 3.15.1 and PyTorch 1.13. Where Keras clips, all constants are exact in float32: it rounds them to that. */
const cases: [string, OptimizerSettings, Run, number[]][] = [
  ['Keras Adam', adam, constant(1e-3), [0.9980755996, -1.9997817651, 0.49781201]],
  [
    'Keras AdamW',
    { ...adam, kind: 'adamw', weightDecay: 0.1 },
    constant(1e-3),
    [0.9977758562, -1.9991819885, 0.497662292],
  ],
  [
    'Keras Adam with weight decay',
    { ...adam, weightDecay: 0.1 },
    constant(1e-3),
    [0.9977758562, -1.9991819885, 0.497662292],
  ],
  [
    'Keras Adam with L2 of 1e-4',
    adam,
    { ...constant(1e-3), l2: 1e-4 },
    [0.9980724036, -1.9997793714, 0.4978113587],
  ],
  [
    'Keras Adam, clipped',
    { ...adam, beta1: 0.5, beta2: 0.75, epsilon: 2 ** -23, clipNorm: 0.25 },
    constant(2 ** -10),
    [0.998170814212, -2.000222441754, 0.49824333759],
  ],
  ['Keras SGD with momentum', sgd, constant(0.1), [0.9624, -2.0318, 0.4187001]],
  [
    'Keras SGD with Nesterov momentum',
    { ...sgd, nesterov: true },
    constant(0.1),
    [0.94116, -2.05862, 0.39683019],
  ],
  [
    'Keras SGD with Nesterov momentum and weight decay',
    { ...sgd, nesterov: true, weightDecay: 5e-4 },
    constant(0.1),
    [0.9410118375, -2.0583208249, 0.3967621086],
  ],
  [
    'Keras SGD, clipped, under a falling rate',
    { ...sgd, momentum: 0.5, clipNorm: 0.25 },
    { rates: [0.125, 0.125, 0.015625] },
    [0.988073279017, -2.018843827137, 0.456152468124],
  ],
  ['PyTorch Adam', { ...adam, ...torch }, constant(1e-3), [0.998075551544, -1.99978175475, 0.497811987]],
  [
    'PyTorch Adam with weight decay',
    { ...adam, ...torch, weightDecay: 0.1 },
    constant(1e-3),
    [0.997279703159, -1.998393741075, 0.497554172164],
  ],
  [
    'PyTorch AdamW',
    { ...adam, ...torch, kind: 'adamw', weightDecay: 0.1 },
    constant(1e-3),
    [0.997775808166, -1.999181978127, 0.497662268995],
  ],
  [
    'PyTorch SGD with momentum under a falling rate',
    { ...sgd, semantics: 'pytorch' },
    drop,
    [0.98364, -2.00498, 0.44057001],
  ],
  [
    'PyTorch SGD with Nesterov momentum and weight decay under a falling rate',
    { ...sgd, semantics: 'pytorch', nesterov: true, weightDecay: 5e-4 },
    drop,
    [0.978030365732, -2.024990189965, 0.416395595448],
  ],
  [
    'the same, clipped',
    { ...sgd, semantics: 'pytorch', nesterov: true, weightDecay: 5e-4, clipNorm: 0.25 },
    drop,
    [0.983502511994, -2.013361518117, 0.444098516419],
  ],
];

describe('the float64 reference of the optimizers', () => {
  it.each(cases)('agrees to the digits known with %s', (_name, settings, run, expected) => {
    after(settings, run).forEach((weight, index) => {
      expect(Math.abs(weight - expected[index]!)).toBeLessThan(1e-9);
    });
  });

  it('takes the first step of Adam like Keras', () => {
    after(adam, { rates: [1e-3] }).forEach((weight, index) => {
      expect(Math.abs(weight - [0.9990000316, -1.9990000158, 0.4990000105][index]!)).toBeLessThan(1e-9);
    });
  });

  it('descends plainly with SGD without momentum', () => {
    const weights = after({ ...sgd, momentum: 0 }, constant(0.1));
    expect(weights[0]).toBeCloseTo(1 - 0.1 * (0.1 - 0.05 + 0.2), 12);
  });

  it.each([
    ['decoupled', { ...adam, weightDecay: 0.1 }],
    ['coupled', { ...sgd, semantics: 'pytorch', weightDecay: 0.1 } as const],
  ])('leaves excluded weights out of %s decay', (_name, settings: OptimizerSettings) => {
    const run = constant(1e-3);
    const some = after(settings, { ...run, decays: [1, 0, 1] });
    const all = after(settings, run);
    const none = after({ ...settings, weightDecay: 0 }, run);
    expect(some).toEqual([all[0], none[1], all[2]]);
    expect(all[1]).not.toBe(none[1]);
  });
});
