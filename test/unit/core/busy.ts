/** A sweep that runs on slots of its own. */
import { sweepSpec, trainer, World } from '../../support/core.js';

export const asha = {
  rule: 'asha' as const,
  firstRung: 1,
  eta: 2,
  window: 1,
  compareWithin: [],
  brackets: 1,
};

/** A world with one sweep on as many slots as it has points. */
export function busy(over: Parameters<typeof sweepSpec>[0] = {}, slots = 3): World {
  const world = new World();
  world.submit(sweepSpec(over));
  world.join(trainer('a', slots));
  return world;
}
