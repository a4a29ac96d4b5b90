/**
 * `npm run bench -- chaos [--runs 50] [--seed 1] [--json]`: sweeps of 24 trials under kill -9 and SIGSTOP of
 * coordinators, trainers, their children and nats-server; every second one with ASHA. Exits with 1 when one of them
 * lost or doubled anything; `--seed N --runs 1` runs that schedule again.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { loadavg } from 'node:os';
import { runChaos, type ChaosResult } from '../chaos/run.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const first = Number(values.seed);
const seeds = Array.from({ length: Number(values.runs) }, (_, i) => first + i);

say('the quiet run');
const quiet = await runChaos({ seed: 0, stopping: false, events: 0 });
if (quiet.faults.length > 0) throw new Error(quiet.faults.join('\n'));

const ran: ChaosResult[] = [];
const failed: { seed: number; faults: readonly string[] }[] = [];
for (const seed of seeds) {
  const stopping = seed % 2 === 0;
  say(`seed ${seed}${stopping ? ', asha' : ''}`);
  try {
    const result = await runChaos({ seed, stopping, say });
    const faults = [...result.faults];
    if (!stopping && !isDeepStrictEqual(result.results, quiet.results))
      faults.push('the results differ from those of the quiet run');
    ran.push(result);
    if (faults.length > 0) failed.push({ seed, faults });
    for (const fault of faults) say(`  FAULT ${fault}`);
    if (faults.length > 0) say(result.words);
    say(
      `  ${result.seconds.toFixed(1)} s, term ${result.terms}, ${result.attempts} attempts: ${JSON.stringify(result.ends)}`,
    );
  } catch (error) {
    failed.push({ seed, faults: [String(error)] });
    say(`  FAULT ${String(error)}`);
  }
}

const sum = (of: (result: ChaosResult) => number): number => ran.reduce((total, one) => total + of(one), 0);
const kinds: Record<string, number> = {};
for (const { done } of ran)
  for (const what of done) {
    const kind = what.split(' ')[0] ?? '';
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
const summary = {
  runs: seeds.length,
  failed,
  quietSeconds: quiet.seconds,
  meanSeconds: sum(({ seconds }) => seconds) / ran.length,
  hits: kinds,
  attempts: sum(({ attempts }) => attempts),
  trials: 24 * ran.length,
  terms: sum(({ terms }) => terms),
  lostAttempts: sum(({ ends }) => ends['lost'] ?? 0),
  crashedAttempts: sum(({ ends }) => ends['crashed'] ?? 0),
  repeatedEpochs: sum(({ repeatedEpochs }) => repeatedEpochs),
  load: loadavg()[0],
};
if (values.json) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
else
  process.stdout.write(
    [
      `${summary.runs} runs, ${failed.length} failed${failed.length > 0 ? ` (seeds ${failed.map(({ seed }) => seed).join(' ')})` : ''}`,
      `a quiet run ${summary.quietSeconds.toFixed(1)} s, one under fire ${summary.meanSeconds.toFixed(1)} s; load ${summary.load?.toFixed(1)}`,
      `hits: ${Object.entries(kinds)
        .map(([kind, n]) => `${n} ${kind}`)
        .join(', ')}`,
      `${summary.trials} trials took ${summary.attempts} attempts (${summary.lostAttempts} lost, ${summary.crashedAttempts} crashed) and ${summary.terms} terms; ${summary.repeatedEpochs} epochs were trained again`,
      '',
    ].join('\n'),
  );
process.exitCode = failed.length > 0 ? 1 : 0;
