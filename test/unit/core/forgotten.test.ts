import { describe, expect, it } from 'vitest';
import { fold, initialState } from '../../../services/coordinator/core/index.js';
import { openTrainers } from '../../../services/coordinator/core/lookups/openings.js';
import { freeze, sweepSpec, trainer, World } from '../../support/core.js';

/** Two boxes with a slot each, both at work. */
function fleet(): World {
  const world = new World();
  world.submit(sweepSpec());
  world.join(trainer('a'), trainer('b'));
  return world;
}
const forget = (world: World, trainerId: string) =>
  world.feed({
    type: 'control_trainer',
    trainerId,
    control: 'forget',
    stopRunning: false,
    at: world.now,
  });
const lose = (world: World, trainerId: string) =>
  world.feed({ type: 'trainer_gone', trainerId, at: world.now });
const order = (world: World): string[] => openTrainers(world.state).map(({ info }) => info.trainerId);

describe('a trainer that a person forgets', () => {
  it('is gone from the state once it is lost, and not before', () => {
    const world = fleet();
    expect(forget(world, 'a')).toEqual([]);
    world.feed({ type: 'trainer_silent', trainerId: 'a', at: world.now });
    expect(forget(world, 'a')).toEqual([]);
    lose(world, 'a');
    expect(forget(world, 'a')).toMatchObject([{ type: 'trainer_forgotten', trainerId: 'a' }]);
    expect([...world.state.trainers.keys()]).toEqual(['b']);
    const replayed = initialState();
    for (const event of world.log) fold(replayed, event);
    expect(freeze(replayed)).toBe(freeze(world.state));
  });

  it('leaves its trials to others, and its late words count for nothing', () => {
    const world = fleet();
    const start = world.running().find(({ trainerId }) => trainerId === 'a');
    if (start === undefined) throw new Error('nothing runs there');
    lose(world, 'a');
    forget(world, 'a');
    expect(world.end(start)).toEqual([]);
    for (let next = world.running()[0]; next !== undefined; next = world.running()[0]) world.end(next);
    expect(world.state.sweeps.get('s')?.status).toBe('completed');
  });

  it('joins as a new one when it comes back, last in the order, as from the log', () => {
    const world = new World();
    world.join(trainer('a'), trainer('b'));
    expect(order(world)).toEqual(['a', 'b']);
    world.feed({
      type: 'control_trainer',
      trainerId: 'a',
      control: 'drain',
      stopRunning: false,
      at: world.now,
    });
    lose(world, 'a');
    forget(world, 'a');
    expect(order(world)).toEqual(['b']);
    world.join(trainer('c'), trainer('a'));
    expect(world.state.trainers.get('a')?.drained).toBe(false);
    const replayed = initialState();
    for (const event of world.log) fold(replayed, event);
    expect(order(world)).toEqual(['b', 'c', 'a']);
    expect(openTrainers(replayed).map(({ info }) => info.trainerId)).toEqual(['b', 'c', 'a']);
  });
});
