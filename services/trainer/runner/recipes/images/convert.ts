/** Turns folders of picture files into a data set as `described.ts` reads it. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { WattsweepError } from '../../../../../proto/errors.js';
import { IMAGE_CHANNELS } from './architecture.js';
import type { Description } from './described.js';
import { DESCRIPTION, LABEL_BYTES } from './described.js';
import { pixelsOf } from './pictures.js';

/** A decoded picture of any size. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, row by row. */
  readonly pixels: ArrayLike<number>;
}

export interface ConvertOptions {
  /** Holds a folder for each class, or `train` and `test` with a folder for each class. */
  readonly from: string;
  /** The data set's folder; must not exist. */
  readonly to: string;
  /** Of the square images that pictures are cut and scaled to, in pixels. */
  readonly side: number;
  /** Of each class without `train` and `test`: one picture of so many, spread evenly, tests. */
  readonly testEvery: number;
  /** @throws Error for a file that it cannot read */
  readonly decode: (bytes: Uint8Array) => Picture;
}

const PICTURES: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.bmp']);

const invalid = (problem: string): never => {
  throw new WattsweepError('DATASET_INVALID', problem, {
    advice: 'Give a folder with one folder of pictures for each class, or train and test with such folders.',
  });
};

interface Entry {
  readonly path: string;
  readonly label: number;
}

/**
 * @returns What was written.
 * @throws WattsweepError DATASET_INVALID: too few classes, no pictures, one that cannot be decoded. Nothing is left then.
 */
export function convertPictures(options: ConvertOptions): Description {
  const { from, to, side } = options;
  if (existsSync(to)) invalid(`${to} exists already`);
  const { classes, train, test } = listPictures(options);
  const unfinished = join(dirname(to), `.${process.pid}.unfinished`);
  mkdirSync(unfinished, { recursive: true });
  try {
    const description: Description = {
      format: 'wattsweep-images',
      version: 1,
      side,
      classes: [...classes],
      train: writePart(unfinished, 'train.bin', train, options),
      test: writePart(unfinished, 'test.bin', test, options),
    };
    writeFileSync(join(unfinished, DESCRIPTION), `${JSON.stringify(description, undefined, 2)}\n`);
    renameSync(unfinished, to);
    return description;
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (error instanceof WattsweepError) throw error;
    return invalid(`${from}: ${(error as Error).message}`);
  }
}

function listPictures({ from, testEvery }: ConvertOptions): {
  readonly classes: readonly string[];
  readonly train: readonly Entry[];
  readonly test: readonly Entry[];
} {
  if (!existsSync(from)) invalid(`${from} is missing`);
  const isSplit = ['train', 'test'].every((part) => existsSync(join(from, part)));
  const trainFolder = isSplit ? join(from, 'train') : from;
  const classes = foldersIn(trainFolder);
  if (classes.length < 2) invalid(`${from} has ${classes.length} folders of classes`);
  const of = (folder: string): Entry[][] =>
    classes.map((name, label) => picturesIn(join(folder, name)).map((path) => ({ path, label })));
  const all = of(trainFolder);
  const isTest = (index: number): boolean => index % testEvery === testEvery - 1;
  const train = isSplit ? all.flat() : all.flatMap((entries) => entries.filter((_, i) => !isTest(i)));
  const test = isSplit
    ? of(join(from, 'test')).flat()
    : all.flatMap((entries) => entries.filter((_, i) => isTest(i)));
  if (train.length === 0 || test.length === 0)
    invalid(`${from} has ${train.length} pictures to train on and ${test.length} to test on`);
  return { classes, train, test };
}

const foldersIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .toSorted();

const picturesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => PICTURES.has(extname(name).toLowerCase()))
        .toSorted()
        .map((name) => join(folder, name))
    : [];

function writePart(
  folder: string,
  file: string,
  entries: readonly Entry[],
  { side, decode }: ConvertOptions,
): Description['train'] {
  const hash = createHash('sha256');
  const target = openSync(join(folder, file), 'w');
  try {
    for (const { path, label } of entries) {
      const record = Buffer.alloc(LABEL_BYTES + pixelsOf(side));
      record.writeUInt16LE(label);
      try {
        scaleInto(decode(readFileSync(path)), side, record.subarray(LABEL_BYTES));
      } catch (error) {
        invalid(`${path} cannot be decoded: ${(error as Error).message}`);
      }
      hash.update(record);
      writeSync(target, record);
    }
  } finally {
    closeSync(target);
  }
  return { file, images: entries.length, sha256: hash.digest('hex') };
}

/** The largest square in the middle, each pixel of the result the mean of the area that it covers. */
export function scaleInto({ width, height, pixels }: Picture, side: number, target: Uint8Array): void {
  const square = Math.min(width, height);
  const left = (width - square) / 2;
  const top = (height - square) / 2;
  const scale = square / side;
  for (let row = 0; row < side; row++) {
    const rows = coverage(top + row * scale, top + (row + 1) * scale);
    for (let column = 0; column < side; column++) {
      const columns = coverage(left + column * scale, left + (column + 1) * scale);
      for (let channel = 0; channel < IMAGE_CHANNELS; channel++) {
        let sum = 0;
        for (const [y, down] of rows) {
          for (const [x, across] of columns) {
            sum += (pixels[(y * width + x) * IMAGE_CHANNELS + channel] ?? 0) * down * across;
          }
        }
        target[(row * side + column) * IMAGE_CHANNELS + channel] = Math.round(sum / scale ** 2);
      }
    }
  }
}

/** Positions that a stretch touches, with how much of each it covers. */
function coverage(begin: number, end: number): [position: number, share: number][] {
  const covered: [number, number][] = [];
  for (let at = Math.floor(begin); at < end; at++) {
    const share = Math.min(end, at + 1) - Math.max(begin, at);
    if (share > 0) covered.push([at, share]);
  }
  return covered;
}
