/** Doubts about a sweep that can run: each says what will probably go wrong, and what to change. */
import type { RecipeDescriptor } from '../../../proto/recipes.js';
import { axisValues, samplePoints } from '../core/search/index.js';
import type { Axes, ParameterValue, StoppingSpec, SweepSpec } from '../core/spec.js';
import { refusal } from './axes.js';
import type { Path } from './document.js';
import { branchAlone } from './expressions.js';
import { show, type Problems } from './problems.js';

/** Values of an axis, and points of the sweep, that are looked at. */
const LOOKED_AT = 300;

/** Optimizer steps of an epoch; the last batch holds what is left. */
export const stepsPerEpoch = (trainImages: number, batchSize: number): number =>
  Math.ceil(trainImages / batchSize);

export function warnOfSweep(spec: SweepSpec, recipe: RecipeDescriptor | null, problems: Problems): void {
  if (spec.budget.energyWh !== null && spec.budget.hours === null) {
    const message = 'acts only where a box reads its watts; add `hours` for the others';
    problems.warn(['budget', 'energy_wh'], message);
  }
  if (spec.trialLimits?.maxEnergyWh != null && spec.trialLimits.maxSeconds === null) {
    const message = 'acts only where a box reads its watts; add `max_seconds` for the others';
    problems.warn(['trial_limits', 'max_energy_wh'], message);
  }
  if (recipe === null) return;
  const { gpus } = spec.resources;
  if (gpus !== null && gpus > 1)
    problems.warn(
      ['resources', 'gpus'],
      `the recipe ${spec.recipe} computes on one GPU; the other ${gpus - 1} would idle`,
    );
  const seen = valuesSeen(spec);
  warnOfComputed(spec, recipe, problems);
  const { stopping } = spec;
  const looks =
    stopping.rule === 'composite'
      ? stopping.rules.map((rule, index) => firstLook(rule, ['stopping', 'rules', index]))
      : [firstLook(stopping, ['stopping'])];
  for (const look of looks) {
    if (look === null) continue;
    warnOfSchedule(spec, seen, look, problems);
    warnOfStatistics(seen, look, recipe, problems);
  }
}

interface Look {
  /** Epochs after which the rule first judges a trial. */
  readonly epochs: number;
  readonly what: string;
  /** Of the key that says so. */
  readonly path: Path;
}

function firstLook(rule: StoppingSpec, at: Path): Look | null {
  switch (rule.rule) {
    case 'asha':
      return { epochs: rule.firstRung, what: 'the first rung', path: [...at, 'first_rung'] };
    case 'threshold':
      return { epochs: rule.fromEpoch, what: 'the threshold', path: [...at, 'from_epoch'] };
    case 'median':
      return { epochs: rule.grace + 1, what: 'the median rule', path: [...at, 'grace'] };
    case 'energy_to_target':
      return {
        epochs: Math.max(rule.fromEpoch, rule.window + 1),
        what: 'the energy rule',
        path: [...at, 'from_epoch'],
      };
    case 'patience':
    case 'hyperband':
    case 'composite':
    case 'module':
    case 'none':
      return null;
  }
}

/** Values that each parameter takes on: of long axes the first ones and the last. Expressions are left out. */
function valuesSeen(spec: SweepSpec): ReadonlyMap<string, readonly ParameterValue[]> {
  const seen = new Map<string, ParameterValue[]>(
    Object.entries(spec.fixed).map(([name, value]) => [name, [value]]),
  );
  const look = (axes: Axes): void => {
    for (const { name, domain } of axes) {
      const values = axisValues(domain);
      if (values === null) continue;
      const known = seen.get(name) ?? [];
      if (domain.kind === 'range' && domain.count === null) known.push(domain.min, domain.max);
      else
        for (let index = 0; index < Math.min(values.size, LOOKED_AT); index += 1)
          known.push(values.at(index));
      if (values.size > LOOKED_AT) known.push(values.at(values.size - 1));
      seen.set(name, known);
    }
  };
  look(spec.sweep);
  for (const branch of spec.cases) look(branch);
  return seen;
}

/** Values of expressions that the recipe will refuse. */
function warnOfComputed(spec: SweepSpec, recipe: RecipeDescriptor, problems: Problems): void {
  for (const [index, branch] of spec.cases.entries()) {
    const part = branchAlone(spec, index);
    const axes = [
      ...spec.sweep.map((axis) => ({ ...axis, path: ['sweep', axis.name] })),
      ...branch.map((axis) => ({ ...axis, path: ['cases', index, axis.name] })),
    ];
    const computed = axes.filter(({ domain }) => domain.kind === 'expression');
    if (computed.length === 0) continue;
    const refused = new Map<string, number>();
    for (const point of samplePoints(part, LOOKED_AT)) {
      for (const { name, path } of computed) {
        const descriptor = recipe.parameters[name];
        const value = point[name] ?? null;
        const wanted = descriptor === undefined ? null : refusal(value, descriptor);
        if (wanted === null) continue;
        const before = refused.get(name) ?? 0;
        refused.set(name, before + 1);
        if (before === 0) problems.warn(path, `${show(value)} will be refused; the recipe takes ${wanted}`);
      }
    }
  }
}

/** Completed epochs after which the rate first drops; null when it never does, or the schedule is not known here. */
function firstDrop(schedule: ParameterValue, maxEpochs: number): number | null {
  if (typeof schedule !== 'object' || schedule === null || !('kind' in schedule)) return null;
  if (schedule.kind === 'keras-cifar10') return 81;
  const boundaries = schedule.kind === 'piecewise' && Array.isArray(schedule['at']) ? schedule['at'] : [];
  const epochs = boundaries.flatMap((at) => (typeof at === 'number' ? [at < 1 ? at * maxEpochs : at] : []));
  return epochs.length === 0 ? null : Math.min(...epochs);
}

function warnOfSchedule(
  spec: SweepSpec,
  seen: ReadonlyMap<string, readonly ParameterValue[]>,
  first: Look,
  problems: Problems,
): void {
  const drops = (seen.get('schedule') ?? []).flatMap((schedule) => firstDrop(schedule, spec.maxEpochs) ?? []);
  const late = drops.filter((drop) => drop < spec.maxEpochs && first.epochs <= drop);
  if (late.length === 0) return;
  const drop = Math.max(...late);
  const message = `${first.what} (epoch ${first.epochs}) comes before the schedule's first drop (after epoch ${drop}): trials are judged at their noisiest; take more than ${drop}`;
  problems.warn(first.path, message);
}

/**
 * Moving statistics of batch normalisation start at 0 and 1 and still hold momentum^steps of that: about 5 % after
 * 3 / (1 - momentum) steps, 300 for 0.99. Before, validation says little of the network.
 */
function warnOfStatistics(
  seen: ReadonlyMap<string, readonly ParameterValue[]>,
  first: Look,
  recipe: RecipeDescriptor,
  problems: Problems,
): void {
  const numbers = (name: string): number[] => {
    const values = seen.get(name) ?? [recipe.parameters[name]?.default];
    return values.filter((value): value is number => typeof value === 'number');
  };
  if (!Object.hasOwn(recipe.parameters, 'bn_momentum')) return;
  const momentum = Math.max(...numbers('bn_momentum'));
  const batchSize = Math.max(...numbers('batch_size'));
  const steps = first.epochs * stepsPerEpoch(Math.min(...numbers('train_images')), batchSize);
  const needed = Math.ceil(3 / (1 - momentum) - 1e-9);
  if (!(steps < needed)) return;
  const message = `${first.what} comes after ${steps} steps (batch_size ${batchSize}), but with bn_momentum ${momentum} validation says little before about ${needed}; set bn_momentum to 0.9, or look later`;
  problems.warn(first.path, message);
}
