/** The step of ResNet11v2 and its feeds, for tests that compare the graph with the same step run op by op. */
import { openEngine, setThreads } from '../../../services/trainer/runner/engine.js';
import type { Tensor } from '../../../services/trainer/runner/graph/binding.js';
import { nativeBackend } from '../../../services/trainer/runner/graph/binding.js';
import type { Signature } from '../../../services/trainer/runner/graph/signature.js';
import {
  initialParameters,
  initialStatistics,
} from '../../../services/trainer/runner/recipes/images/initializers.js';
import { resnetV2 } from '../../../services/trainer/runner/recipes/images/networks.js';
import { philox, uniform } from '../../../services/trainer/runner/recipes/images/random.js';
import type { OptimizerSettings } from '../../../services/trainer/runner/recipes/images/optimizers.js';

setThreads(2);
export const { tf } = openEngine({ model: 'CPU' });
export const { binding } = nativeBackend(tf);

export const common = { weightDecay: 0, clipNorm: null, semantics: 'keras' } as const;
export const adam = {
  ...common,
  kind: 'adam',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
} as const satisfies OptimizerSettings;
export const still = { rate: 0, decay: 0, momentum: 0, epsilon: 1 };
export const architecture = resnetV2(11);
export const settings = {
  optimizer: adam,
  decayed: 'all' as const,
  l2: 1e-4,
  bnMomentum: 0.9,
  precision: 'float32' as const,
};

/** The same numbers in every run: smooth ones, and noise like pixels. */
export function wave(length: number, frequency: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(frequency * (i + 1)) / 2);
}

export const initial = (): Record<string, Float32Array> => {
  const { mean, variance } = initialStatistics(architecture);
  const zeros = () => new Float32Array(architecture.trainable);
  return {
    parameters: initialParameters(architecture, 5),
    m: zeros(),
    v: zeros(),
    movingMean: mean,
    movingVariance: variance,
  };
};

export const noise = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => uniform(philox(11, i, 0)[0]) - 0.5);

export const feedsOf = (batch: number) => ({
  images: noise(batch * 3072),
  labels: Int32Array.from({ length: batch }, (_, i) => i % 10),
});

/** A signature's step run op by op on real tensors. */
export function eagerly(
  signature: Signature,
  state: Readonly<Record<string, Float32Array>>,
  feeds: Readonly<Record<string, Float32Array | Int32Array>>,
): Record<string, Float32Array> {
  const read = (tensors: Readonly<Record<string, Tensor>> = {}) =>
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.dataSync() as Float32Array] as const);
  return tf.tidy(() => {
    const variables = Object.entries(state).map(([name, values]) => [name, tf.tensor1d(values)] as const);
    const fed = Object.entries(feeds).map(([name, values]) => {
      const { shape, dtype = 'float32' } = signature.feeds[name]!;
      return [name, tf.tensor(values, [...shape], dtype)] as const;
    });
    const result = signature.step(Object.fromEntries(variables), Object.fromEntries(fed));
    return Object.fromEntries([...read(result.state), ...read(result.fetches)]) as never;
  });
}

/** Largest difference, relative to the largest value. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let largest = 1e-12;
  for (let i = 0; i < a.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference / largest;
}
