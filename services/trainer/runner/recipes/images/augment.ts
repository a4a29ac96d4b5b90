/**
 * Random shift or crop, and flip. The shift is exactly that of Keras' ImageDataGenerator (order 1, fill_mode nearest):
 * bilinear interpolation at clamped positions, in float64, then the mirror. Each picture's draw depends on (seed, epoch,
 * image) only.
 */
import { IMAGE_CHANNELS as CHANNELS } from './architecture.js';
import { Stream, philox, streamKey, uniform } from './random.js';

/**
 * What stands beyond the image's edge: the edge itself, the image mirrored without repeating its edge (PyTorch's
 * `reflect`), or the mean, which is 0 where the mean is subtracted.
 */
export type Fill = 'nearest' | 'reflect' | 'zero';

export interface AugmentSettings {
  /** Largest shift, as a fraction of the side, in both directions; it need not be whole pixels. */
  readonly shift: number;
  /** Largest shift by whole pixels, instead of `shift`: a crop of the image padded by so many (He et al. 2015, section 4.2). */
  readonly crop: number;
  readonly fill: Fill;
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
  const { crop, shift } = settings;
  const along = (word: number): number =>
    crop > 0 ? Math.floor(uniform(word) * (2 * crop + 1)) - crop : (2 * uniform(word) - 1) * shift * side;
  return { tx: along(a), ty: along(b), flip: settings.flip && uniform(c) < 0.5 };
}

export const augmentKey = (seed: number, epoch: number): number =>
  streamKey(seed, Stream.augmentation, epoch);

/** Where position `index` along an axis is read; `side` stands for beyond, where everything is 0. */
function reflected(index: number, side: number): number {
  const period = Math.max(1, 2 * (side - 1));
  const within = ((index % period) + period) % period;
  return within < side ? within : period - within;
}

const places: Readonly<Record<Fill, (index: number, side: number) => number>> = {
  nearest: (index, side) => Math.min(Math.max(index, 0), side - 1),
  reflect: reflected,
  zero: (index, side) => (index < 0 || index >= side ? side : index),
};

/**
 * Shifts square images of three channels of one size; its buffers are reused, so that nothing is allocated a picture.
 *
 * The fraction of a shift is the same all over an image, so each output is a fixed blend of four neighbours, two of which
 * the output before it has already blended.
 */
export class Augmenter {
  readonly #side: number;
  /** Rows of `side` pixels and one of zeros; a last row of zeros. */
  readonly #plane: Float32Array;
  /** Offsets in the plane of the rows, and in a row of the columns, that `side` outputs lie between. */
  readonly #rows: Int32Array;
  readonly #columns: Int32Array;

  constructor(side: number) {
    this.#side = side;
    this.#plane = new Float32Array((side + 1) * (side + 1) * CHANNELS);
    this.#rows = new Int32Array(side + 1);
    this.#columns = new Int32Array(side + 1);
  }

  /**
   * Writes the image, less the mean, shifted and perhaps mirrored, into `target` at `offset`.
   *
   * @param source Bytes of many images, each rows x columns x channels.
   * @param at Where the image begins in `source`.
   * @param mean One image, subtracted from x/255 before the shift, as in the Keras example.
   */
  apply(
    draw: Draw,
    fill: Fill,
    source: Uint8Array,
    at: number,
    mean: Float32Array,
    target: Float32Array,
    offset: number,
  ): void {
    const plane = this.#plane;
    const side = this.#side;
    const width = side * CHANNELS;
    let from = 0;
    let to = 0;
    // A pixel a turn: shorter turns cost a third more.
    for (let row = 0; row < side; row++) {
      for (const end = from + width; from < end; from += CHANNELS) {
        const byte = at + from;
        plane[to] = (SCALED[source[byte] as number] as number) - (mean[from] as number);
        plane[to + 1] = (SCALED[source[byte + 1] as number] as number) - (mean[from + 1] as number);
        plane[to + 2] = (SCALED[source[byte + 2] as number] as number) - (mean[from + 2] as number);
        to += CHANNELS;
      }
      to += CHANNELS;
    }
    this.#shift(draw, fill, target, offset);
  }

  /** As {@link apply}, for an image of numbers that is taken as it is. */
  shift(draw: Draw, fill: Fill, image: ArrayLike<number>, target: Float32Array): void {
    const width = this.#side * CHANNELS;
    for (let i = 0; i < width * this.#side; i++) {
      this.#plane[i + Math.floor(i / width) * CHANNELS] = image[i] ?? NaN;
    }
    this.#shift(draw, fill, target, 0);
  }

  /** out[r, c] = bilinear(plane, r + ty, c + tx), then the mirror: by reading the columns from right to left. */
  #shift(draw: Draw, fill: Fill, target: Float32Array, offset: number): void {
    const side = this.#side;
    const plane = this.#plane;
    const rows = this.#rows;
    const columns = this.#columns;
    const [firstRow, firstColumn] = [Math.floor(draw.ty), Math.floor(draw.tx)];
    for (let i = 0; i <= side; i++) {
      rows[i] = places[fill](firstRow + i, side) * (side + 1) * CHANNELS;
      columns[draw.flip ? side - i : i] = places[fill](firstColumn + i, side) * CHANNELS;
    }
    const down = draw.ty - firstRow;
    const up = 1 - down;
    const across = draw.flip ? 1 - (draw.tx - firstColumn) : draw.tx - firstColumn;
    const back = draw.flip ? draw.tx - firstColumn : 1 - across;
    // Every index below lies within the arrays; a default for each would cost a quarter of the time of 50,000 pictures.
    let out = offset;
    for (let r = 0; r < side; r++) {
      const top = rows[r] as number;
      const bottom = rows[r + 1] as number;
      const begin = columns[0] as number;
      let a = (plane[top + begin] as number) * up + (plane[bottom + begin] as number) * down;
      let b = (plane[top + begin + 1] as number) * up + (plane[bottom + begin + 1] as number) * down;
      let c = (plane[top + begin + 2] as number) * up + (plane[bottom + begin + 2] as number) * down;
      for (let x = 1; x <= side; x++) {
        const column = columns[x] as number;
        const t = top + column;
        const u = bottom + column;
        const nextA = (plane[t] as number) * up + (plane[u] as number) * down;
        const nextB = (plane[t + 1] as number) * up + (plane[u + 1] as number) * down;
        const nextC = (plane[t + 2] as number) * up + (plane[u + 2] as number) * down;
        target[out] = a * back + nextA * across;
        target[out + 1] = b * back + nextB * across;
        target[out + 2] = c * back + nextC * across;
        a = nextA;
        b = nextB;
        c = nextC;
        out += CHANNELS;
      }
    }
  }
}

/** x/255 in float32 for each byte. */
const SCALED = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);
