/** Which images an attempt trains on, is validated on, and is tested on. */
import type { Images } from './cifar10.js';
import { PIXELS, TRAINING_IMAGES, readTest, readTraining } from './cifar10.js';
import type { Settings } from './settings.js';

export interface Data {
  readonly training: Images;
  readonly validation: Images;
  /** Measured once, after the last epoch. Null where the test images are those that validate. */
  readonly test: Images | null;
}

/** @throws WattsweepError DATASET_INVALID */
export function readData(folder: string, settings: Settings): Data {
  const { trainImages, testImages, heldOut } = settings;
  const test = readTest(folder, testImages);
  if (heldOut === null) return { training: readTraining(folder, trainImages), validation: test, test: null };
  const all = readTraining(folder, TRAINING_IMAGES);
  return {
    training: slice(all, 0, trainImages),
    validation: slice(all, TRAINING_IMAGES - heldOut, TRAINING_IMAGES),
    test,
  };
}

/** A view: nothing is copied. */
const slice = ({ pixels, labels }: Images, begin: number, end: number): Images => ({
  count: end - begin,
  pixels: pixels.subarray(begin * PIXELS, end * PIXELS),
  labels: labels.subarray(begin, end),
});
