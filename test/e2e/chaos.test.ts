/**
 * A sweep while its processes are killed and stopped, twice: `npm run bench -- chaos` runs fifty.
 * `WATTSWEEP_CHAOS_SEED=7 npx vitest run --project e2e test/e2e/chaos.test.ts` runs one schedule again.
 */
import { expect, it } from 'vitest';
import { runChaos } from '../chaos/run.js';

const one = process.env['WATTSWEEP_CHAOS_SEED'];
// Between them every kind of process is killed and stopped.
const seeds = one === undefined ? [5, 8] : [Number(one)];

it.each(seeds)('seed %i: nothing is lost, doubled or left over', async (seed) => {
  const stopping = seed % 2 === 0;
  const { faults, done, words } = await runChaos({
    seed,
    stopping,
    epochs: 4,
    epochSeconds: 0.2,
    withinMs: 6_000,
  });
  expect(done.length, done.join('\n')).toBeGreaterThan(3);
  expect(faults, `seed ${seed}\n${done.join('\n')}\n${words}`).toEqual([]);
});
