import { describe, expect, it } from 'vitest';
import { pointHash, searchSize } from '../../../services/coordinator/core/search/index.js';
import { stepsPerEpoch } from '../../../services/coordinator/spec/warnings.js';
import {
  parseSweepFile,
  planSweep,
  type Plan,
  type PlanOptions,
} from '../../../services/coordinator/spec/index.js';

const seedOf = (numbers: number): (() => number) => {
  let state = numbers >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
};

const specOf = (...lines: string[]): ReturnType<typeof parseSweepFile>['spec'] =>
  parseSweepFile(
    ['name: s', 'command: [x]', 'objective: { metric: m, goal: maximize }', 'max_epochs: 60', ...lines].join(
      '\n',
    ),
  ).spec;

const plan = (options: PlanOptions, ...lines: string[]): Plan => planSweep(specOf(...lines), options);

const points = (count: number): string =>
  `sweep: { a: { min: 1, max: ${count}, count: ${count}, integer: true } }`;

describe('plan', () => {
  it('counts trials and the most epochs, and lists the first points', () => {
    const spec = specOf('sweep: { a: [1, 2, 3], b: [x, y] }', 'repeats: 2');
    const found = planSweep(spec, { limit: 2 });
    expect(found).toMatchObject({
      trials: 12,
      pointCount: 6,
      repeats: 2,
      epochs: 720,
      expectedEpochs: 720,
      rungs: [],
    });
    expect(found.points).toHaveLength(2);
    for (const { hash, params } of found.points) expect(hash).toBe(pointHash(spec, params));
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  it('lists ten points unless told otherwise, and never more than there are', () => {
    expect(plan({}, points(30)).points).toHaveLength(10);
    expect(plan({ limit: 0 }, points(30)).points).toEqual([]);
    expect(plan({ limit: 99 }, points(30)).points).toHaveLength(30);
    expect(() => plan({ limit: -1 }, points(30))).toThrow(RangeError);
  });

  it('knows the rungs of asha, and about how many go on', () => {
    const found = plan({}, points(30), 'stopping: { rule: asha, first_rung: 40, eta: 3 }');
    expect(found.rungs).toEqual([{ epochs: 40, bracket: 0, survivors: 10.1 }]);
    expect(found.epochs).toBe(1800);
    expect(found.expectedEpochs).toBe(1402);
  });

  it.each([
    [40, 2],
    [100, 3],
    [700, 4],
  ])('expects what happens to %i values in random order (eta %i)', (count, eta) => {
    const random = seedOf(count);
    const runs = 400;
    let passed = 0;
    for (let run = 0; run < runs; run += 1) {
      const values: number[] = [];
      for (let k = 1; k <= count; k += 1) {
        const value = random();
        values.push(value);
        if (values.filter((other) => other > value).length < Math.max(1, Math.floor(k / eta))) passed += 1;
      }
    }
    const [rung] = plan({}, points(count), `stopping: { rule: asha, first_rung: 30, eta: ${eta} }`).rungs;
    expect(Math.abs((rung?.survivors ?? 0) / (passed / runs) - 1)).toBeLessThan(0.05);
  });

  it('splits brackets, and groups that are ranked apart', () => {
    const brackets = plan(
      {},
      points(120),
      'stopping: { rule: asha, first_rung: 2, eta: 3, brackets: 2 }',
    ).rungs;
    expect(brackets.map(({ bracket, epochs }) => [bracket, epochs])).toEqual([
      ...[2, 6, 18, 54].map((epochs) => [0, epochs]),
      ...[6, 18, 54].map((epochs) => [1, epochs]),
    ]);
    const lines = [
      'sweep: { a: [1, 2, 3, 4, 5, 6], b: [1, 2, 3, 4, 5, 6] }',
      'stopping: { rule: asha, first_rung: 30',
    ];
    const [together] = plan({}, `${lines.join('\n')} }`).rungs;
    const [apart] = plan({}, `${lines.join('\n')}, compare_within: [a, b] }`).rungs;
    expect(together?.survivors).toBeLessThan(15);
    expect(apart?.survivors).toBe(36);
  });

  it('counts repeats only of points that reach the end', () => {
    const lines = [points(30), 'stopping: { rule: asha, first_rung: 40 }'];
    const once = plan({}, ...lines);
    const thrice = plan({}, ...lines, 'repeats: 3');
    expect(thrice.epochs).toBe(3 * once.epochs);
    const survivors = once.rungs[0]?.survivors ?? 0;
    expect(
      Math.abs((thrice.expectedEpochs ?? 0) - (once.expectedEpochs ?? 0) - 2 * 60 * survivors),
    ).toBeLessThan(10);
  });

  it('counts the trials of a search, and lists of tpe only the points that need no results', () => {
    const range = 'sweep: { a: { min: 0, max: 1 } }';
    const random = plan({ limit: 20 }, range, 'search: { method: random, trials: 60 }', 'repeats: 2');
    expect(random).toMatchObject({ pointCount: 60, trials: 120 });
    expect(random.points).toHaveLength(20);
    const queue = 'enqueue: [{ a: 0.5 }]';
    const tpe = plan({ limit: 20 }, range, `search: { method: tpe, trials: 60, startup: 4, ${queue} }`);
    expect(tpe.pointCount).toBe(60);
    expect(tpe.points).toHaveLength(4);
    expect(tpe.points[0]?.params).toEqual({ a: 0.5 });
  });

  it('ranks every point apart when compare_within names a range', () => {
    const lines = ['sweep: { a: { min: 0, max: 1 } }', 'search: { method: random, trials: 30 }'];
    const stopping = 'stopping: { rule: asha, first_rung: 30, compare_within: [a] }';
    expect(plan({}, ...lines, stopping).rungs[0]?.survivors).toBe(30);
  });

  it('counts the rounds of hyperband as its paper does, and those of an unfilled bracket', () => {
    const head = ['name: s', 'command: [x]', 'objective: { metric: m, goal: maximize }', 'max_epochs: 9'];
    const of = (count: number): Plan =>
      planSweep(parseSweepFile([...head, 'stopping: hyperband', points(count)].join('\n')).spec);
    // Brackets (9, 1) (5, 3) (3, 9): 9 + 3 * 2 + 1 * 6, 5 * 3 + 1 * 6, 3 * 9 epochs.
    expect(of(17).expectedEpochs).toBe(21 + 21 + 27);
    expect(of(34).expectedEpochs).toBe(2 * 69);
    expect(of(17).rungs).toEqual([
      { epochs: 1, bracket: 2, survivors: 3 },
      { epochs: 3, bracket: 2, survivors: 1 },
      { epochs: 3, bracket: 1, survivors: 1 },
    ]);
    // 9 as above, and 2 of the second bracket: 6 epochs, one of them goes on.
    expect(of(11).expectedEpochs).toBe(21 + 6 + 6);
  });

  it('counts promotions as the budget of the paper', () => {
    const found = plan({}, points(16), 'stopping: { rule: asha, mode: promote, first_rung: 1, eta: 4 }');
    expect(found.rungs.map(({ epochs, survivors }) => [epochs, survivors])).toEqual([
      [1, 4],
      [4, 1],
      [16, 0],
    ]);
    expect(found.expectedEpochs).toBe(16 + 4 * 3 + 12);
  });

  it('takes half of the trials to fall below the median, and of several rules the smallest', () => {
    const median = plan({}, points(23), 'stopping: { rule: median, grace: 4 }');
    expect(median.expectedEpochs).toBe(13 * 60 + 10 * 5);
    const both = '{ rule: composite, rules: [{ rule: patience, patience: 3 }, { rule: median, grace: 4 }] }';
    expect(plan({}, points(23), `stopping: ${both}`)).toMatchObject({
      expectedEpochs: 13 * 60 + 10 * 5,
      expectedHow: expect.stringContaining('the smallest of the rules') as string,
    });
  });

  it('does not guess what depends on the curves', () => {
    const found = plan({}, points(3), 'stopping: { rule: patience, patience: 3 }');
    expect(found.expectedEpochs).toBeNull();
    expect(found.expectedHow).toContain('depends on the curves');
  });

  it('is instant for 10^6 points, with a rule and repeats', () => {
    const digits = 'abcdef'.split('').map((name) => `${name}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]`);
    const spec = specOf(`sweep: { ${digits.join(', ')} }`, 'stopping: asha', 'repeats: 3');
    const begin = performance.now();
    const found = planSweep(spec, { limit: 10 });
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(found.trials).toBe(3e6);
    expect(found.epochs).toBe(180e6);
    expect(searchSize(spec)).toBe(1e6);
    expect(found.rungs.map(({ epochs }) => epochs)).toEqual([6, 18, 54]);
    expect(found.rungs[0]?.survivors).toBeGreaterThan(333_000);
    expect(found.rungs[0]?.survivors).toBeLessThan(333_334);
  });

  it('says what an epoch may cost before the budget ends in the first rung, and warns when it does', () => {
    const lines = [
      points(36),
      'stopping: { rule: asha, first_rung: 10 }',
      'budget: { hours: 1, energy_wh: 180 }',
    ];
    expect(plan({}, ...lines)).toMatchObject({
      firstRungLimit: { slotSeconds: 10, wattHours: 0.5 },
      warnings: [],
    });
    const cheap = plan({ epochCost: { seconds: 19, wattHours: 0.4, slots: 2 } }, ...lines);
    // The first rung is paid for; the rest is not.
    expect(cheap.warnings.map((warning) => warning.split(',')[0])).toEqual([
      'budget.hours',
      'budget.energy_wh',
    ]);
    const expectedHours = ((cheap.expectedEpochs ?? 0) * 19) / 3600;
    expect(cheap.expected.slotHours).toBeCloseTo(expectedHours, 9);
    expect(cheap.expected.hours).toBeCloseTo(expectedHours / 2, 9);
    expect(cheap.expected.wattHours).toBeCloseTo((cheap.expectedEpochs ?? 0) * 0.4, 9);
    expect(cheap.upper.wattHours).toBeCloseTo(36 * 60 * 0.4, 9);
    const dear = plan({ epochCost: { seconds: 21, wattHours: 0.6, slots: 2 } }, ...lines);
    expect(dear.warnings.map((warning) => warning.split(':')[0])).toEqual([
      'budget.hours ends in the first rung',
      'budget.energy_wh ends in the first rung',
    ]);
    expect(
      plan({ epochCost: { seconds: 21, wattHours: null, slots: 2 } }, ...lines).expected.wattHours,
    ).toBeNull();
  });
});

describe('stepsPerEpoch', () => {
  it('counts the last, smaller batch', () => {
    expect([32, 64, 128].map((batchSize) => stepsPerEpoch(50_000, batchSize))).toEqual([1563, 782, 391]);
    expect(stepsPerEpoch(10, 100)).toBe(1);
  });
});
