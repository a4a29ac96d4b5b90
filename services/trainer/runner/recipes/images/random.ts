/**
 * A counter-based generator: any draw can be computed from its key alone, so what is drawn for an image depends neither
 * on the batch it falls into nor on how many workers there are, and a resumed run needs no generator state.
 *
 * Philox 2x32-10 of Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
 */

const MULTIPLIER = 0xd256d193;
const WEYL = 0x9e3779b9;

/** High and low 32-bit words of a 32x32-bit product. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const carry = a0 * b1 + (middle % 0x10000);
  return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** What a stream of draws is for; streams of one seed never meet. */
export const Stream = { weights: 1, order: 2, augmentation: 3 } as const;

/** 32-bit key of a stream: the seed, the stream and an epoch mixed. */
export function streamKey(seed: number, stream: number, epoch = 0): number {
  const [a] = philox(seed >>> 0, stream, epoch);
  return a;
}

/** Two independent, uniform 32-bit words for the counter (low, high) under `key`. */
export function philox(key: number, low: number, high: number): [number, number] {
  let x = low >>> 0;
  let y = high >>> 0;
  let k = key >>> 0;
  for (let round = 0; round < 10; round++) {
    const top = multiplyHigh(MULTIPLIER, x);
    const bottom = Math.imul(MULTIPLIER, x) >>> 0;
    x = (top ^ k ^ y) >>> 0;
    y = bottom;
    k = (k + WEYL) >>> 0;
  }
  return [x, y];
}

/** Uniform in [0, 1) with 32 bits of resolution. */
export const uniform = (word: number): number => word / 0x1_0000_0000;

/**
 * A permutation of 0..length-1 (Fisher-Yates; Durstenfeld 1964), the same for the same seed and epoch.
 */
export function permutation(seed: number, epoch: number, length: number): Uint32Array {
  const key = streamKey(seed, Stream.order, epoch);
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(uniform(philox(key, i, 0)[0]) * (i + 1));
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return order;
}
