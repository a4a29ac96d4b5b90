import { describe, expect, it } from 'vitest';
import { fold, initialState, type SweepSpec } from '../../../services/coordinator/core/index.js';
import { pointAt, searchSize, withSmoke } from '../../../services/coordinator/core/search/index.js';
import { epochRecord, freeze, sweepSpec, trainer, World } from '../../support/core.js';

const numbers = (name: string, ...values: number[]) => ({
  name,
  domain: { kind: 'list' as const, values },
});

const grid = (over: Partial<SweepSpec> = {}): SweepSpec =>
  sweepSpec({ sweep: [numbers('batch_size', 32, 64, 128), numbers('depth', 20, 56, 110)], ...over });

describe('the points of a smoke test', () => {
  it('are corners, the largest first; the grid has each point once all the same', () => {
    const spec = withSmoke(grid());
    expect(spec.search.enqueue).toEqual([
      { batch_size: 128, depth: 110 },
      { batch_size: 32, depth: 20 },
      { batch_size: 128, depth: 20 },
      { batch_size: 32, depth: 110 },
    ]);
    expect(spec.smoke).toBe(4);
    const points = Array.from({ length: searchSize(spec) }, (_, i) => JSON.stringify(pointAt(spec, i)));
    expect(new Set(points).size).toBe(9);
  });

  it('take names in turn, each case, and only what the constraints allow', () => {
    const names = { name: 'optimizer', domain: { kind: 'list' as const, values: ['sgd', 'adamw'] } };
    const spec = withSmoke(
      grid({
        sweep: [numbers('batch_size', 32, 128)],
        cases: [[names], [numbers('depth', 20, 110)]],
        constraints: ['batch_size * depth < 10000'],
      }),
    );
    expect(spec.search.enqueue).toEqual([
      { batch_size: 128, optimizer: 'sgd' },
      { batch_size: 128, optimizer: 'adamw' },
      { batch_size: 32, depth: 20 },
      { batch_size: 32, optimizer: 'sgd' },
      { batch_size: 128, depth: 20 },
      { batch_size: 32, depth: 110 },
    ]);
  });

  it('are ends of ranges, within the number of trials; of a list those with the extremes', () => {
    const range = {
      kind: 'range' as const,
      min: 0.1,
      max: 0.9,
      scale: 'linear' as const,
      integer: false,
      count: null,
    };
    const drawn = withSmoke(
      sweepSpec({
        sweep: [{ name: 'x', domain: range }],
        search: { method: 'random', trials: 1, caseWeights: [1] },
      }),
    );
    expect(drawn).toMatchObject({ smoke: 1, search: { enqueue: [{ x: 0.9 }] } });
    expect(searchSize(drawn)).toBe(1);
    const listed = withSmoke(
      sweepSpec({ sweep: [], search: { method: 'list', points: [{ x: 2 }, { x: 1 }, { x: 3 }] } }),
    );
    expect(listed.search).toEqual({ method: 'list', enqueue: [{ x: 3 }, { x: 1 }], points: [{ x: 2 }] });
    expect(withSmoke(sweepSpec({ sweep: [], search: { method: 'list', points: [{ x: 'a' }] } })).smoke).toBe(
      undefined,
    );
  });
});

function smoking(slots: number): World {
  const world = new World();
  world.submit(withSmoke(grid()));
  world.join(trainer('a', slots));
  return world;
}

const sweepIn = (world: World) => {
  const sweep = world.state.sweeps.get('s');
  if (sweep === undefined) throw new Error('no sweep');
  return sweep;
};

/** The oldest running attempt. */
const next = (world: World) => {
  const [first] = world.running();
  if (first === undefined) throw new Error('nothing runs');
  return first;
};

describe('a smoke test', () => {
  it('runs one epoch of each point before anything else, and loses none', () => {
    const world = smoking(1);
    for (let point = 1; point <= 4; point++) {
      const start = next(world);
      expect(start.trialId).toBe(`t000${point}`);
      world.epoch(start, epochRecord(1, 0.1));
      if (point < 4) {
        expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', mode: 'pause' });
        world.end(start, 'stopped');
      }
    }
    expect(world.log.at(-1)).toMatchObject({ type: 'smoke_ended', passed: true });
    // The last one keeps its slot.
    expect(world.running().map(({ trialId }) => trialId)).toEqual(['t0004']);
    expect(sweepIn(world).trials.size).toBe(4);
    world.join(trainer('b', 5));
    expect(world.running().map(({ trialId, resumeFrom }) => [trialId, resumeFrom])).toEqual([
      ['t0004', ''],
      ['t0001', '1/1'],
      ['t0002', '1/1'],
      ['t0003', '1/1'],
      ['t0005', ''],
      ['t0006', ''],
    ]);
    const state = initialState();
    for (const event of world.log) fold(state, event);
    expect(freeze(state)).toBe(freeze(world.state));
  });

  it('pauses nobody where there are slots enough, but lets nothing else begin', () => {
    const world = smoking(6);
    expect(world.running()).toHaveLength(4);
    for (const start of world.running()) world.epoch(start, epochRecord(1, 0.1));
    expect(world.actions.filter(({ type }) => type === 'stop_attempt')).toEqual([]);
    expect(world.running()).toHaveLength(6);
  });

  it('pauses the sweep when a point fails, names it, and goes on when told so', () => {
    const world = smoking(4);
    const [first, ...others] = world.running();
    if (first === undefined) return;
    world.end(first, 'refused');
    expect(sweepIn(world).status).toBe('running');
    for (const start of others) world.epoch(start, epochRecord(1, 0.1));
    expect(sweepIn(world)).toMatchObject({
      status: 'paused',
      reason: expect.stringMatching(
        /1 of 4 extreme points failed: t0001 \(batch_size=128 depth=110\) failed/,
      ) as unknown,
    });
    for (const start of others) world.end(start, 'stopped');
    expect(world.running()).toEqual([]);
    world.feed({ type: 'control', sweepId: 's', control: 'resume', at: world.now });
    expect(world.running()).toHaveLength(4);
    expect(sweepIn(world).reason).toBe('');
  });
});
