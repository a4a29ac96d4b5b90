import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  gridOverlaps,
  pointAt as proposedAt,
  pointHash,
  repeatSeed,
  searchSize,
} from '../../../services/coordinator/core/search/index.js';
import type { Axes, Domain, Parameters, SweepSpec } from '../../../services/coordinator/core/spec.js';

const list = (...values: (string | number)[]): Domain => ({ kind: 'list', values });
const constant = (value: string | number): Domain => ({ kind: 'constant', value });
const expression = (text: string): Domain => ({ kind: 'expression', expression: text });
const axes = (domains: Record<string, Domain>): Axes =>
  Object.entries(domains).map(([name, domain]) => ({ name, domain }));

const specOf = (sweep: Axes, cases: readonly Axes[] = [[]], seed = 1): SweepSpec => ({
  name: 'grid',
  recipe: 'command',
  command: ['train'],
  objective: { metric: 'loss', goal: 'minimize', target: null, holdEpochs: 5, holdTolerance: 0.002 },
  levels: [],
  maxEpochs: 60,
  fixed: { depth: 56 },
  sweep,
  cases,
  search: { method: 'grid' },
  stopping: { rule: 'none' },
  repeats: 1,
  seed,
  budget: { energyWh: null, hours: null },
  resources: { gpus: null, device: null },
  maxParallel: null,
});

const pointAt = (spec: SweepSpec, position: number): Parameters => {
  const point = proposedAt(spec, position);
  if (point === null) throw new Error(`no point at ${position}`);
  return point;
};

const points = (spec: SweepSpec): Parameters[] =>
  Array.from({ length: searchSize(spec) }, (_, position) => pointAt(spec, position));

const values = (domain: Domain): unknown[] =>
  points(specOf(axes({ x: domain })))
    .map(({ x }) => x)
    .sort((a, b) => Number(a) - Number(b));

describe('grid', () => {
  it('combines the axes of the sweep with those of each case', () => {
    const spec = specOf(axes({ a: list(1, 2), b: list('x', 'y', 'z') }), [
      axes({ kind: constant('p'), c: list(1, 2) }),
      axes({ kind: constant('q') }),
    ]);
    const found = points(spec);
    expect(found).toHaveLength(18);
    expect(found.filter(({ kind }) => kind === 'p')).toHaveLength(12);
    expect(found.every(({ depth }) => depth === 56)).toBe(true);
    expect(new Set(found.map(canonicalJson)).size).toBe(18);
  });

  it('has one point when nothing is swept', () => {
    expect(points(specOf([]))).toEqual([{ depth: 56 }]);
  });

  it('sorts the keys of a point', () => {
    const [point] = points(specOf(axes({ z: constant(1), a: constant(2) })));
    expect(Object.keys(point ?? {})).toEqual(['a', 'depth', 'z']);
  });

  it('computes expressions from the other parameters, in any order, and from max_epochs', () => {
    const spec = specOf(
      axes({ twice: expression('2 * lr'), lr: expression('1e-3 * sqrt(batch / 32)'), batch: list(32, 64) }),
      [axes({ warm: expression('max_epochs / 10 + depth') })],
    );
    const found = points(spec).sort((a, b) => Number(a['batch']) - Number(b['batch']));
    expect(found).toEqual([
      { batch: 32, depth: 56, lr: 0.001, twice: 0.002, warm: 62 },
      { batch: 64, depth: 56, lr: 0.00141421356237, twice: 0.00282842712474, warm: 62 },
    ]);
  });

  it('gives null to an expression without a finite value, and to what follows from it', () => {
    const spec = specOf(
      axes({ a: expression('1 / 0'), b: expression('a + 1'), c: expression('d'), d: expression('c') }),
    );
    expect(points(spec)).toEqual([{ a: null, b: null, c: null, d: null, depth: 56 }]);
  });

  it('spaces ranges evenly, with the ends as written', () => {
    const range = { kind: 'range', min: 0.1, max: 0.5, scale: 'linear', integer: false, count: 5 } as const;
    expect(values(range)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5]);
    expect(values({ ...range, min: -1, max: 1, count: 3 })).toEqual([-1, 0, 1]);
    expect(values({ ...range, min: 0.05, max: 0.5, scale: 'log', count: 3 })).toEqual([
      0.05, 0.158113883008, 0.5,
    ]);
    expect(values({ ...range, min: 1e-5, max: 1, scale: 'log', count: 6 })).toEqual([
      1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1,
    ]);
    expect(values({ ...range, min: 1, max: 4, integer: true, count: 9 })).toEqual([1, 2, 3, 4]);
    expect(values({ ...range, min: 1, max: 10, integer: true, count: 3 })).toEqual([1, 6, 10]);
    expect(values({ ...range, min: 1, max: 16, scale: 'log', integer: true, count: 9 })).toEqual([
      1, 2, 3, 4, 6, 8, 11, 16,
    ]);
    expect(values({ ...range, count: 1 })).toEqual([0.1]);
  });

  it('runs a point that several cases hold once', () => {
    const spec = specOf(axes({ batch: list(32, 64) }), [
      axes({ lr: list(1, 2, 3) }),
      axes({ lr: list(3, 4) }),
      axes({ lr: { kind: 'range', min: 2, max: 6, scale: 'linear', integer: false, count: 5 } }),
      axes({ lr: expression('batch / 32') }),
      axes({ lr: list(1), other: constant(1) }),
    ]);
    expect(searchSize(spec)).toBe(14);
    expect(new Set(points(spec).map(canonicalJson)).size).toBe(14);
    expect(gridOverlaps(spec)).toEqual([
      { branch: 1, points: 2 },
      { branch: 2, points: 6 },
      { branch: 3, points: 2 },
    ]);
  });

  it('says so when it cannot compare two cases', () => {
    const wide = axes({ a: { kind: 'range', min: 1, max: 1e9, scale: 'linear', integer: true, count: 1e6 } });
    expect(gridOverlaps(specOf([], [wide, wide]))).toEqual([{ branch: 1, points: null }]);
  });

  const domain = fc.oneof(
    fc
      .uniqueArray(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 })
      .map((found) => list(...found)),
    fc.integer({ min: 0, max: 5 }).map((value) => constant(value)),
    fc.constantFrom('a + 1', 'b * 2', 'max_epochs / 30', 'a == 1 ? 1 : 2').map(expression),
  );
  const branch = fc.dictionary(fc.constantFrom('a', 'b', 'c'), domain, { maxKeys: 3 }).map(axes);

  test.prop([branch, fc.array(branch, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0 })])(
    'issues no point twice and leaves none out, whatever the cases share',
    (sweep, cases, seed) => {
      const disjoint = cases.map((axis) =>
        axis.filter(({ name }) => !sweep.some((other) => other.name === name)),
      );
      const spec = specOf(sweep, disjoint, seed);
      const found = points(spec).map(canonicalJson);
      expect(new Set(found).size).toBe(found.length);
      const single = disjoint.flatMap((axis) => points(specOf(sweep, [axis])).map(canonicalJson));
      expect([...found].sort()).toEqual([...new Set(single)].sort());
    },
  );

  it('takes no memory and no time for 10^12 points', () => {
    const digits = list(...Array.from({ length: 10 }, (_, digit) => digit));
    const spec = specOf(
      axes(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`p${index}`, digits]))),
    );
    const heap = process.memoryUsage().heapUsed;
    const begin = performance.now();
    expect(searchSize(spec)).toBe(1e12);
    expect(Object.keys(pointAt(spec, 0))).toHaveLength(13);
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(20e6);
    const seen = new Set(
      Array.from({ length: 1000 }, (_, position) => pointHash(spec, pointAt(spec, position * 1e9))),
    );
    expect(seen.size).toBe(1000);
  });

  it('takes no memory for one range of 10^6 values', () => {
    const spec = specOf(
      axes({ lr: { kind: 'range', min: 1e-6, max: 1, scale: 'log', integer: false, count: 1e6 } }),
    );
    const heap = process.memoryUsage().heapUsed;
    expect(searchSize(spec)).toBe(1e6);
    expect(pointAt(spec, 0)['lr']).toBeGreaterThan(0);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(5e6);
  });
});

describe('names of points and seeds of repeats', () => {
  const shuffled = (value: Parameters): Parameters => Object.fromEntries(Object.entries(value).reverse());
  const parameter = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
  );

  test.prop([fc.dictionary(fc.string(), parameter), fc.dictionary(fc.string(), parameter)])(
    'hash does not depend on the order of keys, at any depth',
    (outer, inner) => {
      const spec = { recipe: 'r', command: [] };
      const hash = pointHash(spec, { ...outer, inner, list: [inner] });
      expect(hash).toMatch(/^[0-9a-f]{16}$/);
      expect(pointHash(spec, shuffled({ ...outer, inner: shuffled(inner), list: [shuffled(inner)] }))).toBe(
        hash,
      );
    },
  );

  it('hash tells recipes, commands, values and types apart, and 0 from nothing but -0', () => {
    const hashes = [
      pointHash({ recipe: 'a', command: [] }, { x: 1 }),
      pointHash({ recipe: 'b', command: [] }, { x: 1 }),
      pointHash({ recipe: 'a', command: ['c'] }, { x: 1 }),
      pointHash({ recipe: 'a', command: [] }, { x: '1' }),
      pointHash({ recipe: 'a', command: [] }, { x: null }),
      pointHash({ recipe: 'a', command: [] }, { x: 0 }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(pointHash({ recipe: 'a', command: [] }, { x: -0 })).toBe(hashes[5]);
  });

  it('hash and seeds stay what they are', () => {
    const spec = { recipe: 'resnet-cifar10', command: [] };
    expect(pointHash(spec, { optimizer: 'adam', lr_peak: 0.001 })).toBe('affbf5cfd600a73b');
    expect([1, 2, 3].map((repeat) => repeatSeed(1, repeat))).toEqual([426160046, 2631334170, 3770335647]);
    expect(repeatSeed(2, 1)).not.toBe(repeatSeed(1, 1));
  });
});
