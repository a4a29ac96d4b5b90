/** A trainer that is cut off from NATS, processes that stand still: nothing acts twice, nothing is lost. */
import { expect, it } from 'vitest';
import { runChaos } from '../chaos/run.js';
import { TIMES } from '../chaos/stack.js';

const { trainerTtlMs, lostAfterMs } = TIMES;

it('a trainer cut off for longer than it is waited for: its trials run elsewhere, its late words are ignored', async () => {
  const { faults, ends, lateEpochs, words } = await runChaos({
    seed: 1,
    stopping: false,
    trials: 8,
    epochs: 12,
    epochSeconds: 0.3,
    schedule: [{ kind: 'trainer_cut', at: 1_500, lastsMs: 1.8 * lostAfterMs, target: 0 }],
  });
  // Trials are whole, and no attempt acted after its end; the old children have gone.
  expect(faults, words).toEqual([]);
  expect(ends['lost']).toBeGreaterThan(0);
  // They had trained on, and nobody heard of it.
  expect(lateEpochs).toBeGreaterThan(0);
});

it('child, service and NATS stopped for longer than the TTL: every epoch arrives once, no attempt is lost', async () => {
  const lastsMs = 2.5 * trainerTtlMs;
  const { faults, ends, words } = await runChaos({
    seed: 2,
    stopping: false,
    trials: 12,
    epochs: 8,
    epochSeconds: 0.3,
    schedule: [
      { kind: 'child_freeze', at: 1_000, lastsMs, target: 0 },
      { kind: 'trainer_freeze', at: 1_200, lastsMs, target: 0 },
      // Longer than a trainer that is silent is waited for: all were silent, so none was.
      { kind: 'nats_freeze', at: 4_500, lastsMs: 1.3 * lostAfterMs, target: 0 },
    ],
  });
  expect(faults, words).toEqual([]);
  expect(ends).toEqual({ completed: 12 });
});
