/**
 * Data sets of one's own: a folder with `dataset.json` and the files that it names. A file holds records of two label bytes
 * (little-endian) and side x side pixels of red, green and blue, row by row. docs/recipes.md describes it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WattsweepError } from '../../../../../proto/errors.js';
import { type Images, newImages, pixelsOf } from './pictures.js';

export const DESCRIPTION = 'dataset.json';
export const LABEL_BYTES = 2;
/** In pixels; larger ones would be for another kind of network. */
export const SMALLEST_SIDE = 8;
export const LARGEST_SIDE = 256;

const part = z.object({
  /** Beside the description. */
  file: z.string().regex(/^[\w.-]+$/),
  images: z.number().int().positive(),
  /** Of the file, in hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const description = z.object({
  format: z.literal('wattsweep-images'),
  version: z.literal(1),
  side: z.number().int().min(SMALLEST_SIDE).max(LARGEST_SIDE),
  /** Names of the labels 0, 1, 2, ... */
  classes: z.array(z.string()).min(2).max(65_536),
  train: part,
  test: part,
});

export type Description = z.infer<typeof description>;

const invalid = (problem: string): never => {
  throw new WattsweepError('DATASET_INVALID', problem);
};

/** @throws WattsweepError DATASET_INVALID */
export function readDescription(folder: string): Description {
  const path = join(folder, DESCRIPTION);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return invalid(`${path} cannot be read: ${(error as Error).message}`);
  }
  const parsed = description.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return invalid(`${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is no description'}`);
}

/**
 * The first `count` images of a part; the whole file is checked.
 *
 * @throws WattsweepError DATASET_INVALID: missing, of another size or checksum than described, a label that is no class.
 */
export function readDescribed(folder: string, which: 'train' | 'test', count: number): Images {
  const described = readDescription(folder);
  const { side, classes } = described;
  const { file, images: held, sha256 } = described[which];
  const path = join(folder, file);
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    return invalid(`${path} cannot be read: ${(error as Error).message}`);
  }
  const size = pixelsOf(side);
  const record = LABEL_BYTES + size;
  if (content.length !== held * record)
    return invalid(
      `${path} has ${content.length} bytes, not ${held * record}: ${held} images of ${side}x${side}`,
    );
  if (createHash('sha256').update(content).digest('hex') !== sha256)
    return invalid(`${path} does not match its checksum in ${DESCRIPTION}`);
  if (count > held) return invalid(`${path} holds ${held} of the ${count} images`);
  const images = newImages(count, side);
  for (let index = 0; index < count; index++) {
    const at = index * record;
    const label = content.readUInt16LE(at);
    if (label >= classes.length)
      return invalid(`${path}: image ${index} has label ${label}, of classes 0 to ${classes.length - 1}`);
    images.labels[index] = label;
    images.pixels.set(content.subarray(at + LABEL_BYTES, at + record), index * size);
  }
  return images;
}
