/** Checks expressions against the parameters that they refer to, and tries them on points of the sweep. */
import type { RecipeDescriptor } from '../../../proto/recipes.js';
import { compileExpression, expressionConstants, samplePoints } from '../core/search/index.js';
import type { Axes, Parameters, SweepSpec } from '../core/spec.js';
import type { Path } from './document.js';
import { nearest, oneOf, show, type Problems } from './problems.js';

/** Points on which expressions are tried: of a case, at most and at least, and of all together. */
const TRIED_POINTS = { most: 300, least: 10, together: 3_000 };

interface Placed {
  readonly name: string;
  readonly text: string;
  readonly names: readonly string[];
  readonly path: Path;
}

function placed(axes: Axes, holder: Path): Placed[] {
  return axes.flatMap(({ name, domain }) => {
    if (domain.kind !== 'expression') return [];
    const compiled = compileExpression(domain.expression);
    const names = 'expression' in compiled ? compiled.expression.names : [];
    return [{ name, text: domain.expression, names, path: [...holder, name] }];
  });
}

/** Reports names that are no parameter of the point, and circles. `declared`: all names of the file, faulty ones too. */
export function checkReferences(
  sweep: Axes,
  cases: readonly Axes[],
  declared: readonly ReadonlySet<string>[],
  recipe: RecipeDescriptor | null,
  problems: Problems,
): void {
  for (const [index, branch] of cases.entries()) {
    const expressions = [...placed(sweep, ['sweep']), ...placed(branch, ['cases', index])];
    const known = declared[index] ?? new Set();
    for (const { text, names, path } of expressions) {
      for (const name of names) {
        if (known.has(name) || name === 'max_epochs' || expressionConstants.has(name)) continue;
        reportUnknown(name, text, path, [...known, 'max_epochs'], recipe, problems);
      }
    }
    reportCircle(expressions, problems);
  }
}

function reportUnknown(
  name: string,
  text: string,
  path: Path,
  known: readonly string[],
  recipe: RecipeDescriptor | null,
  problems: Problems,
): void {
  const isUnset = recipe !== null && Object.hasOwn(recipe.parameters, name);
  const message = isUnset
    ? `\`${text}\`: \`${name}\` is not set in this sweep; put it under \`fixed\``
    : `\`${text}\`: there is no parameter \`${name}\` at this point`;
  const suggestion = isUnset ? null : nearest(name, known);
  const expected = isUnset ? null : oneOf(known);
  problems.add({ code: 'SPEC_EXPRESSION', path, message, expected, suggestion });
}

function reportCircle(expressions: readonly Placed[], problems: Problems): void {
  const waiting = new Map(expressions.map((expression) => [expression.name, expression]));
  for (let before = -1; before !== waiting.size;) {
    before = waiting.size;
    for (const [name, { names }] of waiting)
      if (!names.some((other) => waiting.has(other))) waiting.delete(name);
  }
  const [first] = waiting.values();
  if (first === undefined) return;
  const chain = [first.name];
  const next = (name: string | undefined): string | undefined =>
    waiting.get(name ?? '')?.names.find((other) => waiting.has(other));
  for (let name = next(first.name); name !== undefined; name = next(name)) {
    const isClosed = chain.includes(name);
    chain.push(name);
    if (isClosed) break;
  }
  const message = `expressions refer to each other in a circle: ${chain.join(' -> ')}`;
  problems.add({ code: 'SPEC_EXPRESSION', path: first.path, message });
}

/** The sweep with one of its branches alone. */
export const branchAlone = (spec: SweepSpec, index: number): SweepSpec => ({
  ...spec,
  cases: spec.cases.slice(index, index + 1),
  search: 'caseWeights' in spec.search ? { ...spec.search, caseWeights: [1] } : spec.search,
});

/** Evaluates every expression on the first points of its case; reports those without a finite value. */
export function tryExpressions(spec: SweepSpec, problems: Problems): void {
  const { most, least, together } = TRIED_POINTS;
  const tried = Math.max(least, Math.min(most, Math.floor(together / spec.cases.length)));
  for (const [index, branch] of spec.cases.entries()) {
    const expressions = [...placed(spec.sweep, ['sweep']), ...placed(branch, ['cases', index])];
    if (expressions.length === 0) continue;
    const part = branchAlone(spec, index);
    for (const point of samplePoints(part, tried)) {
      const failed = expressions.filter(({ name }) => point[name] === null);
      for (const expression of failed) reportFailure(expression, point, spec.maxEpochs, problems);
      if (failed.length > 0) break;
    }
  }
}

function reportFailure(
  { text, names, path }: Placed,
  point: Parameters,
  maxEpochs: number,
  problems: Problems,
): void {
  const compiled = compileExpression(text);
  if (!('expression' in compiled)) return;
  const scope = new Map([['max_epochs', maxEpochs], ...Object.entries(point)]);
  const outcome = compiled.expression.evaluate(scope);
  if ('value' in outcome) return;
  const at = names.filter((name) => scope.has(name)).map((name) => `${name} = ${show(scope.get(name))}`);
  const where = at.length === 0 ? '' : ` at ${at.join(', ')}`;
  problems.add({ code: 'SPEC_EXPRESSION', path, message: `\`${text}\`: ${outcome.problem}${where}` });
}
