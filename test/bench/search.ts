/**
 * `npm run bench -- search [--json] [--trials 60] [--seeds 20] [--at-a-time 1]`: the best value that TPE finds on standard
 * functions, against random search and against Optuna's TPE (multivariate, constant liar) on the same functions.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import type { Parameters } from '../../services/coordinator/core/spec.js';
import { sweepSpec } from '../support/core.js';
import { standardFunctions, type StandardFunction } from '../support/functions.js';
import { drawn, minimise, searchSpec } from '../support/search.js';
import { pythonWith, startPeer } from './oracles/python.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    trials: { type: 'string', default: '60' },
    seeds: { type: 'string', default: '20' },
    'at-a-time': { type: 'string', default: '1' },
  },
});
const trials = Number(options.trials);
const atATime = Number(options['at-a-time']);
const seeds = Array.from({ length: Number(options.seeds) }, (_, seed) => seed);

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2;
};

const peer = startPeer(await pythonWith(['optuna==5.0.0']), 'optuna-tpe.py');
await peer.ask();

interface Found {
  readonly regrets: readonly number[];
  readonly millisecondsATrial: number;
}

async function timed(find: (seed: number) => number | Promise<number>): Promise<Found> {
  const begin = performance.now();
  const regrets: number[] = [];
  for (const seed of seeds) regrets.push(await find(seed));
  return { regrets, millisecondsATrial: (performance.now() - begin) / seeds.length / trials };
}

const ours = (method: 'random' | 'tpe', { sweep, value, minimum }: StandardFunction): Promise<Found> =>
  timed((seed) => {
    const objective = { ...sweepSpec().objective, goal: 'minimize' as const };
    const spec = searchSpec(sweep, drawn(method, trials), { seed, objective });
    return Math.min(...minimise(spec, value, atATime)) - minimum;
  });

const theirs = ({ sweep, value, minimum }: StandardFunction): Promise<Found> =>
  timed(async (seed) => {
    let best = Infinity;
    let reply = await peer.ask({ sweep, seed, trials, atATime });
    while (typeof reply === 'object' && reply !== null && 'point' in reply) {
      const found = value(reply.point as Parameters);
      best = Math.min(best, found);
      reply = await peer.ask(found);
    }
    return best - minimum;
  });

const rows: { name: string; ours: number; peer: number; ratio: number; unit: string }[] = [];
const row = (name: string, our: number, their: number, unit: string): void => {
  rows.push({ name, ours: our, peer: their, ratio: their / our, unit });
};
for (const standard of standardFunctions) {
  const random = await ours('random', standard);
  const tpe = await ours('tpe', standard);
  const optuna = await theirs(standard);
  const unit = `median distance to the minimum after ${trials} trials`;
  row(`${standard.name}, TPE against Optuna's`, median(tpe.regrets), median(optuna.regrets), unit);
  row(`${standard.name}, TPE against random`, median(tpe.regrets), median(random.regrets), unit);
  row(`${standard.name}, time of TPE`, tpe.millisecondsATrial, optuna.millisecondsATrial, 'ms a trial');
}
peer.close();

if (options.json) {
  for (const found of rows) console.log(JSON.stringify(found));
} else {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ['name', 'ours', 'peer', 'ratio', 'unit'],
  });
  const show = (value: number): string => value.toPrecision(3);
  for (const { name, ours: our, peer: their, ratio, unit } of rows)
    table.push([name, show(our), show(their), ratio.toFixed(2), unit]);
  console.log(table.toString());
  console.log(`${seeds.length} seeds, ${atATime} at a time; ratio: how many times better ours is`);
}
