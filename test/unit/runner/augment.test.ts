import { describe, expect, it } from 'vitest';
import type { Draw, Fill } from '../../../services/trainer/runner/recipes/images/augment.js';
import { Augmenter, augmentKey, drawFor } from '../../../services/trainer/runner/recipes/images/augment.js';
import { permutation, philox } from '../../../services/trainer/runner/recipes/images/random.js';

/** 0 to 15 row by row in the first channel, 100 more and the negative in the others. */
const picture = Array.from({ length: 16 }, (_, i) => [i, 100 + i, -i]).flat();

function shifted(tx: number, ty: number, flip = false, fill: Fill = 'nearest'): number[][] {
  const target = new Float32Array(48);
  new Augmenter(4).shift({ tx, ty, flip }, fill, picture, target);
  const channel = (k: number): number[] => [...target].filter((_, i) => i % 3 === k);
  const first = channel(0);
  if (fill !== 'zero') expect(channel(1)).toEqual(first.map((value) => 100 + value));
  expect(channel(2).map((value) => 0 - value)).toEqual(first);
  return [0, 1, 2, 3].map((row) => first.slice(4 * row, 4 * row + 4));
}

const shiftAndFlip = { shift: 0.1, crop: 0, fill: 'nearest', flip: true } as const;
const still: Draw = { tx: 0, ty: 0, flip: false };

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

  it('finds zeros beyond the edge, or the image mirrored without its edge', () => {
    expect(shifted(-2, 1, false, 'zero')).toEqual([
      [0, 0, 4, 5],
      [0, 0, 8, 9],
      [0, 0, 12, 13],
      [0, 0, 0, 0],
    ]);
    expect(shifted(-0.5, 0, false, 'zero')[1]).toEqual([2, 4.5, 5.5, 6.5]);
    expect(shifted(-2, 1, false, 'reflect')).toEqual([
      [6, 5, 4, 5],
      [10, 9, 8, 9],
      [14, 13, 12, 13],
      [10, 9, 8, 9],
    ]);
    expect(shifted(2, 0, true, 'reflect')[0]).toEqual([1, 2, 3, 2]);
  });

  it('takes the image from its place among others, less the mean', () => {
    const source = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
    const mean = Float32Array.from({ length: 12 }, (_, i) => i / 100);
    const target = new Float32Array(14);
    new Augmenter(2).apply(still, 'nearest', source, 12, mean, target, 2);
    const expected = [...mean].map((value, i) => Math.fround(Math.fround((120 + i * 10) / 255) - value));
    expect([...target.slice(2)]).toEqual(expected);
    expect([...target.slice(0, 2)]).toEqual([0, 0]);
    // A shift by more than the image leaves nothing of it but the mean, whatever was there before.
    new Augmenter(2).apply({ ...still, tx: 2 }, 'zero', source, 12, mean, target, 2);
    expect([...target.slice(2)]).toEqual(Array(12).fill(0));
  });

  it('draws within the range, half of the pictures mirrored', () => {
    const key = augmentKey(3, 1);
    const draws = Array.from({ length: 4000 }, (_, image) => drawFor(key, image, 32, shiftAndFlip));
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
    const draw = (seed: number, epoch: number, image: number) =>
      drawFor(augmentKey(seed, epoch), image, 32, shiftAndFlip);
    expect(draw(1, 2, 77)).toEqual(draw(1, 2, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(1, 3, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(2, 2, 77));
    expect(draw(1, 2, 77)).not.toEqual(draw(1, 2, 78));
    const none = drawFor(augmentKey(1, 1), 5, 32, { ...shiftAndFlip, shift: 0, flip: false });
    expect([Math.abs(none.tx), Math.abs(none.ty), none.flip]).toEqual([0, 0, false]);
  });
});

describe('a crop', () => {
  it('shifts by every whole number of pixels up to its own, each as often', () => {
    const key = augmentKey(4, 1);
    const settings = { shift: 0, crop: 2, fill: 'zero', flip: false } as const;
    const draws = Array.from({ length: 5000 }, (_, image) => drawFor(key, image, 32, settings));
    for (const axis of ['tx', 'ty'] as const) {
      const counts = new Map<number, number>();
      for (const draw of draws) counts.set(draw[axis], (counts.get(draw[axis]) ?? 0) + 1);
      expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
      expect(Math.min(...counts.values())).toBeGreaterThan(880);
    }
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
