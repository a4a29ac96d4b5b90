/** Which data sets there are, and which images of one an attempt trains on, is validated on, and is tested on. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WattsweepError } from '../../../../../proto/errors.js';
import { cacheHome } from '../../../../../setup/locate.mjs';
import { cifar10Folder } from '../../engine.js';
import type { ImageShape } from './architecture.js';
import { CIFAR100_LAYOUT, CIFAR10_LAYOUT, readCifar } from './cifar.js';
import { DESCRIPTION, readDescribed, readDescription } from './described.js';
import { type Images, slice } from './pictures.js';

export interface DataSet extends ImageShape {
  /** `cifar10`, `cifar100`, or the name of a folder in {@link dataSetsFolder}. */
  readonly name: string;
  readonly trainingImages: number;
  readonly testImages: number;
}

const COUNTS = { side: 32, trainingImages: 50_000, testImages: 10_000 } as const;
export const CIFAR10: DataSet = { name: 'cifar10', classes: CIFAR10_LAYOUT.classes, ...COUNTS };
export const CIFAR100: DataSet = { name: 'cifar100', classes: CIFAR100_LAYOUT.classes, ...COUNTS };

/** Where data sets lie that Wattsweep does not bring: `WATTSWEEP_DATASETS`, else in the cache folder. */
export const dataSetsFolder = (): string =>
  process.env['WATTSWEEP_DATASETS'] ?? join(cacheHome(), 'datasets');

/** A name that stays within {@link dataSetsFolder}. */
export const isDataSetName = (name: string): boolean => /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name);

/**
 * The data set of this name. Of CIFAR nothing is read.
 *
 * @throws WattsweepError DATASET_INVALID: not here, or not described as it must be.
 */
export function dataSet(name: string): DataSet {
  if (name === CIFAR10.name) return CIFAR10;
  if (name === CIFAR100.name) return CIFAR100;
  const folder = join(dataSetsFolder(), name);
  if (!existsSync(join(folder, DESCRIPTION)))
    throw new WattsweepError(
      'DATASET_INVALID',
      `there is no data set '${name}' here: no ${folder}/${DESCRIPTION}`,
    );
  const { side, classes, train, test } = readDescription(folder);
  return { name, side, classes: classes.length, trainingImages: train.images, testImages: test.images };
}

function read({ name }: DataSet, part: 'train' | 'test', count: number): Images {
  if (name === CIFAR10.name) {
    const { trainFiles, testFiles } = CIFAR10_LAYOUT;
    return readCifar(cifar10Folder(), part === 'train' ? trainFiles : testFiles, count, CIFAR10_LAYOUT);
  }
  const folder = join(dataSetsFolder(), name);
  if (name !== CIFAR100.name) return readDescribed(folder, part, count);
  const { trainFiles, testFiles } = CIFAR100_LAYOUT;
  return readCifar(folder, part === 'train' ? trainFiles : testFiles, count, CIFAR100_LAYOUT);
}

/** Which images of which data set. */
export interface Selection {
  readonly data: DataSet;
  /** The first so many. */
  readonly trainImages: number;
  /** Last so many training images, which validate instead of the test images; null for none. */
  readonly heldOut: number | null;
  /** The first so many. */
  readonly testImages: number;
}

export interface Data {
  readonly training: Images;
  readonly validation: Images;
  /** Measured once, after the last epoch. Null where the test images are those that validate. */
  readonly test: Images | null;
}

/** @throws WattsweepError DATASET_INVALID */
export function readData({ data, trainImages, testImages, heldOut }: Selection): Data {
  const test = read(data, 'test', testImages);
  if (heldOut === null) return { training: read(data, 'train', trainImages), validation: test, test: null };
  const all = read(data, 'train', data.trainingImages);
  return {
    training: slice(all, 0, trainImages),
    validation: slice(all, data.trainingImages - heldOut, data.trainingImages),
    test,
  };
}
