import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Input } from '../../../services/coordinator/core/index.js';
import { Commander, TrainerClients } from '../../../services/coordinator/fleet/index.js';
import { sweepSpec, trainer, World } from '../../support/core.js';

test.each(['127.0.0.1:1', 'no:such:scheme://'])(
  'a box at %s that renews its record but cannot be reached gives the trial back',
  async (address) => {
    const world = new World();
    world.submit(sweepSpec());
    world.join(trainer('box', 1, { address }));
    const stop = new AbortController();
    const offered = new Promise<Input>((resolve) => {
      const commander = new Commander({
        commands: new TrainerClients(null),
        state: () => world.state,
        now: () => 1,
        offer: resolve,
        onStaleTerm: () => undefined,
        reportsTaken: () => Promise.resolve(),
        term: () => 1,
        onCommanded: () => undefined,
        log: pino({ level: 'silent' }),
        signal: stop.signal,
        startWithinMs: 150,
      });
      commander.perform(world.actions.filter(({ type }) => type === 'start_attempt'));
    });
    expect(await offered).toMatchObject({
      type: 'start_refused',
      trialId: 't0001',
      attempt: 1,
      retryable: true,
      code: 'TRAINER_UNREACHABLE',
    });
    stop.abort();
  },
  5_000,
);
