import { describe, expect, it } from 'vitest';
import type { SweepSpec, TrainerInfo } from '../../../services/coordinator/core/index.js';
import { box, points } from '../../support/boxes.js';
import { epochRecord, sweepSpec, World } from '../../support/core.js';

describe('blocked', () => {
  const blocked = (over: Partial<SweepSpec> = {}): SweepSpec =>
    sweepSpec({ sweep: points(6), repeats: 4, placement: 'blocked', maxEpochs: 1, ...over });

  /** Runs the sweep; boxes of model B are `slowness` times as slow. Gives what ran where, in the order of the assignments. */
  function run(spec: SweepSpec, boxes: readonly TrainerInfo[], slowness: number) {
    const world = new World();
    world.submit(spec);
    world.join(...boxes);
    let turn = 0;
    while (world.state.sweeps.get('s')!.endedAt === null && turn < 5_000) {
      turn++;
      for (const start of world.running()) {
        const { info } = world.state.trainers.get(start.trainerId)!;
        const isSlow = info.slots[0]!.deviceModel === 'B';
        if (isSlow && turn % slowness !== 0) continue;
        world.epoch(start, epochRecord(1, 0.5));
        world.end(start);
      }
      world.feed({ type: 'tick', at: world.now });
    }
    expect(world.state.sweeps.get('s')!.status).toBe('completed');
    return world.log.flatMap((event) => {
      if (event.type !== 'attempt_assigned') return [];
      const trial = world.trial(event.trialId);
      return [{ trial, model: trial.attempts[0]!.slotModel, trainerId: event.trainerId }];
    });
  }

  it('each block holds every setting once, in an order of its own, and none begins before the last is placed', () => {
    const runs = run(blocked(), [box('a', ['A']), box('b', ['B'])], 1);
    const blocks = Array.from({ length: 4 }, (_, i) => runs.slice(6 * i, 6 * i + 6));
    for (const [i, block] of blocks.entries()) {
      expect(new Set(block.map(({ trial }) => trial.repeat))).toEqual(new Set([i + 1]));
      expect(new Set(block.map(({ trial }) => trial.pointHash)).size).toBe(6);
    }
    const orders = blocks.map((block) => JSON.stringify(block.map(({ trial }) => trial.parameters['x'])));
    expect(new Set(orders).size).toBe(4);
  });

  it.each([1, 3])('no setting sits on one model, though one is %i times as slow', (slowness) => {
    const runs = run(blocked(), [box('a', ['A', 'A']), box('b', ['B']), box('c', ['B'])], slowness);
    const counts = new Map<string, number>();
    for (const { trial, model } of runs) {
      const key = `${trial.pointHash} ${model}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual(Array(12).fill(2));
  });

  it('boxes of one model take turns', () => {
    const runs = run(blocked(), [box('a', ['A']), box('b', ['A'])], 1);
    for (const x of [0, 1, 2, 3, 4, 5]) {
      const where = runs.filter(({ trial }) => trial.parameters['x'] === x).map(({ trainerId }) => trainerId);
      expect(new Set(where).size).toBe(2);
    }
  });

  it('goes on with one model when the others are gone, and leaves out what constraints forbid', () => {
    const spec = blocked({ constraints: ['x <= 3'], repeats: 2 });
    const world = new World();
    world.submit(spec);
    world.join(box('a', ['A']), box('b', ['B']));
    world.feed({ type: 'trainer_gone', trainerId: 'b', at: world.now });
    for (let i = 0; i < 100 && world.state.sweeps.get('s')!.endedAt === null; i++) {
      for (const start of world.running()) {
        world.epoch(start, epochRecord(1, 0.5));
        world.end(start);
      }
      world.feed({ type: 'tick', at: world.now });
    }
    expect(world.state.sweeps.get('s')!.status).toBe('completed');
    const settings = [...world.state.sweeps.get('s')!.trials.values()].map(
      ({ parameters }) => parameters['x'],
    );
    expect(settings.sort()).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });
});

describe('blocked, out of memory', () => {
  const small = box('small', ['S'], { memoryGb: 8 });
  const large = box('large', ['L'], { memoryGb: 24 });
  const begin = (maxParallel: number): World => {
    const world = new World();
    const design = { repeats: 2, placement: 'blocked' as const, maxParallel };
    world.submit(sweepSpec({ sweep: points(1), maxEpochs: 1, ...design }));
    world.join(small, large);
    return world;
  };
  const end = (world: World, trialId: string, endClass: 'completed' | 'out_of_memory'): string => {
    const start = world.running().find((running) => running.trialId === trialId)!;
    if (endClass === 'completed') world.epoch(start, epochRecord(1, 0.5));
    world.end(start, endClass);
    return start.trainerId;
  };

  it('fails with a sentence when every larger model has had its share of the setting', () => {
    const world = begin(1);
    expect(end(world, 't0001', 'out_of_memory')).toBe('small');
    expect(end(world, 't0001', 'completed')).toBe('large');
    expect(end(world, 't0002', 'out_of_memory')).toBe('small');
    expect(world.trial('t0002')).toMatchObject({
      state: 'failed',
      reason:
        'out_of_memory; it needs more than the 8.0 GB where it ran out, and what has more (L) has run this setting as often as its blocks allow',
    });
    expect(world.state.sweeps.get('s')!.status).toBe('completed');
  });

  it('waits while that share may still come free, and while another larger model may take it', () => {
    const world = begin(2);
    expect(world.running().map(({ trainerId }) => trainerId)).toEqual(['small', 'large']);
    end(world, 't0001', 'out_of_memory');
    expect(world.trial('t0001').state).toBe('queued');
    world.join(box('larger', ['XL'], { memoryGb: 80 }));
    end(world, 't0002', 'completed');
    expect(end(world, 't0001', 'completed')).toBe('larger');
    const other = begin(2);
    end(other, 't0001', 'out_of_memory');
    end(other, 't0002', 'completed');
    expect(other.trial('t0001').state).toBe('failed');
  });
});
