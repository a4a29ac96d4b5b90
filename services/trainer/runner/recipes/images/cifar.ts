/**
 * CIFAR-10 and CIFAR-100 from their official binary layout (Krizhevsky 2009): records of one label byte (two, the coarse
 * one first, in CIFAR-100), then 1,024 red, 1,024 green and 1,024 blue bytes, row by row.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WattsweepError } from '../../../../../proto/errors.js';
import { IMAGE_CHANNELS } from './architecture.js';
import { type Images, newImages } from './pictures.js';

const SIDE = 32;
const PLANE = SIDE * SIDE;
const PIXELS = PLANE * IMAGE_CHANNELS;

export interface CifarLayout {
  readonly trainFiles: readonly string[];
  readonly testFiles: readonly string[];
  /** Bytes before the pixels; the last of them is the label. */
  readonly labelBytes: number;
  readonly classes: number;
}

export const CIFAR10_LAYOUT: CifarLayout = {
  trainFiles: [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`),
  testFiles: ['test_batch.bin'],
  labelBytes: 1,
  classes: 10,
};

export const CIFAR100_LAYOUT: CifarLayout = {
  trainFiles: ['train.bin'],
  testFiles: ['test.bin'],
  labelBytes: 2,
  classes: 100,
};

/**
 * The first `count` records of `files` in order.
 *
 * @throws WattsweepError DATASET_INVALID for a missing file, a size that is no whole number of records, too few records,
 * or a label that is none of the classes; the message names the file.
 */
export function readCifar(
  folder: string,
  files: readonly string[],
  count: number,
  { labelBytes, classes }: CifarLayout,
): Images {
  const images = newImages(count, SIDE);
  const record = labelBytes + PIXELS;
  let filled = 0;
  for (const file of files) {
    if (filled === count) break;
    const path = join(folder, file);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw new WattsweepError('DATASET_INVALID', `${path} is missing`);
    if (size === 0 || size % record !== 0) {
      throw new WattsweepError(
        'DATASET_INVALID',
        `${path} has ${size} bytes, which is no whole number of records`,
      );
    }
    const records = Math.min(size / record, count - filled);
    const content = readStart(path, records * record);
    for (let index = 0; index < records; index++) {
      const at = index * record + labelBytes;
      const label = content[at - 1] ?? classes;
      if (label >= classes) {
        throw new WattsweepError(
          'DATASET_INVALID',
          `${path}: image ${filled + index} has label ${label}, of classes 0 to ${classes - 1}`,
        );
      }
      images.labels[filled + index] = label;
      unpack(content, at, images.pixels, (filled + index) * PIXELS);
    }
    filled += records;
  }
  if (filled < count) {
    throw new WattsweepError(
      'DATASET_INVALID',
      `${folder} holds ${filled} of the ${count} images in ${files.join(', ')}`,
    );
  }
  return images;
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
function unpack(content: Buffer, at: number, pixels: Uint8Array, target: number): void {
  for (let position = 0; position < PLANE; position++) {
    for (let channel = 0; channel < IMAGE_CHANNELS; channel++) {
      pixels[target + position * IMAGE_CHANNELS + channel] = content[at + channel * PLANE + position] ?? 0;
    }
  }
}
