/**
 * Initial weights and batches by formula, the same as in `reference.py`: integers mixed by xor, shift and
 * multiplication, so that both sides start from equal bits. Keep the two alike.
 */
import type { Architecture } from '../../services/trainer/runner/recipes/images/architecture.js';
import { parameterTensors } from '../../services/trainer/runner/recipes/images/architecture.js';
import { type Images, newImages, pixelsOf } from '../../services/trainer/runner/recipes/images/pictures.js';

const SIDE = 32;
export const PIXELS = pixelsOf(SIDE);
export const BATCH = 24;
export const BATCHES = 5;
export const STEPS = 30;
export const VALIDATION = 40;
export const DEPTH = 11;
export const L2 = 1e-4;
export const BN_MOMENTUM = 0.9;

/** The word at `index` of a stream (lowbias32 of Wellons' hash-prospector). */
function word(stream: number, index: number): number {
  let x = (Math.imul(index, 0x9e3779b1) + Math.imul(stream, 0x85ebca6b)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const symmetric = (stream: number, index: number): number => word(stream, index) / 2 ** 31 - 1;

/** One image's mean, [32, 32, 3]. */
export const mean = (): Float32Array =>
  Float32Array.from({ length: PIXELS }, (_, i) => 0.5 + 0.1 * symmetric(4, i));

export const trainingImages = (): Images => images(1, 2, BATCH * BATCHES);
export const validationImages = (): Images => images(5, 6, VALIDATION);

function images(pixelStream: number, labelStream: number, count: number): Images {
  const made = newImages(count, SIDE);
  const { pixels, labels } = made;
  pixels.forEach((_, i) => (pixels[i] = word(pixelStream, i) >>> 24));
  labels.forEach((_, i) => (labels[i] = word(labelStream, i) % 10));
  return made;
}

/** The flat parameter vector at the start. */
export function initialWeights(architecture: Architecture): Float32Array {
  const values = new Float32Array(architecture.trainable);
  parameterTensors(architecture).forEach(({ role, shape, offset, length }, index) => {
    const fanIn = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    // As wide as He normal: a uniform's variance is a third.
    const width = { kernel: Math.sqrt(6 / fanIn), bias: 0.05, gamma: 0.2, beta: 0.1 }[role];
    const centre = role === 'gamma' ? 1 : 0;
    for (let i = 0; i < length; i++) values[offset + i] = width * symmetric(100 + index, i) + centre;
  });
  return values;
}
