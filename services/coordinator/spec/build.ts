/** Makes the core's `SweepSpec` of a file whose shape is right, and checks what its keys mean together. */
import { recipes, type RecipeDescriptor } from '../../../proto/recipes.js';
import { axisValues, gridOverlaps } from '../core/search/index.js';
import type { Axes, ObjectiveSpec, Parameters, SearchSpec, SweepSpec } from '../core/spec.js';
import { VARIANT } from '../core/variants.js';
import { notificationKinds } from '../core/notify/notification.js';
import { asParameter, checkName, doubt, isExpression, readAxes } from './axes.js';
import type { Path } from './document.js';
import { expandConditions } from './conditions.js';
import { checkConstraints, checkPoints } from './constraints.js';
import { checkEffort } from './effort.js';
import { checkReferences, tryExpressions } from './expressions.js';
import { readPlacement, readResources, readRetries } from './placing.js';
import { nearest, oneOf, show, type Problems } from './problems.js';
import { WEBHOOK_FORM, type PartialSweepFile } from './schema.js';
import { needsCounts, readSearch } from './search.js';
import { readStopping } from './stopping.js';
import { checkSetupTemplates, readCode, readSetup } from './program.js';
import { checkTemplates, templatesOf } from './templates.js';
import { checkVariantTemplates, readVariants, variantAxis } from './variants.js';
import { warnOfSweep } from './warnings.js';

/** Points times repeats: beyond, positions are no longer exact. */
const MAX_TRIALS = 9e15;

interface Recipe {
  readonly name: string;
  readonly command: readonly string[];
  /** Null for a command: it takes any parameter and reports any metric. */
  readonly descriptor: RecipeDescriptor | null;
}

/**
 * @param file what is sound of the content
 * @param content the whole file: a key that stands there, but not in `file`, has been reported
 * @returns null when a problem was reported, now or before
 */
export function buildSpec(
  file: PartialSweepFile,
  content: Readonly<Record<string, unknown>>,
  problems: Problems,
): SweepSpec | null {
  const variants = content['variants'] === undefined ? null : readVariants(file, content, problems);
  const recipe: Recipe | null =
    content['variants'] === undefined ? readRecipe(file, content, problems) : variants;
  const descriptor = recipe?.descriptor ?? null;
  const objective = readObjective(file, recipe, problems);
  const ofCommand = recipe?.name === 'command';
  const setup =
    variants !== null || recipe === null
      ? {}
      : readSetup(file, {
          path: [],
          recipe: ofCommand ? null : recipe.name,
          metric: file.objective?.metric ?? null,
          problems,
        });
  const runsCommand =
    ofCommand || Object.values(variants?.variants ?? {}).some(({ command }) => command.length > 0);
  const code = recipe === null ? {} : readCode(file, runsCommand, problems);
  const fixed = readFixed(file.fixed ?? {}, descriptor, problems);
  if (file.sweep !== undefined && Object.keys(file.sweep).length === 0) {
    const message = 'the map is empty';
    problems.add({
      code: 'SPEC_EMPTY_GRID',
      path: ['sweep'],
      message,
      expected: 'at least one parameter, or no `sweep`',
    });
  }
  const counted = needsCounts(content['search']);
  const readSweep = [
    ...readAxes(file.sweep ?? {}, ['sweep'], descriptor, counted, problems),
    ...(variants === null ? [] : [{ ...variantAxis(variants), when: null }]),
  ];
  const writtenCases = file.cases ?? [{}];
  const readCases = writtenCases.map((branch, index) =>
    readAxes(branch, ['cases', index], descriptor, counted, problems),
  );
  const maxEpochs = file.max_epochs ?? 1;
  const before = problems.count;
  const expanded = expandConditions(readSweep, readCases, { fixed, maxEpochs }, problems);
  const { sweep } = expanded;
  const cases = expanded.cases.map(({ axes }) => axes);
  checkTwice(file, problems);

  const shared = [
    ...Object.keys(file.fixed ?? {}),
    ...Object.keys(file.sweep ?? {}),
    ...(variants === null ? [] : [VARIANT]),
  ];
  const declared = expanded.isConditional
    ? cases.map(
        (branch) =>
          new Set([...Object.keys(file.fixed ?? {}), ...[...sweep, ...branch].map(({ name }) => name)]),
      )
    : writtenCases.map((branch) => new Set([...shared, ...Object.keys(branch)]));
  // What conditions made of faulty parts is not looked at any further.
  if (expanded.isConditional && (before > 0 || problems.count > before)) return null;
  const isWhole = (key: keyof PartialSweepFile): boolean =>
    content[key] === undefined || file[key] !== undefined;
  if (isWhole('fixed') && isWhole('sweep') && isWhole('cases')) {
    checkReferences(sweep, cases, declared, descriptor, problems);
  }
  const surroundings = { recipe: descriptor, fixed, maxEpochs, sweep, cases: expanded.cases };
  const search = readSearch(file.search, surroundings, problems);
  const listed = search.method === 'list' ? search.points.map((point) => new Set(Object.keys(point))) : null;
  const names = new Set([...declared, ...(listed ?? [])].flatMap((set) => [...set]));
  if (isWhole('fixed') && isWhole('sweep') && isWhole('cases') && isWhole('search')) {
    const holder = listed === null ? 'cases' : 'search.points';
    const everywhere = { names: listed ?? declared, holder };
    if (variants !== null) checkVariantTemplates(variants, everywhere, problems);
    else {
      checkTemplates(templatesOf(recipe?.command ?? [], ['command']), 'command', everywhere, problems);
      checkSetupTemplates(setup, everywhere, [], problems);
    }
  }
  checkConstraints(file.constraints ?? [], names, problems);
  const stopping = readStopping(file.stopping, {
    maxEpochs: file.max_epochs ?? null,
    parameters: names,
    hasTarget: content['objective'] === undefined || objective === null || objective.target !== null,
    problems,
  });
  const size = search.method === 'grid' ? sizeOf(sweep, cases) : 'trials' in search ? search.trials : 1;
  if (size * (file.repeats ?? 1) > MAX_TRIALS) {
    const message = `the search has ${size.toExponential(1)} points${file.repeats === 1 ? '' : ` and ${file.repeats ?? 1} repeats`}`;
    problems.add({
      code: 'SPEC_VALUE',
      path: ['sweep'],
      part: 'key',
      message,
      expected: 'at most 9e15 trials',
    });
  }
  if (problems.count > 0 || recipe === null || objective === null) return null;
  if (file.name === undefined || file.max_epochs === undefined) return null;

  const notify = readNotify(file, problems);
  if (problems.count > 0) return null;
  const { target } = objective;
  const limits = {
    maxSeconds: file.trial_limits?.max_seconds ?? null,
    maxEnergyWh: file.trial_limits?.max_energy_wh ?? null,
  };
  const repeats = file.repeats ?? 1;
  const placement = readPlacement(file, { search, stopping, repeats }, pointsOf(search, size), problems);
  const spec: SweepSpec = {
    name: file.name,
    recipe: recipe.name,
    command: recipe.command,
    ...setup,
    ...code,
    objective,
    levels: readLevels(file.levels ?? (target === null ? [] : [target]), problems),
    maxEpochs: file.max_epochs,
    fixed,
    sweep,
    cases,
    ...(file.constraints === undefined || file.constraints.length === 0
      ? {}
      : { constraints: file.constraints }),
    search,
    stopping,
    repeats: file.repeats ?? 1,
    seed: file.seed ?? 1,
    budget: { energyWh: file.budget?.energy_wh ?? null, hours: file.budget?.hours ?? null },
    ...(limits.maxSeconds === null && limits.maxEnergyWh === null ? {} : { trialLimits: limits }),
    resources: readResources(file),
    ...readRetries(file),
    ...placement,
    maxParallel: file.max_parallel ?? null,
    ...(file.priority === undefined ? {} : { priority: file.priority }),
    ...(variants === null ? {} : { variants: variants.variants }),
    ...notify,
  };
  checkEffort(spec, problems);
  if (problems.count > 0) return null;
  if (search.method === 'grid') checkOverlaps(spec, problems);
  checkPoints(spec, problems);
  if (problems.count > 0) return null;
  tryExpressions(spec, problems);
  if (problems.count > 0) return null;
  warnOfSweep(spec, descriptor, problems);
  return spec;
}

/** Points of the search without repeats. */
const pointsOf = (search: SearchSpec, size: number): number =>
  (search.enqueue?.length ?? 0) + (search.method === 'list' ? search.points.length : size);

function readRecipe(
  file: PartialSweepFile,
  content: Readonly<Record<string, unknown>>,
  problems: Problems,
): Recipe | null {
  const { recipe } = file;
  const command = file.command?.map(String);
  if (command !== undefined && (recipe === undefined || recipe === 'command')) {
    return content['recipe'] === undefined || recipe === 'command'
      ? { name: 'command', command, descriptor: null }
      : null;
  }
  if (command !== undefined) {
    const message = `\`command\` stands beside \`recipe: ${String(recipe)}\``;
    problems.add({ code: 'SPEC_VALUE', path: ['command'], part: 'key', message, expected: 'one of the two' });
    return null;
  }
  if (recipe === 'command') {
    if (content['command'] !== undefined) return null;
    const message = 'the recipe `command` has no `command`';
    problems.add({
      code: 'SPEC_MISSING_KEY',
      path: ['recipe'],
      message,
      expected: 'command: [program, argument, ...]',
    });
    return null;
  }
  if (recipe !== undefined) return { name: recipe, command: [], descriptor: recipes.get(recipe) ?? null };
  if (content['recipe'] === undefined && content['command'] === undefined) {
    const message = 'the key `recipe` is missing';
    problems.add({
      code: 'SPEC_MISSING_KEY',
      path: ['recipe'],
      message,
      expected: `${oneOf([...recipes.keys()])}, or a \`command\``,
    });
  }
  return null;
}

function readObjective(
  file: PartialSweepFile,
  recipe: Recipe | null,
  problems: Problems,
): ObjectiveSpec | null {
  const { objective } = file;
  if (objective === undefined || recipe === null) return null;
  const metrics =
    recipe.descriptor?.metrics.filter((metric) => !metric.lastEpochOnly && !metric.noObjective) ?? null;
  const metric = metrics?.find(({ name }) => name === objective.metric);
  if (metrics !== null && metric === undefined) {
    const names = metrics.map(({ name }) => name);
    const message = `the recipe ${recipe.name} reports no metric ${show(objective.metric)} after each epoch`;
    const suggestion = nearest(objective.metric, names);
    const path = ['objective', 'metric'];
    problems.add({ code: 'SPEC_UNKNOWN_METRIC', path, message, expected: oneOf(names), suggestion });
    return null;
  }
  const goal = objective.goal ?? metric?.goal;
  if (goal === undefined) {
    const message = 'the key `goal` is missing: of a command it is not known';
    const path = ['objective', 'goal'];
    problems.add({ code: 'SPEC_MISSING_KEY', path, message, expected: 'maximize or minimize' });
    return null;
  }
  if (metric !== undefined && metric.goal !== goal) {
    problems.warn(
      ['objective', 'goal'],
      `${goal} is unusual: ${metric.name} is better when ${metric.goal === 'maximize' ? 'large' : 'small'}`,
    );
  }
  return {
    metric: objective.metric,
    goal,
    target: objective.target ?? null,
    holdEpochs: objective.hold_epochs,
    holdTolerance: objective.hold_tolerance,
  };
}

function readFixed(
  content: Readonly<Record<string, unknown>>,
  recipe: RecipeDescriptor | null,
  problems: Problems,
): Parameters {
  const entries = Object.entries(content).map(([name, raw]) => {
    const path = ['fixed', name];
    checkName(name, path, recipe, problems);
    const value = asParameter(raw);
    const descriptor =
      recipe !== null && Object.hasOwn(recipe.parameters, name) ? recipe.parameters[name] : undefined;
    if (isExpression(value)) {
      problems.warn(path, 'this is text here; an expression stands under `sweep` or in a case');
    } else doubt(value, path, descriptor, problems);
    return [name, value] as const;
  });
  return Object.fromEntries(entries);
}

function readNotify({ notify }: PartialSweepFile, problems: Problems): Pick<SweepSpec, 'notify'> {
  if (notify === undefined) return {};
  const { webhook, on } = notify;
  if (!URL.canParse(webhook)) {
    const path = ['notify', 'webhook'];
    problems.add({ code: 'SPEC_VALUE', path, message: 'this is not a URL', expected: WEBHOOK_FORM });
  }
  return { notify: { webhook, on: notificationKinds.filter((kind) => on.includes(kind)) } };
}

/** A parameter has one place: `fixed`, `sweep` or the cases. */
function checkTwice({ fixed = {}, sweep = {}, cases = [] }: PartialSweepFile, problems: Problems): void {
  const check = (name: string, path: Path, holders: Readonly<Record<string, object>>): void => {
    for (const [holder, content] of Object.entries(holders)) {
      if (!Object.hasOwn(content, name)) continue;
      const message = `\`${name}\` stands under \`${holder}\`, too`;
      problems.add({ code: 'SPEC_VALUE', path, part: 'key', message, expected: 'one place for a parameter' });
    }
  };
  for (const name of Object.keys(sweep)) check(name, ['sweep', name], { fixed });
  for (const [index, branch] of cases.entries()) {
    for (const name of Object.keys(branch)) check(name, ['cases', index, name], { fixed, sweep });
  }
}

const sizeOf = (sweep: Axes, cases: readonly Axes[]): number => {
  const product = (axes: Axes): number =>
    axes.reduce((size, { domain }) => size * (axisValues(domain)?.size ?? 1), 1);
  return product(sweep) * cases.reduce((sum, branch) => sum + product(branch), 0);
};

function readLevels(levels: readonly number[], problems: Problems): readonly number[] {
  for (const [index, level] of levels.entries()) {
    if (levels.indexOf(level) < index) problems.warn(['levels', index], `${level} stands twice`);
  }
  return [...new Set(levels)];
}

function checkOverlaps(spec: SweepSpec, problems: Problems): void {
  for (const { branch, points } of gridOverlaps(spec)) {
    const path = ['cases', branch];
    if (points === null) {
      const message = 'this case may hold points of earlier cases, too many to compare';
      problems.add({ code: 'SPEC_VALUE', path, message, expected: 'cases that differ in a constant' });
    } else problems.warn(path, `${points} of its points stand in earlier cases, too; each runs once`);
  }
}
