/**
 * `npm run bench -- simulation [--seeds 10000] [--from 1] [--trainers 2000] [--trials 50000] [--json]`: many seeds of
 * the simulation with faults, and one large sweep on a large fleet without.
 */
import { parseArgs } from 'node:util';
import { describeFault, minimise } from '../simulation/faults.js';
import { simulate } from '../simulation/world.js';
import { runScale } from './simulation/scale.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    trainers: { type: 'string', default: '2000' },
    trials: { type: 'string', default: '50000' },
  },
});

const scale = await runScale(Number(values.trainers), Number(values.trials));

const seeds = Number(values.seeds);
const from = Number(values.from);
const failed: { readonly seed: number; readonly violations: readonly string[]; readonly faults: string[] }[] =
  [];
let faults = 0;
let trials = 0;
let terms = 0;
let virtualMs = 0;
const begin = performance.now();
for (let seed = from; seed < from + seeds; seed += 1) {
  const run = await simulate(seed);
  faults += run.faults.length;
  trials += run.trials;
  terms += run.terms;
  virtualMs += run.virtualMs;
  if (run.violations.length === 0) continue;
  const needed = await minimise(
    run.faults,
    async (some) => (await simulate(seed, { faults: some })).violations.length > 0,
  );
  failed.push({ seed, violations: run.violations, faults: needed.map(describeFault) });
  process.stderr.write(
    `seed ${seed}: ${run.violations.join('; ')}\n  ${needed.map(describeFault).join('\n  ')}\n`,
  );
}
const seconds = (performance.now() - begin) / 1_000;
const perSecond = seeds / seconds;
const virtualHours = virtualMs / 3.6e6;

if (values.json) {
  console.log(
    JSON.stringify({
      scale,
      seeds: { seeds, faults, trials, terms, virtualHours, seconds, perSecond, failed },
    }),
  );
} else {
  console.log(
    `${scale.trainers} trainers x ${scale.trials} trials: ${scale.seconds.toFixed(1)} s (goal 60 s) for ` +
      `${(scale.virtualSeconds / 3_600).toFixed(1)} h, ${scale.inputs} inputs, ` +
      `${(scale.ledgerBytes / 1e6).toFixed(0)} MB of ledger, ${scale.ended} trials ended`,
  );
  console.log(
    `${seeds} seeds, ${faults} faults, ${trials} trials, ${terms} terms: ${failed.length} failed; ` +
      `${perSecond.toFixed(1)} seeds/s, ${virtualHours.toFixed(1)} h simulated in ${seconds.toFixed(0)} s`,
  );
}
if (failed.length > 0 || scale.ended !== scale.trials) process.exitCode = 1;
