/** Images in memory: bytes, in shared memory, so that workers read the same copy. */
import { IMAGE_CHANNELS } from './architecture.js';

export interface Images {
  readonly count: number;
  /** Of each square image, in pixels. */
  readonly side: number;
  /** count x side x side x 3 bytes, on a SharedArrayBuffer. */
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  /** count labels, from 0, on a SharedArrayBuffer. */
  readonly labels: Uint16Array<SharedArrayBuffer>;
}

/** Numbers of one image. */
export const pixelsOf = (side: number): number => side * side * IMAGE_CHANNELS;

/** Room for `count` images. */
export const newImages = (count: number, side: number): Images => ({
  count,
  side,
  pixels: new Uint8Array(new SharedArrayBuffer(count * pixelsOf(side))),
  labels: new Uint16Array(new SharedArrayBuffer(count * Uint16Array.BYTES_PER_ELEMENT)),
});

/** Those from `begin` to `end`: a view, nothing is copied. */
export function slice({ side, pixels, labels }: Images, begin: number, end: number): Images {
  const size = pixelsOf(side);
  return {
    count: end - begin,
    side,
    pixels: pixels.subarray(begin * size, end * size),
    labels: labels.subarray(begin, end),
  };
}

/** Mean image of x/255, side x side x 3: subtracted from every training and validation image (Keras example). */
export function meanImage({ count, side, pixels }: Images): Float32Array<SharedArrayBuffer> {
  const size = pixelsOf(side);
  const sums = new Float64Array(size);
  for (let image = 0; image < count; image++) {
    const at = image * size;
    for (let i = 0; i < size; i++) sums[i] = (sums[i] ?? 0) + (pixels[at + i] ?? 0);
  }
  const mean = new Float32Array(new SharedArrayBuffer(size * Float32Array.BYTES_PER_ELEMENT));
  for (let i = 0; i < size; i++) mean[i] = (sums[i] ?? 0) / count / 255;
  return mean;
}
