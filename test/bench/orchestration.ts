/**
 * `npm run bench -- orchestration [--only a,b,c,d,growth,start,restart,fleet] [--rounds 3] [--peer-rounds N] [--no-peer]
 * [--json] [--write]`: what Wattsweep itself costs, beside Ray Tune in the same run (`orchestration/parts.ts` says what is
 * measured and how), and how that cost grows. `--write` puts the tables into docs/benchmarks.md and the plot beside it.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { firstPoint, growth } from './orchestration/growing.js';
import { parts, python, SLOTS, type Part } from './orchestration/parts.js';
import { RAY, runRay, type Taken } from './orchestration/ray.js';
import { measureRestart } from './orchestration/restart.js';
import { Stack } from './orchestration/stack.js';
import { textOf, writeDocs, type Comparison, type Results, type Spread } from './orchestration/tables.js';
import { runScale } from './simulation/scale.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string', default: 'a,b,c,d,growth,start,restart,fleet' },
    rounds: { type: 'string', default: '3' },
    'peer-rounds': { type: 'string' },
    'no-peer': { type: 'boolean', default: false },
    trials: { type: 'string', default: '100000' },
  },
});
const wanted = new Set(options.only.split(','));
/** Far beyond what either needs on a quiet machine. */
const WITHIN_MS = 600_000;
const RESTART_TRIALS = 10_000;
const FLEET = { trainers: 2_000, trials: 50_000 };

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Goes on with the next part when one fails, and says so at the end. */
const failures: string[] = [];
async function attempt<T>(what: string, run: () => Promise<T>): Promise<T | null> {
  say(what);
  try {
    return await run();
  } catch (error) {
    failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

const spreadOf = (values: readonly number[]): Spread | null => {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[0], sorted.at(-1)];
  const middle = sorted[(sorted.length - 1) >> 1];
  return low === undefined || high === undefined || middle === undefined ? null : { low, middle, high };
};

async function ours(part: Part): Promise<number[]> {
  const measured: number[] = [];
  const stack = await Stack.start({ slots: SLOTS, allowCommands: [python] });
  try {
    // Every slot has its processes.
    await stack.run(part.sweep(part.id === 'd' ? SLOTS : 4 * SLOTS), WITHIN_MS);
    for (let round = 0; round < Number(options.rounds); round++) {
      const { seconds, trials, epochs } = await stack.run(part.sweep(part.trials.ours), WITHIN_MS);
      measured.push(part.measure({ seconds, trials, reports: epochs }));
      say(`  ours ${measured.at(-1)?.toPrecision(4) ?? ''} ${part.unit}`);
    }
  } finally {
    await stack.close();
  }
  return measured;
}

async function theirs(part: Part, buffer: number): Promise<number[]> {
  const measured: number[] = [];
  const rounds = Number(options['peer-rounds'] ?? part.peerRounds);
  for (let round = 0; round < rounds && !options['no-peer']; round++) {
    const taken: Taken = await runRay({ ...part.peer, buffer, trials: part.trials.peer }, WITHIN_MS);
    measured.push(part.measure(taken));
    say(`  Ray ${measured.at(-1)?.toPrecision(4) ?? ''} ${part.unit}`);
  }
  return measured;
}

const comparisons: Comparison[] = [];
const load = loadavg()[0] ?? NaN;
for (const part of parts.filter(({ id }) => wanted.has(id))) {
  const own = (await attempt(`(${part.id}) ${part.name}`, () => ours(part))) ?? [];
  for (const buffer of part.peer.buffers) {
    const name = buffer === 1 ? part.name : `${part.name}, Ray's results buffered by ${String(buffer)}`;
    const peer = (await attempt(`(${part.id}) Ray`, () => theirs(part, buffer))) ?? [];
    const { id, unit, goal, better } = part;
    comparisons.push({ id, name, unit, goal, better, ours: spreadOf(own), peer: spreadOf(peer) });
  }
}
const results: Results = {
  date: new Date().toISOString().slice(0, 10),
  machine: `${String(cpus().length)} cores, ${cpus()[0]?.model.trim() ?? ''}, Node ${process.versions.node}`,
  load,
  peerName: RAY,
  comparisons,
  growth: wanted.has('growth')
    ? await attempt('cost by number of trials and reports', () => growth(Number(options.trials)))
    : null,
  firstPoint: wanted.has('start')
    ? await attempt('first point of a grid of a million', () => Promise.resolve(firstPoint()))
    : null,
  restart: wanted.has('restart')
    ? await attempt('restart with a large ledger', () => measureRestart(RESTART_TRIALS, 2))
    : null,
  fleet: wanted.has('fleet')
    ? await attempt('a large fleet', () => runScale(FLEET.trainers, FLEET.trials))
    : null,
};
if (options.write) writeDocs(results);
console.log(options.json ? JSON.stringify({ ...results, failures }, null, 2) : textOf(results));
for (const failure of failures) say(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;
