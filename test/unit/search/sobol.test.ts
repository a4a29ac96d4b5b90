import { createHash } from 'node:crypto';
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import {
  MAX_DIMENSIONS,
  sobolCoordinates,
  sobolInteger,
} from '../../../services/coordinator/core/search/sobol.js';
import { allPoints, axes, drawn, list, range, searchSpec } from '../../support/search.js';
import golden from './joe-kuo.golden.json' with { type: 'json' };

const dimensions = Array.from({ length: MAX_DIMENSIONS }, (_, dimension) => dimension);

describe('the Sobol sequence', () => {
  it('gives the numbers of Joe and Kuo', () => {
    for (const [point, row] of Object.entries(golden.points))
      expect(dimensions.map((dimension) => sobolInteger(Number(point), dimension))).toEqual(row);
  });

  it('gives the numbers of Joe and Kuo in all 64 dimensions for 2,048 points', () => {
    const hash = createHash('sha256');
    for (let point = 0; point < 2048; point += 1) {
      const row = Uint32Array.from(dimensions, (dimension) => sobolInteger(point, dimension));
      hash.update(new Uint8Array(row.buffer));
    }
    expect(hash.digest('hex')).toBe(golden.sha256OfPoints0To2047LittleEndianUint32);
  });

  it('refuses points and dimensions that it does not have', () => {
    for (const point of [-1, 0.5, 2 ** 32]) expect(() => sobolInteger(point, 0)).toThrow(RangeError);
    for (const dimension of [-1, MAX_DIMENSIONS])
      expect(() => sobolInteger(0, dimension)).toThrow(RangeError);
  });

  /** Whether each box of 2^-a by 2^-b holds one of the first 2^(a + b) points. */
  const isNet = (key: string | null, first: number, second: number, a: number, b: number): boolean => {
    const coordinates = sobolCoordinates(key);
    const boxes = Array.from({ length: 2 ** (a + b) }, (_, point) => {
      const at = coordinates(point);
      return Math.floor(at(first) * 2 ** a) * 2 ** b + Math.floor(at(second) * 2 ** b);
    });
    return new Set(boxes).size === boxes.length;
  };

  test.prop([fc.string(), fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })])(
    'stays a net when it is scrambled',
    (key, a, b) => {
      expect(isNet(key, 0, 1, a, b)).toBe(true);
      for (const dimension of [2, 10, 40, 63]) expect(isNet(key, dimension, dimension, a, 0)).toBe(true);
    },
  );

  it('is scrambled by the seed, evenly', () => {
    const first = Array.from({ length: 2000 }, (_, seed) => sobolCoordinates(`s${seed}`)(0)(0));
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const share = first.filter((value) => Math.floor(value * 10) === tenth).length / first.length;
      expect(Math.abs(share - 0.1)).toBeLessThan(0.03);
    }
  });
});

describe('sobol search', () => {
  const space = axes({ a: range(0, 1), b: range(0, 8), c: list('x', 'y') });

  it('without scrambling is the published sequence on the ranges', () => {
    const spec = searchSpec(space, { method: 'sobol', scramble: 'none', trials: 4, caseWeights: [1] });
    expect(allPoints(spec)).toEqual([
      { a: 0, b: 0, c: 'x' },
      { a: 0.5, b: 4, c: 'y' },
      { a: 0.75, b: 2, c: 'x' },
      { a: 0.25, b: 6, c: 'y' },
    ]);
  });

  it('keeps its points for good', () => {
    expect(allPoints(searchSpec(space, drawn('sobol', 3), { seed: 7 }))).toMatchInlineSnapshot(`
      [
        {
          "a": 0.90553117753,
          "b": 4.21718313359,
          "c": "x",
        },
        {
          "a": 0.481120420853,
          "b": 2.84264446795,
          "c": "y",
        },
        {
          "a": 0.0241420681123,
          "b": 7.4915367607,
          "c": "x",
        },
      ]
    `);
  });

  it('spreads points over cases and their ranges more evenly than chance', () => {
    const spec = searchSpec(axes({ a: range(0, 1) }), drawn('sobol', 64, 2), {
      cases: [axes({ kind: { kind: 'constant', value: 'p' } }), axes({ b: range(0, 1) })],
    });
    const points = allPoints(spec);
    expect(points.filter(({ kind }) => kind === 'p')).toHaveLength(32);
    const eighths = points.map(({ a }) => Math.floor(Number(a) * 8));
    for (let eighth = 0; eighth < 8; eighth += 1)
      expect(eighths.filter((value) => value === eighth)).toHaveLength(8);
  });
});
