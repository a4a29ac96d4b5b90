/**
 * `WATTSWEEP_SIM_SEED=1255 npx vitest run --project unit test/simulation` replays one seed; `WATTSWEEP_SIM_SEEDS=2000`
 * runs more of them than the fast subset.
 */
import { describe, expect, test } from 'vitest';
import { describeFault, drawFaults, minimise, type Fault } from './faults.js';
import { regressions } from './regressions.js';
import { simulate } from './world.js';

const one = process.env['WATTSWEEP_SIM_SEED'];
const COUNT = Number(process.env['WATTSWEEP_SIM_SEEDS'] ?? 120);
const seeds = one === undefined ? Array.from({ length: COUNT }, (_, i) => i + 1) : [Number(one)];

async function report(seed: number): Promise<string> {
  const fails = async (faults: readonly Fault[]): Promise<boolean> =>
    (await simulate(seed, { faults })).violations.length > 0;
  const faults = await minimise(drawFaults(seed), fails);
  const { violations } = await simulate(seed, { faults });
  return [
    `seed ${seed}: ${violations.join('; ')}`,
    ...faults.map((fault) => `  ${describeFault(fault)}`),
    `  WATTSWEEP_SIM_SEED=${seed} npx vitest run --project unit test/simulation`,
    `  faults: ${JSON.stringify(faults)}`,
  ].join('\n');
}

describe('whatever fails, nothing is lost, doubled or decided otherwise', () => {
  test(
    `seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const failed: string[] = [];
      for (const seed of seeds) {
        if ((await simulate(seed)).violations.length > 0) failed.push(await report(seed));
        if (failed.length >= 3) break;
      }
      expect(failed.join('\n')).toBe('');
    },
    20_000 + 1_000 * seeds.length,
  );

  test('the same seed gives the same run', async () => {
    const [a, b] = [await simulate(7), await simulate(7)];
    expect(a).toEqual(b);
    expect(a.trials).toBeGreaterThan(0);
  });

  test('a fault list is cut down to what a failure needs', async () => {
    const faults = Array.from({ length: 9 }, (_, i) => ({ ...drawFaults(3)[0]!, at: i }));
    const needs = (some: readonly Fault[]): Promise<boolean> =>
      Promise.resolve(some.some(({ at }) => at === 2) && some.some(({ at }) => at === 7));
    expect((await minimise(faults, needs)).map(({ at }) => at)).toEqual([2, 7]);
  });

  test.each(regressions)('seed $seed: $found', async ({ seed, faults }) => {
    expect((await simulate(seed, { faults, sweeps: 'plain' })).violations).toEqual([]);
  });
});
