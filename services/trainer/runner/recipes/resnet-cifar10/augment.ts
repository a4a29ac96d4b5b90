/**
 * Random shift and flip, exactly as Keras' ImageDataGenerator (order 1, fill_mode nearest): bilinear interpolation at
 * clamped coordinates in float64, then the mirror. Each picture's draw depends on (seed, epoch, image) only.
 */
import { Stream, philox, streamKey, uniform } from './random.js';

export interface AugmentSettings {
  /** Largest shift, as a fraction of the side, in both directions. */
  readonly shift: number;
  readonly flip: boolean;
}

export interface Draw {
  /** Shift of the columns, in pixels. */
  readonly tx: number;
  /** Shift of the rows, in pixels. */
  readonly ty: number;
  readonly flip: boolean;
}

/** The draw for one image of one epoch. @param key From {@link augmentKey}. */
export function drawFor(key: number, image: number, side: number, settings: AugmentSettings): Draw {
  const [a, b] = philox(key, image, 0);
  const [c] = philox(key, image, 1);
  const range = settings.shift * side;
  return {
    tx: (2 * uniform(a) - 1) * range,
    ty: (2 * uniform(b) - 1) * range,
    flip: settings.flip && uniform(c) < 0.5,
  };
}

export const augmentKey = (seed: number, epoch: number): number =>
  streamKey(seed, Stream.augmentation, epoch);

/** The two source positions and the weight of the second, for each position along one axis. */
interface Axis {
  readonly lower: Int32Array;
  readonly upper: Int32Array;
  readonly weight: Float64Array;
}

export interface Augmenter {
  /**
   * Writes the shifted and perhaps mirrored image into `target` at `offset`.
   *
   * @param source Bytes of many images, each rows x columns x channels.
   * @param at Where the image begins in `source`.
   * @param mean One image, subtracted from x/255 before the shift, as in the Keras example.
   */
  apply(
    draw: Draw,
    source: Uint8Array,
    at: number,
    mean: Float32Array,
    target: Float32Array,
    offset: number,
  ): void;
}

const axis = (side: number): Axis => ({
  lower: new Int32Array(side),
  upper: new Int32Array(side),
  weight: new Float64Array(side),
});

function place({ lower, upper, weight }: Axis, side: number, shift: number): void {
  for (let i = 0; i < side; i++) {
    const position = Math.min(Math.max(i + shift, 0), side - 1);
    const base = Math.min(Math.floor(position), side - 1);
    lower[i] = base;
    upper[i] = Math.min(base + 1, side - 1);
    weight[i] = position - base;
  }
}

/**
 * out[r, c] = bilinear(in, clamp(r + ty), clamp(c + tx)) for one square image, then the mirror.
 *
 * @param source The image, rows x columns x channels, from index 0.
 */
export function shiftImage(
  source: ArrayLike<number>,
  side: number,
  channels: number,
  draw: Draw,
  target: Float32Array,
  offset = 0,
  rows: Axis = axis(side),
  columns: Axis = axis(side),
): void {
  place(rows, side, draw.ty);
  place(columns, side, draw.tx);
  const stride = side * channels;
  const forward = draw.flip ? -channels : channels;
  // Every index below lies within the arrays; a default for each would cost a quarter of the time of 50,000 pictures.
  for (let r = 0; r < side; r++) {
    const top = (rows.lower[r] as number) * stride;
    const bottom = (rows.upper[r] as number) * stride;
    const down = rows.weight[r] as number;
    let out = offset + r * stride + (draw.flip ? stride - channels : 0);
    for (let c = 0; c < side; c++) {
      const left = (columns.lower[c] as number) * channels;
      const right = (columns.upper[c] as number) * channels;
      const across = columns.weight[c] as number;
      const w00 = (1 - down) * (1 - across);
      const w01 = (1 - down) * across;
      const w10 = down * (1 - across);
      const w11 = down * across;
      for (let k = 0; k < channels; k++) {
        target[out + k] =
          (source[top + left + k] as number) * w00 +
          (source[top + right + k] as number) * w01 +
          (source[bottom + left + k] as number) * w10 +
          (source[bottom + right + k] as number) * w11;
      }
      out += forward;
    }
  }
}

/** x/255 in float32 for each byte. */
const SCALED = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** Shifts images of one size; its buffers are reused, so that nothing is allocated a picture. */
export function createAugmenter(side: number, channels: number): Augmenter {
  const rows = axis(side);
  const columns = axis(side);
  const length = side * side * channels;
  const centred = new Float32Array(length);
  return {
    apply: (draw, source, at, mean, target, offset) => {
      const plain = draw.tx === 0 && draw.ty === 0 && !draw.flip;
      const pixels = plain ? target.subarray(offset, offset + length) : centred;
      for (let i = 0; i < length; i++) {
        pixels[i] = (SCALED[source[at + i] as number] as number) - (mean[i] as number);
      }
      if (!plain) shiftImage(centred, side, channels, draw, target, offset, rows, columns);
    },
  };
}
