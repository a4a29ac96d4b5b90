import { describe, expect, it } from 'vitest';
import {
  augmentKey,
  createAugmenter,
  drawFor,
  shiftImage,
} from '../../../services/trainer/runner/recipes/resnet-cifar10/augment.js';
import { permutation, philox } from '../../../services/trainer/runner/recipes/resnet-cifar10/random.js';

const picture = Array.from({ length: 16 }, (_, i) => i);

function shifted(tx: number, ty: number, flip = false): number[][] {
  const target = new Float32Array(16);
  shiftImage(picture, 4, 1, { tx, ty, flip }, target);
  return [0, 1, 2, 3].map((row) => [...target.subarray(4 * row, 4 * row + 4)]);
}

describe('shift and flip', () => {
  it('interpolates at clamped positions, exactly as Keras', () => {
    expect(shifted(0.25, -1.5)).toEqual([
      [0.25, 1.25, 2.25, 3],
      [0.25, 1.25, 2.25, 3],
      [2.25, 3.25, 4.25, 5],
      [6.25, 7.25, 8.25, 9],
    ]);
    expect(shifted(5, 0)).toEqual([3, 7, 11, 15].map((last) => [last, last, last, last]));
  });

  it('mirrors after the shift', () => {
    const plain = shifted(0.25, -1.5);
    expect(shifted(0.25, -1.5, true)).toEqual(plain.map((row) => row.toReversed()));
  });

  it('leaves an image without shift and flip as it is, less the mean', () => {
    const source = Uint8Array.from({ length: 12 }, (_, i) => i * 20);
    const mean = new Float32Array(12).fill(0.25);
    const target = new Float32Array(14);
    createAugmenter(2, 3).apply({ tx: 0, ty: 0, flip: false }, source, 0, mean, target, 2);
    target.slice(2).forEach((value, i) => expect(value).toBeCloseTo((i * 20) / 255 - 0.25, 6));
    expect([...target.slice(0, 2)]).toEqual([0, 0]);
  });

  it('keeps channels apart', () => {
    const source = Uint8Array.from([0, 255, 0, 255, 0, 255, 0, 255]);
    const target = new Float32Array(8);
    createAugmenter(2, 2).apply({ tx: 0.3, ty: 0.4, flip: true }, source, 0, new Float32Array(8), target, 0);
    [...target].forEach((value, i) => expect(value).toBeCloseTo(i % 2, 6));
  });

  it('draws within the range, half of the pictures mirrored', () => {
    const key = augmentKey(3, 1);
    const draws = Array.from({ length: 4000 }, (_, image) =>
      drawFor(key, image, 32, { shift: 0.1, flip: true }),
    );
    expect(Math.max(...draws.map(({ tx, ty }) => Math.max(Math.abs(tx), Math.abs(ty))))).toBeLessThanOrEqual(
      3.2,
    );
    const meanTx = draws.reduce((sum, { tx }) => sum + tx, 0) / draws.length;
    expect(Math.abs(meanTx)).toBeLessThan(0.15);
    const mirrored = draws.filter(({ flip }) => flip).length;
    expect(mirrored).toBeGreaterThan(1850);
    expect(mirrored).toBeLessThan(2150);
  });

  it('draws by seed, epoch and image alone', () => {
    const settings = { shift: 0.1, flip: true };
    const draw = (seed: number, epoch: number, image: number) =>
      drawFor(augmentKey(seed, epoch), image, 32, settings);
    expect(draw(1, 2, 77)).toEqual(draw(1, 2, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(1, 3, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(2, 2, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(1, 2, 78));
    const still = drawFor(augmentKey(1, 1), 5, 32, { shift: 0, flip: false });
    expect([Math.abs(still.tx), Math.abs(still.ty), still.flip]).toEqual([0, 0, false]);
  });
});

describe('the counter-based generator', () => {
  // Known answers of the authors' Random123 library, file kat_vectors.
  it.each([
    [0, 0, 0, 0xff1dae59, 0x6cd10df2],
    [0xffffffff, 0xffffffff, 0xffffffff, 0x2c3f628b, 0xab4fd7ad],
    [0x13198a2e, 0x243f6a88, 0x85a308d3, 0xdd7ce038, 0xf62a4c12],
  ])('is Philox 2x32-10: key %i', (key, low, high, first, second) => {
    expect(philox(key, low, high)).toEqual([first, second]);
  });

  it('permutes: each index once, another order each epoch', () => {
    const order = permutation(9, 1, 1000);
    expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(order).toEqual(permutation(9, 1, 1000));
    expect(order).not.toEqual(permutation(9, 2, 1000));
  });
});
