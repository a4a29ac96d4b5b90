/**
 * `npm run bench -- energy [--json] [--seeds 20]`: what the rule `energy_to_target` saves, and whether the setting that needs
 * the fewest joules survives it. Curves are the published ones of a Tesla V100 (recipe `replay`): the trace holds when a
 * run first met each level; between those the value is taken to rise evenly. Settings start in an order drawn from the
 * seed, each on the next free of the slots, and report in the order of the clock.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { simulate, type CurveReport, type SweepSpec } from '../../services/coordinator/core/index.js';
import { loadTrace } from '../../services/trainer/runner/recipes/replay/trace.js';
import { permutation } from '../../services/coordinator/core/search/permutation.js';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seeds: { type: 'string', default: '20' } },
});
const seeds = Number(options.seeds);
const MAX_EPOCHS = 100;

interface Study {
  readonly dataset: string;
  readonly network: string;
  readonly target: number;
  readonly goal: 'maximize' | 'minimize';
  /** What an untrained network has. */
  readonly from: number;
}

const studies: readonly Study[] = [
  { dataset: 'cifar100', network: 'shufflenetv2', target: 0.6, goal: 'maximize', from: 0.01 },
  { dataset: 'librispeech', network: 'deepspeech2', target: 40, goal: 'minimize', from: 100 },
];

interface Curve {
  readonly name: string;
  readonly values: readonly number[];
  readonly seconds: number;
  readonly joules: number;
}

/** One curve a setting and power limit: those of the first run of the setting. */
function curvesOf({ dataset, network, goal, from, target }: Study): Curve[] {
  const { training, power } = loadTrace();
  const isOf = (row: { dataset: string; network: string }): boolean =>
    row.dataset === dataset && row.network === network;
  const runs = new Map<string, (typeof training)[number][]>();
  for (const row of training.filter(isOf)) {
    const key = `${row.batch_size}/${row.optimizer}/${row.lr_peak}`;
    const known = runs.get(key) ?? [];
    if (known.length === 0 || known[0]?.run === row.run) runs.set(key, [...known, row]);
  }
  return [...runs].flatMap(([key, rows]) => {
    const met = rows
      .flatMap(({ epoch, target_level: level }) => (epoch === null ? [] : [{ epoch, level }]))
      .sort((a, b) => a.epoch - b.epoch || (goal === 'maximize' ? b.level - a.level : a.level - b.level));
    const steps = met.filter(({ epoch }, i) => met.findIndex((other) => other.epoch === epoch) === i);
    const last = steps.find(({ level }) => (goal === 'maximize' ? level >= target : level <= target))?.epoch;
    const values = Array.from({ length: last ?? MAX_EPOCHS }, (_, i) => valueAt(steps, i + 1, from));
    const [first] = rows;
    return power
      .filter((row) => isOf(row) && row.batch_size === first?.batch_size && row.optimizer === first.optimizer)
      .map(({ gpu_power_limit_watts: watts, secondsPerEpoch, watts: mean }) => ({
        name: `${key}/${watts} W`,
        values,
        seconds: secondsPerEpoch,
        joules: secondsPerEpoch * mean,
      }));
  });
}

function valueAt(steps: readonly { epoch: number; level: number }[], epoch: number, from: number): number {
  const next = steps.find((step) => step.epoch >= epoch);
  const before = steps.findLast((step) => step.epoch < epoch) ?? { epoch: 0, level: from };
  if (next === undefined) return before.level;
  return before.level + ((next.level - before.level) * (epoch - before.epoch)) / (next.epoch - before.epoch);
}

/** Reports in the order of the clock. */
function reportsOf(curves: readonly Curve[], slots: number, seed: number): CurveReport[] {
  const order = permutation(curves.length, `energy:${seed}`);
  const freeAt = Array.from({ length: slots }, () => 0);
  const timed: { at: number; report: CurveReport }[] = [];
  for (let i = 0; i < curves.length; i++) {
    const curve = curves[order.at(i)];
    const slot = freeAt.indexOf(Math.min(...freeAt));
    const start = freeAt[slot] ?? 0;
    if (curve === undefined) continue;
    const { name: trial, values, seconds, joules } = curve;
    for (const [e, value] of values.entries())
      timed.push({ at: start + (e + 1) * seconds, report: { trial, epoch: e + 1, value, seconds, joules } });
    freeAt[slot] = start + values.length * seconds;
  }
  return timed.sort((a, b) => a.at - b.at).map(({ report }) => report);
}

const specOf = ({ target, goal }: Study, optimism: number, window: number): SweepSpec => ({
  name: 'energy',
  recipe: 'replay',
  command: [],
  objective: { metric: 'value', goal, target, holdEpochs: 0, holdTolerance: 0 },
  levels: [],
  maxEpochs: MAX_EPOCHS,
  fixed: {},
  sweep: [],
  cases: [[]],
  search: { method: 'grid' },
  stopping: { rule: 'energy_to_target', window, optimism, fromEpoch: 1 },
  repeats: 1,
  seed: 1,
  budget: { energyWh: null, hours: null },
  resources: { gpus: null, device: null },
  maxParallel: null,
});

interface Row {
  readonly study: string;
  readonly settings: number;
  readonly optimism: number;
  readonly window: number;
  readonly slots: number;
  /** Shares over all seeds, 0..1. */
  readonly epochsSaved: number;
  readonly energySaved: number;
  readonly timeSaved: number;
  readonly winnersSurvived: number;
  /** The least joules of a setting that came through, over those of the winner; the mean. */
  readonly bestOfSurvivors: number;
}

function measure(
  study: Study,
  curves: readonly Curve[],
  optimism: number,
  window: number,
  slots: number,
): Row {
  const reaches = ({ values }: Curve): boolean =>
    study.goal === 'maximize'
      ? (values.at(-1) ?? 0) >= study.target
      : (values.at(-1) ?? Infinity) <= study.target;
  const costOf = ({ values, joules }: Curve): number => values.length * joules;
  const winner = curves.filter(reaches).sort((a, b) => costOf(a) - costOf(b))[0];
  if (winner === undefined) throw new Error(`${study.dataset}: nobody reaches ${study.target}`);
  const sums = { epochs: [0, 0], joules: [0, 0], seconds: [0, 0], survived: 0, ratio: 0 };
  for (let seed = 1; seed <= seeds; seed++) {
    const { decisions, spent, saved } = simulate(
      specOf(study, optimism, window),
      reportsOf(curves, slots, seed),
    );
    const stopped = new Set(
      decisions
        .filter(({ rule, action }) => rule?.startsWith('energy') === true && action === 'stop')
        .map(({ trial }) => trial),
    );
    for (const axis of ['epochs', 'joules', 'seconds'] as const) {
      sums[axis][0] = (sums[axis][0] ?? 0) + (saved[axis] ?? 0);
      sums[axis][1] = (sums[axis][1] ?? 0) + (spent[axis] ?? 0) + (saved[axis] ?? 0);
    }
    if (!stopped.has(winner.name)) sums.survived++;
    const through = curves.filter((curve) => reaches(curve) && !stopped.has(curve.name)).map(costOf);
    sums.ratio += Math.min(...through) / costOf(winner);
  }
  const share = ([part = 0, whole = 1]: readonly number[]): number => part / whole;
  return {
    study: `${study.dataset}, ${study.network}, ${study.target}`,
    settings: curves.length,
    optimism,
    window,
    slots,
    epochsSaved: share(sums.epochs),
    energySaved: share(sums.joules),
    timeSaved: share(sums.seconds),
    winnersSurvived: sums.survived / seeds,
    bestOfSurvivors: sums.ratio / seeds,
  };
}

const rows = studies.flatMap((study) => {
  const curves = curvesOf(study);
  return [1, 2].flatMap((optimism) => [1, 4, 16].map((slots) => measure(study, curves, optimism, 5, slots)));
});
if (options.json) console.log(JSON.stringify(rows, null, 2));
else {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const table = new Table({
    head: [
      'study',
      'settings',
      'optimism',
      'slots',
      'epochs',
      'energy',
      'time',
      'winner survives',
      'best of survivors',
    ],
    style: { head: [] },
  });
  for (const row of rows) {
    const saved = [row.epochsSaved, row.energySaved, row.timeSaved, row.winnersSurvived].map(percent);
    table.push([row.study, row.settings, row.optimism, row.slots, ...saved, row.bestOfSurvivors.toFixed(3)]);
  }
  console.log(table.toString());
}
