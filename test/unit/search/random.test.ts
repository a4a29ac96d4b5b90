import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  firstPoints,
  pointAt,
  samplePoints,
  searchSize,
} from '../../../services/coordinator/core/search/index.js';
import type { Axes, Domain, Parameters, SweepSpec } from '../../../services/coordinator/core/spec.js';
import { allPoints, axes, constant, drawn, list, range, searchSpec } from '../../support/search.js';

const methods = ['random', 'sobol', 'tpe'] as const;

const column = (points: readonly Parameters[], name: string): number[] =>
  points.map((point) => Number(point[name]));

/** Largest distance between the values' distribution and the uniform one on [0, 1] (Kolmogorov and Smirnov). */
const distance = (units: readonly number[]): number => {
  const sorted = units.toSorted((a, b) => a - b);
  return Math.max(...sorted.map((unit, index) => Math.abs(unit - (index + 0.5) / sorted.length)));
};

/** What chance exceeds once in a million draws. */
const tolerance = (count: number): number => 2.7 / Math.sqrt(count);

const draws = (domain: Domain, seed = 1, count = 2000): number[] =>
  column(
    allPoints(searchSpec(axes({ x: domain, other: range(0, 1) }), drawn('random', count), { seed })),
    'x',
  );

describe('random search', () => {
  it('draws uniformly on the range', () => {
    const units = draws(range(-3, 5)).map((x) => (x + 3) / 8);
    expect(distance(units)).toBeLessThan(tolerance(units.length));
  });

  it('draws uniformly in the logarithm on a log scale', () => {
    const units = draws(range(1e-5, 10, { scale: 'log' })).map((x) => Math.log10(x / 1e-5) / 6);
    expect(distance(units)).toBeLessThan(tolerance(units.length));
    expect(draws(range(1e-5, 10, { scale: 'log' })).filter((x) => x < 1e-2).length).toBeGreaterThan(900);
  });

  it('draws whole numbers with both ends, each equally often', () => {
    const found = draws(range(3, 7, { integer: true }));
    for (const value of [3, 4, 5, 6, 7]) {
      const count = found.filter((x) => x === value).length;
      expect(Math.abs(count - 400)).toBeLessThan(100);
    }
    expect(found.every((x) => x >= 3 && x <= 7 && Number.isInteger(x))).toBe(true);
  });

  it('draws whole numbers on a log scale, smaller ones more often, both ends included', () => {
    const found = draws(range(1, 64, { integer: true, scale: 'log' }));
    expect(Math.min(...found)).toBe(1);
    expect(Math.max(...found)).toBe(64);
    const below8 = found.filter((x) => x < 8).length;
    expect(Math.abs(below8 / found.length - Math.log(7.5 / 0.5) / Math.log(64.5 / 0.5))).toBeLessThan(0.05);
  });

  it('draws from the values of a list and of a range with a count', () => {
    expect(new Set(draws(list(32, 64, 128)))).toEqual(new Set([32, 64, 128]));
    expect(new Set(draws(range(0, 1, { count: 5 })))).toEqual(new Set([0, 0.25, 0.5, 0.75, 1]));
  });

  it('keeps its points for good', () => {
    const space = axes({
      lr: range(1e-4, 1, { scale: 'log' }),
      batch: list(32, 64),
      n: range(1, 9, { integer: true }),
    });
    expect(allPoints(searchSpec(space, drawn('random', 3), { seed: 7 }))).toMatchInlineSnapshot(`
      [
        {
          "batch": 32,
          "lr": 0.0180451594497,
          "n": 9,
        },
        {
          "batch": 32,
          "lr": 0.844508893755,
          "n": 3,
        },
        {
          "batch": 64,
          "lr": 0.180866386621,
          "n": 1,
        },
      ]
    `);
  });

  it('chooses cases by weight, and gives each its own parameters', () => {
    const spec = searchSpec(
      axes({ batch: list(32, 64) }),
      { method: 'random', trials: 1000, caseWeights: [1, 3] },
      {
        cases: [
          axes({ optimizer: constant('sgd'), lr: range(0.1, 1) }),
          axes({ optimizer: constant('adam'), lr: range(1e-4, 1e-2, { scale: 'log' }), decay: range(0, 1) }),
        ],
      },
    );
    const points = allPoints(spec);
    const adam = points.filter(({ optimizer }) => optimizer === 'adam');
    expect(Math.abs(adam.length - 750)).toBeLessThan(60);
    expect(adam.every(({ lr, decay }) => Number(lr) <= 0.01 && decay !== undefined)).toBe(true);
    const sgd = points.filter(({ optimizer }) => optimizer === 'sgd');
    expect(sgd.every((point) => Number(point['lr']) >= 0.1 && !('decay' in point))).toBe(true);
  });

  it('costs the same for a late position as for an early one where nothing is to be avoided', () => {
    const spec = searchSpec(axes({ a: range(0, 1) }), drawn('random', 10_000_000));
    const begin = performance.now();
    for (let position = 9_000_000; position < 9_001_000; position += 1) pointAt(spec, position);
    expect(performance.now() - begin).toBeLessThan(500);
  });
});

const domain: fc.Arbitrary<Domain> = fc.oneof(
  fc
    .uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 })
    .map((values) => list(...values)),
  fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), fc.boolean())
    .map(([min, width, log]) => range(min, min + width, { integer: true, scale: log ? 'log' : 'linear' })),
  fc.integer({ min: 2, max: 4 }).map((count) => range(0, 1, { count })),
  fc.constant<Domain>({ kind: 'expression', expression: 'max_epochs / 2' }),
);
const continuous = fc.constantFrom(range(-1, 1), range(1e-6, 1, { scale: 'log' }));

const branch = (value: fc.Arbitrary<Domain>, ...names: string[]): fc.Arbitrary<Axes> =>
  fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 2 }).map(axes);

/** A sweep over a small space; its axes and those of the cases do not share names. */
const sweep = (value: fc.Arbitrary<Domain>): fc.Arbitrary<Partial<SweepSpec>> =>
  fc.record({
    sweep: branch(value, 'a', 'b'),
    cases: fc.array(branch(value, 'c', 'd'), { minLength: 1, maxLength: 3 }),
    seed: fc.nat(),
    constraints: fc.constantFrom([], ['a + c < 8'], ['a != 3', 'd >= 0']),
  });

const isHeld = (spec: SweepSpec, point: Parameters): boolean =>
  spec.cases.some((own) =>
    [...spec.sweep, ...own].every(({ name, domain: wanted }) => {
      const value = point[name];
      if (wanted.kind === 'list') return wanted.values.includes(value ?? null);
      if (wanted.kind !== 'range') return true;
      const inside = typeof value === 'number' && value >= wanted.min && value <= wanted.max;
      return inside && (!wanted.integer || Number.isInteger(value));
    }),
  );

describe.each(methods)('%s search', (method) => {
  test.prop([sweep(fc.oneof(domain, continuous)), fc.integer({ min: 1, max: 20 })], { numRuns: 50 })(
    'stays in the ranges and keeps the constraints',
    (over, trials) => {
      const spec = searchSpec([], drawn(method, trials, over.cases?.length), over);
      for (const point of allPoints(spec)) {
        expect(isHeld(spec, point)).toBe(true);
        if ((over.constraints ?? []).includes('a + c < 8') && 'a' in point && 'c' in point)
          expect(Number(point['a']) + Number(point['c'])).toBeLessThan(8);
        if ((over.constraints ?? []).includes('a != 3')) expect(point['a']).not.toBe(3);
      }
    },
  );

  test.prop([sweep(domain), fc.integer({ min: 1, max: 60 })], { numRuns: 30 })(
    'issues no point of a finite space twice, and finds every one',
    (over, trials) => {
      const cases = over.cases ?? [[]];
      const spec = searchSpec([], drawn(method, trials, cases.length), over);
      const texts = allPoints(spec).map(canonicalJson);
      expect(new Set(texts).size).toBe(texts.length);
      expect(texts.length).toBe(searchSize(spec));
      const whole = new Set(
        allPoints(searchSpec([], drawn(method, 100_000, cases.length), over)).map(canonicalJson),
      );
      expect(texts.length).toBe(Math.min(trials, whole.size));
      expect(texts.every((text) => whole.has(text))).toBe(true);
    },
  );

  it('runs enqueued points first and not again', () => {
    const enqueue = [{ a: 2 }, { a: 9 }];
    const spec = searchSpec(axes({ a: list(1, 2, 3) }), drawn(method, 10, 1, { enqueue }));
    const points = allPoints(spec);
    expect(points.slice(0, 2)).toEqual(enqueue);
    expect(column(points, 'a').sort((a, b) => a - b)).toEqual([1, 2, 3, 9]);
    expect(searchSize(spec)).toBe(4);
  });

  it('says null when the constraints leave nothing more', () => {
    const spec = searchSpec(axes({ a: range(0, 1) }), drawn(method, 3), { constraints: ['a < -1'] });
    expect(searchSize(spec)).toBe(3);
    expect(pointAt(spec, 0)).toBeNull();
    expect(firstPoints(spec, 3)).toEqual([]);
  });
});

describe.each(['random', 'sobol'] as const)('%s search', (method) => {
  test.prop([sweep(fc.oneof(domain, continuous)), fc.integer({ min: 1, max: 30 }), fc.array(fc.nat(29))])(
    'gives a position the same point in whatever order it is asked',
    (over, trials, order) => {
      const make = (): SweepSpec => searchSpec([], drawn(method, trials, over.cases?.length), over);
      const points = allPoints(make());
      const asked = make();
      for (const position of order) {
        if (position < points.length) expect(pointAt(asked, position)).toEqual(points[position]);
      }
    },
  );
});

describe('the grid', () => {
  it('leaves out what is enqueued and what a constraint forbids', () => {
    const enqueue = [
      { a: 1, b: 2 },
      { a: 7, b: 7 },
    ];
    const space = axes({ a: list(1, 2, 3), b: list(1, 2, 3) });
    const spec = searchSpec(space, { method: 'grid', enqueue }, { constraints: ['a * b <= 4'] });
    const points = allPoints(spec);
    expect(points.slice(0, 2)).toEqual(enqueue);
    expect(points.slice(2).map(canonicalJson).sort()).toEqual(
      [
        { a: 1, b: 1 },
        { a: 1, b: 3 },
        { a: 2, b: 1 },
        { a: 2, b: 2 },
        { a: 3, b: 1 },
      ].map(canonicalJson),
    );
  });
});

describe('a list', () => {
  it('runs in its order, after what is enqueued', () => {
    const spec = searchSpec([], { method: 'list', points: [{ a: 3 }, { a: 1 }], enqueue: [{ a: 2 }] });
    expect(column(allPoints(spec), 'a')).toEqual([2, 3, 1]);
    expect(samplePoints(spec, 9)).toEqual([]);
  });
});
