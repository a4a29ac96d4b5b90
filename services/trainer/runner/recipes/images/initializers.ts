/** Initial weights, seeded; each tensor draws from a stream of its own. */
import type { Architecture } from './architecture.js';
import { batchNorms, parameterTensors } from './architecture.js';
import { Stream, philox, streamKey, uniform } from './random.js';

/** Standard deviation of a standard normal cut at two standard deviations; Keras divides by it. */
const TRUNCATED_STDDEV = 0.87962566103423978;

/**
 * He normal as Keras draws it: a normal of standard deviation sqrt(2 / fan_in) / 0.8796..., cut at two of its own
 * standard deviations, so that the variance after the cut is 2 / fan_in (He et al. 2015, arXiv:1502.01852, eq. 10).
 */
function fillHeNormal(target: Float32Array, fanIn: number, key: number): void {
  const scale = Math.sqrt(2 / fanIn) / TRUNCATED_STDDEV;
  let counter = 0;
  for (let i = 0; i < target.length;) {
    // Box-Muller; the half keeps the logarithm finite.
    const [a, b] = philox(key, counter++, 0);
    const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 0x1_0000_0000));
    const angle = 2 * Math.PI * uniform(b);
    for (const z of [radius * Math.cos(angle), radius * Math.sin(angle)]) {
      if (Math.abs(z) <= 2 && i < target.length) target[i++] = z * scale;
    }
  }
}

/** The flat parameter vector at the start: kernels He normal, biases and beta 0, gamma 1. */
export function initialParameters(architecture: Architecture, seed: number): Float32Array {
  const values = new Float32Array(architecture.trainable);
  parameterTensors(architecture).forEach(({ role, shape, offset, length }, index) => {
    const view = values.subarray(offset, offset + length);
    if (role === 'gamma') view.fill(1);
    if (role === 'kernel') {
      const fanIn = shape.slice(0, -1).reduce((product, size) => product * size, 1);
      fillHeNormal(view, fanIn, streamKey(seed, Stream.weights, index));
    }
  });
  return values;
}

/** Moving means (0) and variances (1) at the start, each of all batch normalisations in order. */
export function initialStatistics(architecture: Architecture): {
  mean: Float32Array;
  variance: Float32Array;
} {
  const length = batchNorms(architecture).reduce((sum, layer) => sum + layer.channels, 0);
  return { mean: new Float32Array(length), variance: new Float32Array(length).fill(1) };
}

/** The penalty `l2 * sum(w^2)` over the convolution kernels (Keras L2: no factor 1/2). */
export function l2Penalty(architecture: Architecture, parameters: Float32Array, l2: number): number {
  let sum = 0;
  for (const { role, layer, offset, length } of parameterTensors(architecture)) {
    if (role !== 'kernel' || layer.kind !== 'conv') continue;
    for (let i = offset; i < offset + length; i++) sum += (parameters[i] ?? 0) ** 2;
  }
  return l2 * sum;
}
