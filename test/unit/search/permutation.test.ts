import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { MAX_SIZE, permutation } from '../../../services/coordinator/core/search/permutation.js';

const all = (size: number, seed: string): number[] => {
  const order = permutation(size, seed);
  return Array.from({ length: size }, (_, position) => order.at(position));
};

describe('permutation', () => {
  test.prop([fc.integer({ min: 0, max: 3000 }), fc.string()])('holds every number once', (size, seed) => {
    const numbers = all(size, seed);
    expect(new Set(numbers).size).toBe(size);
    expect(numbers.every((number) => Number.isInteger(number) && number >= 0 && number < size)).toBe(true);
  });

  test.prop([
    fc.integer({ min: 1, max: MAX_SIZE }),
    fc.string(),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
  ])('stays exact and one-to-one for sizes up to 9e15', (size, seed, shares) => {
    const order = permutation(size, seed);
    const positions = [...new Set(shares.map((share) => Math.min(size - 1, Math.floor(share * size))))];
    const numbers = positions.map((position) => order.at(position));
    expect(new Set(numbers).size).toBe(positions.length);
    expect(numbers.every((number) => Number.isSafeInteger(number) && number >= 0 && number < size)).toBe(
      true,
    );
  });

  it('depends on the seed and on nothing else', () => {
    expect(all(100, 'a')).toEqual(all(100, 'a'));
    expect(all(100, 'a')).not.toEqual(all(100, 'b'));
  });

  it('keeps its order for good', () => {
    expect(all(12, 'wattsweep-grid:1')).toEqual([5, 3, 10, 11, 7, 6, 0, 1, 2, 4, 8, 9]);
  });

  it('mixes: each tenth of the positions meets each tenth of the numbers', () => {
    const numbers = all(10_000, 'mix');
    for (let part = 0; part < 10; part += 1) {
      const counts = Array<number>(10).fill(0);
      for (const number of numbers.slice(part * 1000, (part + 1) * 1000))
        counts[Math.floor(number / 1000)]! += 1;
      expect(Math.min(...counts)).toBeGreaterThan(60);
      expect(Math.max(...counts)).toBeLessThan(140);
    }
  });

  it('refuses sizes and positions outside its range', () => {
    for (const size of [-1, 0.5, NaN, 1e16]) expect(() => permutation(size, '')).toThrow(RangeError);
    for (const position of [-1, 3, 0.5, NaN])
      expect(() => permutation(3, '').at(position)).toThrow(RangeError);
  });
});
