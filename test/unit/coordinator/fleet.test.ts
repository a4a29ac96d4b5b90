import { expect, test } from 'vitest';
import { TrainerControl } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { Leader } from '../../../services/coordinator/api/index.js';
import { controlTrainer } from '../../../services/coordinator/api/fleet.js';
import { trainer, World } from '../../support/core.js';

test('a trainer is forgotten once it is lost; before, it is said why not', async () => {
  const world = new World();
  world.join(trainer('box'));
  const leader = {
    state: world.state,
    offer: (inputs) => {
      for (const input of inputs) world.feed(input);
      return Promise.resolve();
    },
  } as Leader;
  const request = { trainerId: 'box', control: TrainerControl.FORGET, stopRunning: false };
  const forget = () => controlTrainer(leader, request, () => world.now);
  await expect(forget()).rejects.toMatchObject({ code: 'USAGE', message: /box is alive/ });
  world.feed({ type: 'trainer_gone', trainerId: 'box', at: world.now });
  expect(await forget()).toEqual({ trainer: undefined });
  await expect(forget()).rejects.toMatchObject({ code: 'TRAINER_NOT_FOUND' });
});
