/** Search inside the core: what is proposed when, from the events of a sweep alone. */
import { describe, expect, it } from 'vitest';
import { fold, initialState, type SweepSpec } from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, sweepSpec, trainer, World } from '../../support/core.js';
import { axes, drawn, list, range, searchSpec } from '../../support/search.js';

/** Runs every trial of the sweep `s` on so many slots; the objective is what `value` says. */
function run(spec: SweepSpec, slots: number, value: (x: number) => number): World {
  const world = new World();
  world.submit(spec);
  world.join(trainer('a', slots));
  for (let start = world.running()[0]; start !== undefined; start = world.running()[0]) {
    const x = Number(start.parameters['x']);
    for (let epoch = 1; epoch <= spec.maxEpochs; epoch += 1) world.epoch(start, epochRecord(epoch, value(x)));
    world.end(start);
  }
  return world;
}

const trialsOf = (world: World) => [...(world.state.sweeps.get('s')?.trials.values() ?? [])];
const xs = (world: World): number[] => trialsOf(world).map(({ parameters }) => Number(parameters['x']));

const space = axes({ x: range(0, 1) });
const tpe = (trials: number, over: Partial<SweepSpec> = {}): SweepSpec =>
  searchSpec(space, drawn('tpe', trials, 1, { startup: 5 }), { maxEpochs: 2, ...over });

const refolded = (world: World): string => {
  const state = initialState();
  for (const event of world.log) fold(state, event);
  return freeze(state);
};

describe('a sweep', () => {
  it('learns from its trials, and its log alone gives its state', () => {
    const world = run(tpe(40), 2, (x) => -Math.abs(x - 0.3));
    const found = xs(world);
    expect(found).toHaveLength(40);
    expect(world.state.sweeps.get('s')?.status).toBe('completed');
    const late = found.slice(20).filter((x) => Math.abs(x - 0.3) < 0.15).length;
    expect(late).toBeGreaterThan(12);
    expect(refolded(world)).toBe(freeze(world.state));
  });

  it('runs the same points again when the same results arrive', () => {
    const once = xs(run(tpe(20), 1, (x) => x));
    expect(xs(run(tpe(20), 1, (x) => x))).toEqual(once);
    expect(xs(run(tpe(20), 1, (x) => -x))).not.toEqual(once);
  });

  it.each(['random', 'sobol'] as const)('of %s points runs the same on one slot and on seven', (method) => {
    const spec = searchSpec(axes({ x: list(1, 2, 3, 4, 5, 6, 7, 8, 9) }), drawn(method, 8), { maxEpochs: 1 });
    const one = xs(run(spec, 1, (x) => x));
    expect(new Set(one).size).toBe(8);
    expect(xs(run(spec, 7, (x) => -x))).toEqual(one);
  });

  it('repeats the points that it learned to try', () => {
    const world = run(tpe(8, { repeats: 2 }), 3, (x) => x);
    const trials = trialsOf(world);
    expect(trials).toHaveLength(16);
    const hashes = (repeat: number): string[] =>
      trials.filter((trial) => trial.repeat === repeat).map(({ pointHash }) => pointHash);
    expect(hashes(2).sort()).toEqual(hashes(1).sort());
    expect(new Set(hashes(1)).size).toBe(8);
  });

  it('ends when the search finds no further point', () => {
    const spec = searchSpec(
      axes({ n: range(1, 1_000_000_000, { integer: true }), x: list(1) }),
      drawn('random', 9),
      {
        constraints: ['n < 0'],
        search: { method: 'random', trials: 9, caseWeights: [1], enqueue: [{ n: 5, x: 1 }] },
        maxEpochs: 1,
        repeats: 3,
      },
    );
    const world = run(spec, 2, (x) => x);
    expect(trialsOf(world).map(({ parameters, repeat }) => [parameters['n'], repeat])).toEqual([
      [5, 1],
      [5, 2],
      [5, 3],
    ]);
    expect(world.log.filter(({ type }) => type === 'search_exhausted')).toMatchObject([{ position: 1 }]);
    expect(world.state.sweeps.get('s')?.status).toBe('completed');
    expect(refolded(world)).toBe(freeze(world.state));
  });

  it('starts warm from the trials of an earlier one', () => {
    const world = run(tpe(20), 2, (x) => -Math.abs(x - 0.3));
    const search = drawn('tpe', 20, 1, { warmStart: { sweepId: 's', results: [] } });
    world.submit(searchSpec(space, search, { maxEpochs: 2 }), 'warm');
    world.submit(
      searchSpec(space, search, { objective: { ...sweepSpec().objective, metric: 'other' } }),
      'other',
    );
    const recorded = (sweepId: string): number | null => {
      const found = world.state.sweeps.get(sweepId)?.spec.search;
      return found?.method === 'tpe' ? (found.warmStart?.results.length ?? null) : null;
    };
    expect(recorded('warm')).toBe(20);
    expect(recorded('other')).toBe(0);
    const [first] = world.running();
    expect(first?.sweepId).toBe('warm');
    expect(Math.abs(Number(first?.parameters['x']) - 0.3)).toBeLessThan(0.2);
  });
});
