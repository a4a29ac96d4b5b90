/** What augmentation makes of the training images, as a picture to look at. Reads the data set; needs no engine. */
import type { Parameters } from '../../../protocol/runner.js';
import { IMAGE_CHANNELS, IMAGE_SIDE } from './architecture.js';
import { Augmenter, augmentKey, drawFor } from './augment.js';
import { PIXELS } from './cifar10.js';
import { readData } from './data.js';
import { parseSettings } from './settings.js';

export interface Preview {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, row by row. */
  readonly pixels: Uint8Array;
}

const ROWS = 8;
const COLUMNS = 9;
/** Enlarged, and so far apart, in pixels. */
const SCALE = 3;
const GAP = 4;
const TILE = IMAGE_SIDE * SCALE + GAP;

/**
 * A row for each of the first images: the image itself, then what a trial with this seed trains on in its first epochs.
 *
 * @param folder CIFAR-10.
 * @throws WattsweepError PARAMETER_REFUSED, DATASET_INVALID
 */
export function preview(folder: string, parameters: Parameters, maxEpochs: number, seed: number): Preview {
  const settings = parseSettings(parameters, maxEpochs);
  const { training } = readData(folder, settings);
  // The mean is not subtracted, so that it looks like pictures: what `fill: zero` finds is black.
  const mean = new Float32Array(PIXELS);
  const augmenter = new Augmenter(IMAGE_SIDE);
  const rows = Math.min(ROWS, training.count);
  const width = COLUMNS * TILE - GAP;
  const height = rows * TILE - GAP;
  const pixels = new Uint8Array(width * height * IMAGE_CHANNELS).fill(255);
  const image = new Float32Array(PIXELS);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      const draw =
        column === 0
          ? { tx: 0, ty: 0, flip: false }
          : drawFor(augmentKey(seed, column), row, IMAGE_SIDE, settings.augment);
      augmenter.apply(draw, settings.augment.fill, training.pixels, row * PIXELS, mean, image, 0);
      for (let y = 0; y < IMAGE_SIDE * SCALE; y++) {
        for (let x = 0; x < IMAGE_SIDE * SCALE * IMAGE_CHANNELS; x++) {
          const channel = x % IMAGE_CHANNELS;
          const from =
            (Math.floor(y / SCALE) * IMAGE_SIDE + Math.floor(x / IMAGE_CHANNELS / SCALE)) * IMAGE_CHANNELS +
            channel;
          const at = ((row * TILE + y) * width + column * TILE) * IMAGE_CHANNELS + x;
          pixels[at] = Math.round((image[from] ?? 0) * 255);
        }
      }
    }
  }
  return { width, height, pixels };
}
