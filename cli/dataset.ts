/** `wattsweep dataset`: pictures decoded by the native engine, written where trainers on this machine look. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WattsweepError } from '../proto/errors.js';
import { openEngine } from '../services/trainer/runner/engine.js';
import { convertPictures } from '../services/trainer/runner/recipes/images/convert.js';
import {
  CIFAR10,
  CIFAR100,
  dataSetsFolder,
  isDataSetName,
} from '../services/trainer/runner/recipes/images/data.js';
import { LARGEST_SIDE, SMALLEST_SIDE } from '../services/trainer/runner/recipes/images/described.js';
import type { JsonOption } from './options.js';
import { print, printJson } from './output.js';

/** Flags of `dataset`, as commander hands them over. */
export interface DataSetFlags extends JsonOption {
  readonly name: string;
  readonly side: number;
  readonly testEvery: number;
}

/** @throws WattsweepError DATASET_INVALID, ENGINE_MISSING */
export function makeDataSet(folder: string, { name, side, testEvery, json }: DataSetFlags): void {
  const refuse = (problem: string): never => {
    throw new WattsweepError('DATASET_INVALID', problem, { advice: 'See `wattsweep dataset --help`.' });
  };
  if (!isDataSetName(name) || [CIFAR10.name, CIFAR100.name].includes(name))
    refuse(`--name ${name}: give small letters, digits, -, _ and ., and no name of CIFAR`);
  if (side < SMALLEST_SIDE || side > LARGEST_SIDE)
    refuse(`--side ${side} is not from ${SMALLEST_SIDE} to ${LARGEST_SIDE}`);
  if (testEvery < 2) refuse('--test-every 1 would leave nothing to train on');
  const { tf } = openEngine({ model: 'CPU' });
  const target = dataSetsFolder();
  mkdirSync(target, { recursive: true });
  const to = join(target, name);
  const made = convertPictures({
    from: resolve(folder),
    to,
    side,
    testEvery,
    decode: (bytes) =>
      tf.tidy(() => {
        const decoded = tf.node.decodeImage(bytes, 3);
        const [height = 0, width = 0] = decoded.shape;
        return { width, height, pixels: decoded.dataSync() };
      }),
  });
  const { classes, train, test } = made;
  if (json) printJson({ name, folder: to, classes, training: train.images, test: test.images });
  else
    print(
      `${to}: ${classes.length} classes, ${train.images} training and ${test.images} test images of ${side}x${side}; use data: ${name}`,
    );
}
