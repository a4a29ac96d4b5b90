/** Reads the search: its method, and points that are written out, which are completed here to whole ones. */
import type { RecipeDescriptor } from '../../../proto/recipes.js';
import { addExpressions, canonicalJson, orderedExpressions, pointOf } from '../core/search/index.js';
import type { Axes, Parameters, ParameterValue, SearchSpec } from '../core/spec.js';
import { asParameter, checkName, doubt, isExpression } from './axes.js';
import type { ExpandedCase } from './conditions.js';
import type { Path } from './document.js';
import { nearest, oneOf, show, type Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';

/** What a written point is completed from. */
export interface Surroundings {
  readonly recipe: RecipeDescriptor | null;
  readonly fixed: Parameters;
  readonly maxEpochs: number;
  readonly sweep: Axes;
  readonly cases: readonly ExpandedCase[];
}

type Written = NonNullable<PartialSweepFile['search']>;

/** Whether ranges need a `count`: in a grid. @param search as the file has it, right or wrong */
export const needsCounts = (search: unknown): boolean =>
  search === undefined ||
  search === 'grid' ||
  (typeof search === 'object' && search !== null && 'method' in search && search.method === 'grid');

const shortest: Readonly<Record<Exclude<SearchSpec['method'], 'grid' | 'module'>, string>> = {
  random: 'trials: 60',
  sobol: 'trials: 64',
  list: 'points: [...]',
  tpe: 'trials: 60',
};

export function readSearch(
  written: Written | undefined,
  around: Surroundings,
  problems: Problems,
): SearchSpec {
  if (written === undefined || written === 'grid') return { method: 'grid' };
  if (typeof written === 'string') {
    problems.add({
      code: 'SPEC_MISSING_KEY',
      path: ['search'],
      message: `the search ${written} needs its ${written === 'list' ? 'points' : 'number of trials'}`,
      suggestion: `{ method: ${written}, ${shortest[written]} }`,
    });
    return { method: 'grid' };
  }
  const enqueue = readPoints(written.enqueue, ['search', 'enqueue'], around, problems);
  const isFree = written.method === 'list';
  if (!isFree) checkNames(written.enqueue, around, problems);
  const common = enqueue.length === 0 ? {} : { enqueue };
  switch (written.method) {
    case 'grid':
      return { method: 'grid', ...common };
    case 'list': {
      const queued = new Set(enqueue.map(canonicalJson));
      const points = readPoints(written.points, ['search', 'points'], around, problems);
      return {
        method: 'list',
        points: points.filter((point) => !queued.has(canonicalJson(point))),
        ...common,
      };
    }
    case 'random':
    case 'sobol':
    case 'tpe':
    case 'module':
      break;
  }
  const { trials } = written;
  const count = 1 + Math.max(0, ...around.cases.map(({ of }) => of));
  const weights =
    (written.method === 'module' ? undefined : written.case_weights) ??
    Array.from({ length: count }, () => 1);
  if (weights.length !== count) {
    problems.add({
      code: 'SPEC_VALUE',
      path: ['search', 'case_weights'],
      message: `there are ${weights.length} weights for ${count} cases`,
      expected: 'one number a case',
    });
  }
  const caseWeights = around.cases.map(({ of, share }) => (weights[of] ?? 1) * share);
  if (enqueue.length > trials) {
    problems.add({
      code: 'SPEC_VALUE',
      path: ['search', 'trials'],
      message: `${trials} trials are fewer than the ${enqueue.length} enqueued points`,
      expected: `at least ${enqueue.length}`,
    });
  }
  const drawn = { trials, caseWeights, ...common };
  if (written.method === 'random') return { method: 'random', ...drawn };
  if (written.method === 'sobol') return { method: 'sobol', scramble: written.scramble, ...drawn };
  if (written.method === 'module') {
    const { module, options } = written;
    return { method: 'module', ref: { module, hash: '', options: asParameter(options) }, ...drawn };
  }
  const { startup, candidates, gamma, warm_start: sweepId } = written;
  const warmStart = sweepId === undefined ? null : { sweepId, results: [] };
  if (startup >= trials && warmStart === null)
    problems.warn(['search', 'startup'], `with ${trials} trials the model is never asked`);
  return { method: 'tpe', startup, candidates, gamma, warmStart, ...drawn };
}

type WrittenPoint = Readonly<Record<string, unknown>>;

/** Enqueued parameters must be ones that the sweep has. */
function checkNames(
  points: readonly WrittenPoint[],
  { fixed, sweep, cases }: Surroundings,
  problems: Problems,
): void {
  const names = new Set([
    ...Object.keys(fixed),
    ...[...sweep, ...cases.flatMap(({ axes }) => axes)].map(({ name }) => name),
  ]);
  for (const [index, point] of points.entries()) {
    for (const name of Object.keys(point)) {
      if (names.has(name)) continue;
      const message = `the sweep sets no parameter \`${name}\``;
      const path = ['search', 'enqueue', index, name];
      const suggestion = nearest(name, [...names]);
      problems.add({
        code: 'SPEC_UNKNOWN_KEY',
        path,
        part: 'key',
        message,
        expected: oneOf([...names]),
        suggestion,
      });
    }
  }
}

/** Whole points, each once. */
function readPoints(
  written: readonly WrittenPoint[],
  path: Path,
  around: Surroundings,
  problems: Problems,
): Parameters[] {
  const points = new Map<string, Parameters>();
  for (const [index, raw] of written.entries()) {
    const at = [...path, index];
    const point = completed(raw, at, around, problems);
    if (point === null) continue;
    const text = canonicalJson(point);
    if (points.has(text)) problems.warn(at, 'this point stands twice; it runs once');
    else points.set(text, point);
  }
  return [...points.values()];
}

function completed(
  raw: WrittenPoint,
  path: Path,
  around: Surroundings,
  problems: Problems,
): Parameters | null {
  const { recipe, fixed, maxEpochs, sweep, cases } = around;
  const before = problems.count;
  const given = new Map<string, ParameterValue>();
  for (const [name, value] of Object.entries(raw)) {
    const at = [...path, name];
    checkName(name, at, recipe, problems);
    if (isExpression(value)) {
      const message = 'an expression stands in a point';
      problems.add({ code: 'SPEC_EXPRESSION', path: at, message, expected: 'a value' });
      continue;
    }
    const parameters = recipe?.parameters ?? {};
    const descriptor = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    given.set(name, asParameter(value));
    doubt(asParameter(value), at, descriptor, problems);
  }
  if (problems.count > before) return null;
  const branch = branchFor(given, path, around, problems);
  if (branch === null) return null;
  const axes = [...sweep, ...(cases[branch]?.axes ?? [])];
  const values = new Map(
    axes.flatMap(({ name, domain }) => (domain.kind === 'constant' ? [[name, domain.value]] : [])),
  );
  for (const [name, value] of given) values.set(name, value);
  const rest = axes.filter(({ name }) => !given.has(name));
  addExpressions({ fixed, maxEpochs }, orderedExpressions(rest), values);
  for (const { name, domain } of rest) {
    if (domain.kind !== 'expression' || values.get(name) !== null) continue;
    const message = `\`${domain.expression}\` has no value here for \`${name}\``;
    problems.add({ code: 'SPEC_EXPRESSION', path, message });
    return null;
  }
  return pointOf({ fixed, maxEpochs }, values);
}

/** The first case that a point belongs to: it gives what varies there, and nothing of another case. */
function branchFor(
  given: ReadonlyMap<string, ParameterValue>,
  path: Path,
  { sweep, cases }: Surroundings,
  problems: Problems,
): number | null {
  const faults = cases.map((branch) => {
    const axes = [...sweep, ...branch.axes];
    for (const { name, domain } of axes) {
      const value = given.get(name);
      if (
        domain.kind === 'constant' &&
        value !== undefined &&
        canonicalJson(value) !== canonicalJson(domain.value)
      )
        return `\`${name}\` is ${show(domain.value)} there`;
      if ((domain.kind === 'list' || domain.kind === 'range') && value === undefined)
        return `the point gives no value for \`${name}\``;
    }
    const own = new Set(axes.map(({ name }) => name));
    const foreign = cases
      .flatMap((other) => other.axes)
      .find(({ name }) => given.has(name) && !own.has(name));
    return foreign === undefined ? null : `\`${foreign.name}\` does not stand there`;
  });
  const found = faults.indexOf(null);
  if (found >= 0) return found;
  const [first] = faults;
  const message =
    faults.length === 1
      ? (first ?? '')
      : `the point fits no case: ${faults
          .slice(0, 3)
          .map((fault, index) => `cases[${index}]: ${fault ?? ''}`)
          .join('; ')}`;
  problems.add({ code: 'SPEC_VALUE', path, message, expected: 'a value for every parameter that varies' });
  return null;
}
