/**
 * Conditions: a parameter with `when` exists only at the points at which it holds. They are written out as cases here, so that
 * everything behind knows branches alone: one case for each combination of what the conditions ask, and in it the parameters
 * that exist there. Combinations of one parameter that ask for the same ones share a case.
 */
import { axisValues, canonicalJson, expressionConstants, type Expression } from '../core/search/index.js';
import type { Axes, Domain, Parameters, ParameterValue } from '../core/spec.js';
import type { Path } from './document.js';
import { oneOf, show, type Problems } from './problems.js';

export interface Condition {
  readonly text: string;
  readonly expression: Expression;
  readonly path: Path;
}

export interface ReadAxis {
  readonly name: string;
  readonly domain: Domain;
  /** Null: it exists at every point of its branch. */
  readonly when: Condition | null;
}

/** A case as it stands in the sweep's spec. */
export interface ExpandedCase {
  readonly axes: Axes;
  /** Index of the written case that it comes from. */
  readonly of: number;
  /** Its part of that one's points, by the number of combinations; all parts sum to 1. */
  readonly share: number;
}

export interface Expanded {
  readonly sweep: Axes;
  readonly cases: readonly ExpandedCase[];
  /** Whether there was a condition. */
  readonly isConditional: boolean;
}

/** Cases that conditions may make, as many as a file may write. */
const MAX_CASES = 1000;

const bare = ({ name, domain }: ReadAxis): Axes[number] => ({ name, domain });

export function expandConditions(
  sweep: readonly ReadAxis[],
  cases: readonly (readonly ReadAxis[])[],
  { fixed, maxEpochs }: { readonly fixed: Parameters; readonly maxEpochs: number },
  problems: Problems,
): Expanded {
  const conditions = [...sweep, ...cases.flat()].flatMap(({ when }) => when ?? []);
  if (conditions.length === 0) {
    const plain = cases.map((branch, of) => ({ axes: branch.map(bare), of, share: 1 }));
    return { sweep: sweep.map(bare), cases: plain, isConditional: false };
  }
  const before = problems.count;
  checkNames(conditions, [...sweep, ...cases.flat()], fixed, problems);
  const asked = new Set(conditions.flatMap(({ expression }) => expression.names));
  const shared = sweep.filter(({ name, when }) => when === null && !asked.has(name));
  const moved = sweep.filter((axis) => !shared.includes(axis));
  const scope = new Map<string, ParameterValue>([['max_epochs', maxEpochs], ...Object.entries(fixed)]);
  const expanded = cases.flatMap((branch, of) =>
    problems.count > before ? [] : expandCase([...moved, ...branch], of, asked, scope, problems),
  );
  if (problems.count === before && expanded.length > MAX_CASES) {
    const message = `the conditions make ${expanded.length} cases`;
    const path = conditions[0]?.path ?? [];
    problems.add({ code: 'SPEC_VALUE', path, message, expected: `at most ${MAX_CASES}` });
  }
  return { sweep: shared.map(bare), cases: expanded, isConditional: true };
}

function checkNames(
  conditions: readonly Condition[],
  axes: readonly ReadAxis[],
  fixed: Parameters,
  problems: Problems,
): void {
  const names = [...Object.keys(fixed), ...axes.map(({ name }) => name)];
  for (const { text, expression, path } of conditions) {
    for (const name of expression.names) {
      if (name === 'max_epochs' || expressionConstants.has(name)) continue;
      const axis = axes.find((other) => other.name === name);
      if (axis === undefined && Object.hasOwn(fixed, name)) continue;
      if (axis === undefined) {
        const message = `\`${text}\`: the sweep sets no parameter \`${name}\``;
        problems.add({ code: 'SPEC_EXPRESSION', path, message, expected: oneOf(names) });
      } else if (finiteValues(axis.domain) === null) {
        const message = `\`${text}\`: \`${name}\` takes on too many values for a condition`;
        const expected = 'a list, a range with `count`, or a constant; or a constraint';
        problems.add({ code: 'SPEC_EXPRESSION', path, message, expected });
      }
    }
  }
}

/** The values of a list, a constant or a counted range; null for others and for long ones. */
function finiteValues(domain: Domain): readonly ParameterValue[] | null {
  if (domain.kind === 'expression' || (domain.kind === 'range' && domain.count === null)) return null;
  const values = axisValues(domain);
  if (values === null || values.size > MAX_CASES) return null;
  return Array.from({ length: values.size }, (_, index) => values.at(index));
}

/** One combination of what conditions ask, and the parameters beside it that exist there. */
interface Combination {
  readonly chosen: ReadonlyMap<string, ParameterValue>;
  readonly rest: readonly ReadAxis[];
}

function expandCase(
  axes: readonly ReadAxis[],
  of: number,
  asked: ReadonlySet<string>,
  scope: ReadonlyMap<string, ParameterValue>,
  problems: Problems,
): ExpandedCase[] {
  let combinations: Combination[] = [{ chosen: new Map(), rest: [] }];
  const decided = new Set<string>();
  const waiting = new Set(axes);
  while (waiting.size > 0) {
    const own = new Set([...waiting].map(({ name }) => name));
    const axis = [...waiting].find(
      ({ when }) => !(when?.expression.names.some((name) => own.has(name)) ?? false),
    );
    if (axis === undefined) {
      const [first] = [...waiting].flatMap(({ when }) => when ?? []);
      if (first !== undefined)
        problems.add({
          code: 'SPEC_EXPRESSION',
          path: first.path,
          message: `\`${first.text}\`: conditions refer to each other in a circle`,
        });
      return [];
    }
    waiting.delete(axis);
    decided.add(axis.name);
    combinations = combinations.flatMap((combination) => along(combination, axis, asked, scope, problems));
    if (combinations.length > MAX_CASES * 10) break;
  }
  return merged(combinations, of);
}

function along(
  { chosen, rest }: Combination,
  axis: ReadAxis,
  asked: ReadonlySet<string>,
  scope: ReadonlyMap<string, ParameterValue>,
  problems: Problems,
): Combination[] {
  const { name, domain, when } = axis;
  if (when !== null && !holds(when, new Map([...scope, ...chosen]), problems)) return [{ chosen, rest }];
  if (!asked.has(name)) return [{ chosen, rest: [...rest, axis] }];
  return (finiteValues(domain) ?? []).map((value) => ({ chosen: new Map([...chosen, [name, value]]), rest }));
}

/** False where a parameter that it asks for does not exist. */
function holds(
  { text, expression, path }: Condition,
  scope: ReadonlyMap<string, ParameterValue>,
  problems: Problems,
): boolean {
  if (expression.names.some((name) => !scope.has(name) && !expressionConstants.has(name))) return false;
  const outcome = expression.evaluate(scope);
  if ('value' in outcome && typeof outcome.value === 'boolean') return outcome.value;
  const found = 'value' in outcome ? `it gives ${show(outcome.value)}` : outcome.problem;
  const at = expression.names.map((name) => `${name} = ${show(scope.get(name))}`).join(', ');
  const message = `\`${text}\`: ${found}${at === '' ? '' : ` at ${at}`}`;
  problems.add({ code: 'SPEC_EXPRESSION', path, message, expected: 'true or false' });
  return false;
}

/** A case for each combination; those that differ in the value of their one chosen parameter alone are one. */
function merged(combinations: readonly Combination[], of: number): ExpandedCase[] {
  const groups = new Map<string, Combination[]>();
  for (const combination of combinations) {
    const { chosen, rest } = combination;
    const names = rest.map(({ name }) => name);
    const key =
      chosen.size === 1
        ? [...chosen.keys()]
        : [...chosen].map(([name, value]) => [name, canonicalJson(value)]);
    const text = JSON.stringify([key, names]);
    groups.set(text, [...(groups.get(text) ?? []), combination]);
  }
  return [...groups.values()].map((group): ExpandedCase => {
    const chosen = [...(group[0]?.chosen.keys() ?? [])].map((name): Axes[number] => {
      const values = [
        ...new Map(
          group.map((one) => [canonicalJson(one.chosen.get(name) ?? null), one.chosen.get(name) ?? null]),
        ).values(),
      ];
      const [only = null] = values;
      return {
        name,
        domain: values.length === 1 ? { kind: 'constant', value: only } : { kind: 'list', values },
      };
    });
    return {
      axes: [...chosen, ...(group[0]?.rest ?? []).map(bare)],
      of,
      share: group.length / combinations.length,
    };
  });
}
