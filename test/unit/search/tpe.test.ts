import { describe, expect, it } from 'vitest';
import { pointAt, type SearchResult } from '../../../services/coordinator/core/search/index.js';
import { parzen } from '../../../services/coordinator/core/search/parzen.js';
import { placeOf, spaceOf, type Place } from '../../../services/coordinator/core/search/space.js';
import { stream } from '../../../services/coordinator/core/search/stream.js';
import type { Parameters, TpeSpec } from '../../../services/coordinator/core/spec.js';
import { sweepSpec } from '../../support/core.js';
import { standardFunctions } from '../../support/functions.js';
import {
  axes,
  constant,
  drawn,
  ended,
  list,
  minimise,
  range,
  running,
  searchSpec,
} from '../../support/search.js';

const minimised = { objective: { ...sweepSpec().objective, goal: 'minimize' as const } };

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2;
};

describe('tpe beats random search', () => {
  it.each(standardFunctions)('on $name over 20 seeds, one trial at a time and four', (standard) => {
    const regrets = (method: 'random' | 'tpe', atATime: number): number[] =>
      SEEDS.map((seed) => {
        const spec = searchSpec(standard.sweep, drawn(method, 60), { seed, ...minimised });
        const values = minimise(spec, (point) => standard.value(point), atATime);
        return Math.min(...values) - standard.minimum;
      });
    const random = regrets('random', 1);
    for (const atATime of [1, 4]) {
      const tpe = regrets('tpe', atATime);
      expect(median(tpe)).toBeLessThan(median(random) / 2);
      expect(tpe.filter((regret, seed) => regret < (random[seed] ?? 0)).length).toBeGreaterThan(14);
    }
  });
});

const space = axes({ x: range(0, 1), y: range(0, 1) });

/** Results along the diagonal, best at 0.8. */
const results = (count: number): SearchResult[] =>
  Array.from({ length: count }, (_, index) => {
    const x = (index + 0.5) / count;
    return ended({ x, y: x }, 1 - Math.abs(x - 0.8));
  });

const proposals = (
  known: readonly SearchResult[],
  over: Partial<TpeSpec> = {},
  spec = searchSpec(space, drawn('tpe', 1000, 1, over)),
  count = 30,
): Parameters[] =>
  Array.from({ length: count }, (_, index) => {
    const point = pointAt(spec, known.length + index, () => known);
    if (point === null) throw new Error('no proposal');
    return point;
  });

const meanOf = (points: readonly Parameters[], name: string): number =>
  points.reduce((sum, point) => sum + Number(point[name]), 0) / points.length;

describe('tpe', () => {
  it('follows from seed, position and results alone', () => {
    expect(proposals(results(40))).toEqual(proposals(results(40)));
    const other = searchSpec(space, drawn('tpe', 1000), { seed: 2 });
    expect(proposals(results(40), {}, other)).not.toEqual(proposals(results(40)));
  });

  it('covers the space evenly until startup results are there, whatever they say', () => {
    expect(proposals(results(9))).toEqual(
      proposals(results(9).map(({ parameters }) => ended(parameters, -Number(parameters['x'])))),
    );
    expect(Math.abs(meanOf(proposals(results(9)), 'x') - 0.5)).toBeLessThan(0.1);
    expect(Math.abs(meanOf(proposals(results(10)), 'x') - 0.8)).toBeLessThan(0.15);
  });

  it('looks where the objective was good, upwards or downwards', () => {
    const found = proposals(results(40));
    expect(Math.abs(meanOf(found, 'x') - 0.8)).toBeLessThan(0.1);
    expect(Math.abs(meanOf(found, 'y') - 0.8)).toBeLessThan(0.1);
    const down = searchSpec(space, drawn('tpe', 1000), minimised);
    expect(meanOf(proposals(results(40), {}, down), 'x')).toBeLessThan(0.3);
  });

  it('keeps away from points that still run', () => {
    const near = (points: readonly Parameters[]): number =>
      points.filter(({ x, y }) => Math.hypot(Number(x) - 0.8, Number(y) - 0.8) < 0.05).length;
    const lies = Array.from({ length: 8 }, () => running({ x: 0.8, y: 0.8 }));
    expect(near(proposals([...results(40), ...lies]))).toBeLessThan(near(proposals(results(40))));
  });

  it('compares at the epochs that startup points have reached', () => {
    const short = Array.from({ length: 30 }, (_, index) => ended({ x: 0.1, y: index / 30 }, 0.99, 1));
    const long = results(12).map((result) => ({ ...result, lastEpoch: 9 }));
    expect(meanOf(proposals([...short, ...long]), 'x')).toBeGreaterThan(0.5);
    const few = long.slice(0, 9);
    expect(meanOf(proposals([...short, ...few]), 'x')).toBeLessThan(0.3);
  });

  it('takes a point that diverged for the worst', () => {
    const bad = Array.from({ length: 20 }, (_, index): SearchResult => ({
      ...running({ x: 0.5 + index / 40, y: 0.5 }),
      status: 'failed',
    }));
    const good = Array.from({ length: 10 }, (_, index) => ended({ x: index / 20, y: 0.5 }, 0.1));
    expect(meanOf(proposals([...bad, ...good]), 'x')).toBeLessThan(0.45);
  });

  it('learns which case is good, and what is good in it', () => {
    const cases = [
      axes({ kind: constant('p'), a: range(0, 1) }),
      axes({ kind: constant('q'), b: range(0, 1) }),
      axes({ kind: constant('r') }),
    ];
    const spec = searchSpec([], drawn('tpe', 1000, 3), { cases });
    const known = Array.from({ length: 60 }, (_, index) => {
      const unit = (index * 0.618) % 1;
      if (index % 3 === 0) return ended({ kind: 'p', a: unit }, 0.2);
      if (index % 3 === 1) return ended({ kind: 'q', b: unit }, 1 - Math.abs(unit - 0.3));
      return ended({ kind: 'r' }, 0.5);
    });
    const found = proposals(known, {}, { ...spec }, 30);
    const ofQ = found.filter(({ kind }) => kind === 'q');
    expect(ofQ.length).toBeGreaterThan(22);
    expect(Math.abs(meanOf(ofQ, 'b') - 0.3)).toBeLessThan(0.12);
  });

  it('knows the results of an earlier sweep from the start, as far as they lie in its space', () => {
    const warm = (x: number): TpeSpec['warmStart'] => ({
      sweepId: 'before',
      results: results(40).map(({ parameters, valueAt }) => ({
        parameters: { ...parameters, ...(x === 0 ? { z: 1 } : {}) },
        epoch: 3,
        value: valueAt(3),
      })),
    });
    expect(Math.abs(meanOf(proposals([], { warmStart: warm(1) }), 'x') - 0.8)).toBeLessThan(0.1);
    expect(proposals([], { warmStart: warm(0) })).toEqual(proposals([]));
  });
});

describe('the Parzen estimator', () => {
  const mixedSpace = spaceOf(
    searchSpec(
      axes({ u: range(0, 1), n: range(1, 6, { integer: true, scale: 'log' }), o: list('x', 'y', 'z') }),
      drawn('tpe', 10, 2),
      { cases: [axes({ c: constant(1) }), axes({ c: constant(2), s: list(1, 2, 4, 8) })] },
    ),
  );
  const place = (point: Parameters): Place => {
    const found = placeOf(mixedSpace, point);
    if (found === null) throw new Error('outside');
    return found;
  };
  const model = parzen(mixedSpace, [
    place({ u: 0.05, n: 2, o: 'y', c: 1 }),
    place({ u: 0.9, n: 6, o: 'z', c: 2, s: 8 }),
    place({ u: 0.8, n: 5, o: 'z', c: 2, s: 4 }),
  ]);

  it('has a density that sums to one', () => {
    const steps = 400;
    let sum = 0;
    for (let k = 0; k < steps; k += 1)
      for (const n of [1, 2, 3, 4, 5, 6])
        for (const o of ['x', 'y', 'z']) {
          const point = { u: (k + 0.5) / steps, n, o };
          sum += Math.exp(model.logDensity(place({ ...point, c: 1 }))) / steps;
          for (const s of [1, 2, 4, 8])
            sum += Math.exp(model.logDensity(place({ ...point, c: 2, s }))) / steps;
        }
    expect(sum).toBeCloseTo(1, 3);
  });

  it('draws as its density says', () => {
    const next = stream('draws');
    const drawnUnits = Array.from({ length: 4000 }, () => model.sample(next));
    const share = drawnUnits.filter(({ branch }) => branch === 1).length / drawnUnits.length;
    let expected = 0;
    for (let k = 0; k < 100; k += 1)
      for (const n of [1, 2, 3, 4, 5, 6])
        for (const o of ['x', 'y', 'z'])
          for (const s of [1, 2, 4, 8])
            expected += Math.exp(model.logDensity(place({ u: (k + 0.5) / 100, n, o, c: 2, s }))) / 100;
    expect(Math.abs(share - expected)).toBeLessThan(0.03);
  });
});
