/** What Keras gave (the JSON of `reference.py`), and how far from it other numbers are. */

import { BATCH } from './inputs.js';

/** Loss with penalty, cross-entropy, accuracy. */
export type Measures = [loss: number, crossEntropy: number, accuracy: number];

export interface Digest {
  /** Every so manyth value is kept. */
  readonly stride: number;
  readonly values: readonly number[];
}

export interface Case {
  /** Learning rate of the first and of the second half of the steps. */
  readonly rates: readonly number[];
  readonly steps: Measures[];
  readonly evaluation: Measures;
  /** By `layer/role`, moving statistics included. */
  readonly weights: Readonly<Record<string, Digest>>;
}

export interface Reference {
  readonly tensorflow: string;
  readonly keras: string;
  readonly cases: Readonly<Record<string, Case>>;
}

/** Largest differences from the reference; losses are relative. */
export interface Distance {
  readonly loss: number;
  readonly crossEntropy: number;
  readonly accuracy: number;
  readonly evaluation: number;
  /** Weights but for the convolutions' biases. */
  readonly weights: number;
  /** Share of these weights that are further than 1e-3 away. */
  readonly outliers: number;
  /** Of moving means, in standard deviations of the channel. */
  readonly movingMean: number;
  /** Of moving variances, relative. */
  readonly movingVariance: number;
}

export interface Trained {
  readonly steps: readonly Measures[];
  readonly evaluation: Measures;
  readonly weights: Readonly<Record<string, ArrayLike<number>>>;
}

const relative = (ours: number, reference: number): number => Math.abs(ours / reference - 1);
const largest = (values: Iterable<number>): number => {
  let most = 0;
  for (const value of values) most = Math.max(most, value);
  return most;
};

/**
 * How far `ours` is from `reference`.
 *
 * A convolution's bias is left out: batch normalisation takes it away again, so its gradient is zero but for rounding,
 * which Adam turns into steps of up to the learning rate. It moves the moving means, and nothing else.
 *
 * @throws Error when a step or a tensor is missing.
 */
export function distance(ours: Trained, reference: Case): Distance {
  if (ours.steps.length !== reference.steps.length) throw new Error('another number of steps');
  const steps = reference.steps.map((expected, index) => {
    const step = ours.steps[index];
    if (step === undefined) throw new Error(`step ${index + 1} is missing`);
    return { step, expected };
  });
  const differences = (tensor: string): number[] => {
    const own = ours.weights[tensor];
    const digest = reference.weights[tensor];
    if (own === undefined || digest === undefined) throw new Error(`${tensor} is missing`);
    if (Math.ceil(own.length / digest.stride) !== digest.values.length) {
      throw new Error(`${tensor} has another length`);
    }
    return digest.values.map((value, i) => Math.abs((own[i * digest.stride] ?? NaN) - value));
  };
  const names = Object.keys(reference.weights);
  const moving = (role: string): string[] => names.filter((name) => name.endsWith(role));
  const weights = names
    .filter((name) => !/moving_|conv\d?\/bias|shortcut\/bias/.test(name))
    .flatMap(differences);
  const scaled = (tensor: string, scale: (variance: number) => number): number => {
    const variances = reference.weights[tensor.replace('moving_mean', 'moving_variance')]?.values ?? [];
    return largest(differences(tensor).map((difference, i) => difference / scale(variances[i] ?? NaN)));
  };
  return {
    loss: largest(steps.map(({ step, expected }) => relative(step[0], expected[0]))),
    crossEntropy: largest(steps.map(({ step, expected }) => relative(step[1], expected[1]))),
    accuracy: largest(steps.map(({ step, expected }) => Math.abs(step[2] - expected[2]))),
    evaluation: relative(ours.evaluation[0], reference.evaluation[0]),
    weights: largest(weights),
    outliers: weights.filter((difference) => !(difference <= 1e-3)).length / weights.length,
    movingMean: largest(moving('moving_mean').map((name) => scaled(name, Math.sqrt))),
    movingVariance: largest(moving('moving_variance').map((name) => scaled(name, (variance) => variance))),
  };
}

/**
 * What may differ. Training enlarges rounding errors, Adam most, where it divides by a small gradient; Keras without oneDNN
 * differs from Keras with it, too. The limits of sgd are tight enough to tell a biased variance from an unbiased one, on the
 * first network; the others, of fewer or wider layers, show rounding up to three times as large, and it may move an image
 * across the border between two classes.
 */
function limits(name: string): Distance {
  const [isSgd, isFirst] = [name.startsWith('sgd'), !name.includes(',')];
  const more = isFirst ? 1 : 3;
  return {
    loss: 5e-4,
    crossEntropy: 5e-4,
    accuracy: isFirst ? 1e-6 : 1 / BATCH + 1e-6,
    evaluation: 5e-4,
    weights: isSgd ? 1e-3 : 2e-3,
    outliers: isSgd ? 0 : isFirst ? 1e-4 : 1e-3,
    movingMean: more * (isSgd ? 1e-3 : 2e-2),
    movingVariance: more * (isSgd ? 5e-4 : 5e-3),
  };
}

/** The measures of `distance` that are beyond the limits. @param name Of the case; begins with its optimizer. */
export const beyond = (name: string, measured: Distance): string[] =>
  Object.entries(limits(name)).flatMap(([measure, limit]) => {
    const value = measured[measure as keyof Distance];
    return value <= limit ? [] : [`${name}: ${measure} differs by ${value}, allowed is ${limit}`];
  });
