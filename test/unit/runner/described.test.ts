import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { convertPictures, scaleInto } from '../../../services/trainer/runner/recipes/images/convert.js';
import { readDescribed, readDescription } from '../../../services/trainer/runner/recipes/images/described.js';

const folder = (): string => mkdtempSync(join(tmpdir(), 'wattsweep-images-'));
const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

const record = (label: number): Buffer => {
  const bytes = Buffer.alloc(2 + 192, label);
  bytes.writeUInt16LE(label);
  return bytes;
};

/** Three training images of classes 0, 1, 2 and a test image of class 300, of 8x8. */
function made(change: (description: Record<string, unknown>) => unknown = (same) => same): string {
  const path = folder();
  const train = Buffer.concat([record(0), record(1), record(2)]);
  const test = record(300);
  writeFileSync(join(path, 'a.bin'), train);
  writeFileSync(join(path, 'b.bin'), test);
  const description = {
    format: 'wattsweep-images',
    version: 1,
    side: 8,
    classes: Array.from({ length: 301 }, (_, i) => `class ${i}`),
    train: { file: 'a.bin', images: 3, sha256: sha256(train) },
    test: { file: 'b.bin', images: 1, sha256: sha256(test) },
  };
  writeFileSync(join(path, 'dataset.json'), JSON.stringify(change(description)));
  return path;
}

describe('a data set with a description', () => {
  it('is read: labels of two bytes, pixels as they are', () => {
    const path = made();
    const train = readDescribed(path, 'train', 2);
    expect([...train.labels]).toEqual([0, 1]);
    expect([train.count, train.side]).toEqual([2, 8]);
    expect(new Set(train.pixels.subarray(192))).toEqual(new Set([1]));
    expect([...readDescribed(path, 'test', 1).labels]).toEqual([300]);
  });

  it.each([
    ['another count', (d: object) => ({ ...d, train: { file: 'a.bin', images: 4, sha256: '0'.repeat(64) } })],
    [
      'another checksum',
      (d: object) => ({ ...d, train: { file: 'a.bin', images: 3, sha256: '0'.repeat(64) } }),
    ],
    [
      'a file elsewhere',
      (d: object) => ({ ...d, train: { file: '../a.bin', images: 3, sha256: '0'.repeat(64) } }),
    ],
    [
      'a missing file',
      (d: object) => ({ ...d, train: { file: 'c.bin', images: 3, sha256: '0'.repeat(64) } }),
    ],
    ['too few classes', (d: object) => ({ ...d, classes: ['one', 'two'] })],
    ['another format', (d: object) => ({ ...d, format: 'other' })],
  ])('is refused with %s, and the message names the file', (_case, change) => {
    const messages = {
      'another count': /a\.bin has 582 bytes, not 776: 4 images of 8x8/,
      'another checksum': /a\.bin does not match its checksum/,
      'a file elsewhere': /dataset\.json: train\.file/,
      'a missing file': /c\.bin cannot be read/,
      'too few classes': /a\.bin: image 2 has label 2, of classes 0 to 1/,
      'another format': /dataset\.json: format/,
    };
    expect(() => readDescribed(made(change), 'train', 3)).toThrow(messages[_case as keyof typeof messages]);
  });

  it('holds no more images than it says', () => {
    expect(() => readDescribed(made(), 'train', 4)).toThrow('holds 3 of the 4 images');
  });
});

describe('folders of pictures', () => {
  /** A picture of one colour; its file holds width, height, colour. */
  const decode = (bytes: Uint8Array) => {
    const [width = 0, height = 0, colour = 0] = bytes;
    if (bytes.length !== 3) throw new Error('no picture');
    return { width, height, pixels: new Uint8Array(width * height * 3).fill(colour) };
  };
  const files = (paths: Readonly<Record<string, number[]>>): string => {
    const from = folder();
    for (const [path, content] of Object.entries(paths)) {
      mkdirSync(dirname(join(from, path)), { recursive: true });
      writeFileSync(join(from, path), Uint8Array.from(content));
    }
    return from;
  };
  const convert = (from: string, to: string) => convertPictures({ from, to, side: 8, testEvery: 2, decode });

  it('become a data set, every nth picture of a class for the test', () => {
    const to = join(folder(), 'set');
    const from = files({
      'dog/1.png': [9, 12, 50],
      'cat/b.JPG': [8, 8, 20],
      'cat/a.png': [30, 20, 10],
      'dog/2.jpeg': [16, 8, 60],
      'cat/notes.txt': [1],
    });
    expect(convert(from, to)).toEqual(readDescription(to));
    expect(readDescription(to)).toMatchObject({ side: 8, classes: ['cat', 'dog'] });
    const train = readDescribed(to, 'train', 2);
    expect([[...train.labels], train.pixels[0], train.pixels.at(-1)]).toEqual([[0, 1], 10, 50]);
    const test = readDescribed(to, 'test', 2);
    expect([[...test.labels], test.pixels[0], test.pixels.at(-1)]).toEqual([[0, 1], 20, 60]);
  });

  it('keep the parts that they come in', () => {
    const to = join(folder(), 'set');
    const picture = [8, 8, 1];
    const from = files({ 'train/a/1.png': picture, 'train/b/1.png': picture, 'test/b/1.png': picture });
    expect(convert(from, to)).toMatchObject({ train: { images: 2 }, test: { images: 1 } });
    expect([...readDescribed(to, 'test', 1).labels]).toEqual([1]);
  });

  it('leave nothing behind when one cannot be read', () => {
    const parent = folder();
    const from = files({ 'a/1.png': [8, 8, 1], 'a/2.png': [8, 8, 1], 'b/1.png': [8], 'b/2.png': [8, 8, 1] });
    expect(() => convert(from, join(parent, 'set'))).toThrow(/b\/1\.png cannot be decoded: no picture/);
    expect(readdirSync(parent)).toEqual([]);
    expect(() => convert(files({ 'a/1.png': [8, 8, 1] }), join(parent, 'set'))).toThrow(
      '1 folders of classes',
    );
    const set = made();
    const before = readFileSync(join(set, 'dataset.json'));
    expect(() => convert(from, set)).toThrow('exists already');
    expect(readFileSync(join(set, 'dataset.json')).equals(before)).toBe(true);
    expect(existsSync(join(set, 'train.bin'))).toBe(false);
  });

  it('are cut to the square in their middle, and scaled by area', () => {
    // Columns 0 to 5, of which 1 to 4 are the square: two outputs of two columns each.
    const row = [100, 0, 10, 20, 30, 100].flatMap((value) => [value, value, value]);
    const target = new Uint8Array(12);
    scaleInto({ width: 6, height: 4, pixels: [...row, ...row, ...row, ...row] }, 2, target);
    expect([...target]).toEqual([5, 5, 5, 25, 25, 25, 5, 5, 5, 25, 25, 25]);
    const grown = new Uint8Array(48);
    const corner = Array.from({ length: 12 }, (_, i) => (i < 3 ? 0 : 90));
    scaleInto({ width: 2, height: 2, pixels: corner }, 4, grown);
    expect([grown[0], grown[3], grown[6], grown[9]]).toEqual([0, 0, 90, 90]);
  });
});
