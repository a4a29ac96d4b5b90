/** What augmentation makes of the training images, as a picture to look at. Reads the data set; needs no engine. */
import type { Parameters } from '../../../protocol/runner.js';
import { IMAGE_CHANNELS } from './architecture.js';
import { Augmenter, augmentKey, drawFor } from './augment.js';
import { readData } from './data.js';
import type { ImageRecipe } from './image-recipe.js';
import { pixelsOf } from './pictures.js';
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

/**
 * A row for each of the first images: the image itself, then what a trial with this seed trains on in its first epochs.
 *
 * @throws WattsweepError PARAMETER_REFUSED, DATASET_INVALID
 */
export function preview(
  recipe: ImageRecipe,
  parameters: Parameters,
  maxEpochs: number,
  seed: number,
): Preview {
  const settings = parseSettings(parameters, maxEpochs, recipe);
  const { training } = readData(settings);
  const { side } = training;
  const size = pixelsOf(side);
  const tile = side * SCALE + GAP;
  // The mean is not subtracted, so that it looks like pictures: what `fill: zero` finds is black.
  const mean = new Float32Array(size);
  const augmenter = new Augmenter(side);
  const rows = Math.min(ROWS, training.count);
  const width = COLUMNS * tile - GAP;
  const height = rows * tile - GAP;
  const pixels = new Uint8Array(width * height * IMAGE_CHANNELS).fill(255);
  const image = new Float32Array(size);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      const draw =
        column === 0
          ? { tx: 0, ty: 0, flip: false }
          : drawFor(augmentKey(seed, column), row, side, settings.augment);
      augmenter.apply(draw, settings.augment.fill, training.pixels, row * size, mean, image, 0);
      for (let y = 0; y < side * SCALE; y++) {
        for (let x = 0; x < side * SCALE * IMAGE_CHANNELS; x++) {
          const channel = x % IMAGE_CHANNELS;
          const from =
            (Math.floor(y / SCALE) * side + Math.floor(x / IMAGE_CHANNELS / SCALE)) * IMAGE_CHANNELS +
            channel;
          const at = ((row * tile + y) * width + column * tile) * IMAGE_CHANNELS + x;
          pixels[at] = Math.round((image[from] ?? 0) * 255);
        }
      }
    }
  }
  return { width, height, pixels };
}
