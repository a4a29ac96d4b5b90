import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  CIFAR100_LAYOUT,
  CIFAR10_LAYOUT,
  readCifar,
} from '../../../services/trainer/runner/recipes/images/cifar.js';
import { meanImage } from '../../../services/trainer/runner/recipes/images/pictures.js';

/** Records whose red, green and blue planes are filled with label, 2 x label and 3 x label. */
function records(labels: number[]): Buffer {
  return Buffer.concat(
    labels.map((label) =>
      Buffer.concat([Buffer.of(label), ...[1, 2, 3].map((factor) => Buffer.alloc(1024, factor * label))]),
    ),
  );
}

function folder(files: Record<string, Buffer>): string {
  const path = mkdtempSync(join(tmpdir(), 'wattsweep-cifar-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

const readImages = (path: string, files: string[], count: number) =>
  readCifar(path, files, count, CIFAR10_LAYOUT);

describe('the CIFAR-100 reader', () => {
  it('takes the fine label, after the coarse one', () => {
    const record = (coarse: number, fine: number) =>
      Buffer.concat([Buffer.of(coarse, fine), Buffer.alloc(3072, 7)]);
    const path = folder({ 'train.bin': Buffer.concat([record(19, 99), record(3, 20)]) });
    const { labels, pixels } = readCifar(path, CIFAR100_LAYOUT.trainFiles, 2, CIFAR100_LAYOUT);
    expect([...labels]).toEqual([99, 20]);
    expect(new Set(pixels)).toEqual(new Set([7]));
    const wrong = folder({ 'train.bin': record(3, 100) });
    expect(() => readCifar(wrong, CIFAR100_LAYOUT.trainFiles, 1, CIFAR100_LAYOUT)).toThrow(
      'image 0 has label 100, of classes 0 to 99',
    );
  });
});

describe('the CIFAR-10 reader', () => {
  it('reads the first records across files, channels last', () => {
    const path = folder({ a: records([1, 2]), b: records([3, 4]) });
    const { labels, pixels } = readImages(path, ['a', 'b'], 3);
    expect([...labels]).toEqual([1, 2, 3]);
    expect([...pixels.subarray(3072, 3078)]).toEqual([2, 4, 6, 2, 4, 6]);
  });

  it('takes the mean over the images it was given', () => {
    const images = readImages(folder({ a: records([1, 3]) }), ['a'], 2);
    const mean = meanImage(images);
    [2, 4, 6].forEach((sum, channel) => expect(mean[channel]).toBeCloseTo(sum / 255, 7));
  });

  it.each([
    ['a missing file', {}, /a is missing/],
    [
      'a size that is no whole number of records',
      { a: Buffer.alloc(5000) },
      /5000 bytes, which is no whole number/,
    ],
    ['an empty file', { a: Buffer.alloc(0) }, /0 bytes/],
    ['too few images', { a: records([1]) }, /holds 1 of the 2 images/],
    ['a label above 9', { a: records([1, 10]) }, /image 1 has label 10/],
  ])('refuses %s', (_case, files: Record<string, Buffer>, message) => {
    expect(() => readImages(folder(files), ['a'], 2)).toThrow(message);
  });
});
