import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { preview } from '../../../services/trainer/runner/recipes/images/preview.js';
import { resnetCifar10 } from '../../../services/trainer/runner/recipes/images/recipes/resnet-cifar10.js';

/** Two training images: red in the left half of the first, all blue the second. */
function dataset(): void {
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-preview-'));
  const record = (channel: number, columns: number): number[] => {
    const planes = Array.from({ length: 3072 }, (_, i) =>
      Math.floor(i / 1024) === channel && i % 32 < columns ? 200 : 0,
    );
    return [0, ...planes];
  };
  const records = Uint8Array.from([...record(0, 16), ...record(2, 32)]);
  writeFileSync(join(folder, 'data_batch_1.bin'), records);
  writeFileSync(join(folder, 'test_batch.bin'), records);
  vi.stubEnv('WATTSWEEP_CIFAR10', folder);
}

afterEach(() => vi.unstubAllEnvs());

const small = { train_images: 2, validation_images: 1 };

describe('the preview', () => {
  it('shows each image as it is, then mirrored in about half of the epochs', () => {
    dataset();
    const { width, height, pixels } = preview(resnetCifar10, { ...small, shift: 0 }, 1, 1);
    expect([width, height]).toEqual([896, 196]);
    const at = (x: number, y: number) => [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    expect(at(10, 50)).toEqual([200, 0, 0]);
    expect(at(90, 50)).toEqual([0, 0, 0]);
    // Between the tiles, and the second image below.
    expect(at(97, 50)).toEqual([255, 255, 255]);
    expect(at(10, 150)).toEqual([0, 0, 200]);
    const left = Array.from({ length: 8 }, (_, epoch) => at((epoch + 1) * 100 + 10, 50)[0]);
    expect(new Set(left)).toEqual(new Set([0, 200]));
  });

  it('is another one with another seed', () => {
    dataset();
    const of = (seed: number) =>
      Buffer.from(preview(resnetCifar10, { ...small, crop: 8, fill: 'zero' }, 1, seed).pixels);
    expect(of(1).equals(of(1))).toBe(true);
    expect(of(1).equals(of(2))).toBe(false);
  });
});
