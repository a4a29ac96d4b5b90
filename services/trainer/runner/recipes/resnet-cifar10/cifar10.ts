/**
 * CIFAR-10 from its official binary layout (Krizhevsky 2009): records of one label byte (0 to 9), then 1,024 red, 1,024
 * green and 1,024 blue bytes, row by row. Pixels stay bytes, in shared memory, so that workers read the same copy.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WattsweepError } from '../../../../../proto/errors.js';
import { CLASSES, IMAGE_CHANNELS, IMAGE_SIDE } from './architecture.js';

export const PIXELS = IMAGE_SIDE * IMAGE_SIDE * IMAGE_CHANNELS;
const PLANE = IMAGE_SIDE * IMAGE_SIDE;
const RECORD = 1 + PIXELS;

export interface Images {
  readonly count: number;
  /** count x 32 x 32 x 3 bytes, on a SharedArrayBuffer. */
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  /** count labels, 0 to 9, on a SharedArrayBuffer. */
  readonly labels: Uint8Array<SharedArrayBuffer>;
}

/** Images of the official training set. */
export const TRAINING_IMAGES = 50_000;

const TRAIN_FILES = [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`);

/** The first `count` training images. @throws WattsweepError DATASET_INVALID */
export const readTraining = (folder: string, count: number): Images => readImages(folder, TRAIN_FILES, count);

/** The first `count` test images. @throws WattsweepError DATASET_INVALID */
export const readTest = (folder: string, count: number): Images =>
  readImages(folder, ['test_batch.bin'], count);

/**
 * The first `count` records of `files` in order.
 *
 * @throws WattsweepError DATASET_INVALID for a missing file, a size that is no whole number of records, too few records,
 * or a label above 9; the message names the file.
 */
export function readImages(folder: string, files: readonly string[], count: number): Images {
  const pixels = new Uint8Array(new SharedArrayBuffer(count * PIXELS));
  const labels = new Uint8Array(new SharedArrayBuffer(count));
  let filled = 0;
  for (const file of files) {
    if (filled === count) break;
    const path = join(folder, file);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw new WattsweepError('DATASET_INVALID', `${path} is missing`);
    if (size === 0 || size % RECORD !== 0) {
      throw new WattsweepError(
        'DATASET_INVALID',
        `${path} has ${size} bytes, which is no whole number of records`,
      );
    }
    const records = Math.min(size / RECORD, count - filled);
    const content = readStart(path, records * RECORD);
    for (let record = 0; record < records; record++) {
      unpack(content, record * RECORD, pixels, labels, filled + record, path);
    }
    filled += records;
  }
  if (filled < count) {
    throw new WattsweepError(
      'DATASET_INVALID',
      `${folder} holds ${filled} of the ${count} images in ${files.join(', ')}`,
    );
  }
  return { count, pixels, labels };
}

function readStart(path: string, bytes: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const content = Buffer.allocUnsafe(bytes);
    if (readSync(file, content, 0, bytes, 0) !== bytes)
      throw new WattsweepError('DATASET_INVALID', `${path} is cut short`);
    return content;
  } finally {
    closeSync(file);
  }
}

/** Planes of colour become pixels of three bytes: convolutions read channels last. */
function unpack(
  content: Buffer,
  at: number,
  pixels: Uint8Array,
  labels: Uint8Array,
  image: number,
  path: string,
): void {
  const label = content[at] ?? CLASSES;
  if (label >= CLASSES)
    throw new WattsweepError('DATASET_INVALID', `${path}: image ${image} has label ${label}`);
  labels[image] = label;
  const target = image * PIXELS;
  for (let position = 0; position < PLANE; position++) {
    for (let channel = 0; channel < IMAGE_CHANNELS; channel++) {
      pixels[target + position * IMAGE_CHANNELS + channel] =
        content[at + 1 + channel * PLANE + position] ?? 0;
    }
  }
}

/** Mean image of x/255, 32 x 32 x 3: subtracted from every training and validation image (Keras example). */
export function meanImage({ count, pixels }: Images): Float32Array<SharedArrayBuffer> {
  const sums = new Float64Array(PIXELS);
  for (let image = 0; image < count; image++) {
    const at = image * PIXELS;
    for (let i = 0; i < PIXELS; i++) sums[i] = (sums[i] ?? 0) + (pixels[at + i] ?? 0);
  }
  const mean = new Float32Array(new SharedArrayBuffer(PIXELS * Float32Array.BYTES_PER_ELEMENT));
  for (let i = 0; i < PIXELS; i++) mean[i] = (sums[i] ?? 0) / count / 255;
  return mean;
}
