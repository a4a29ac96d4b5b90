/** Checks constraints: that they can be read, name parameters of the sweep, say true or false, and leave something. */
import {
  compileExpression,
  coordinateCount,
  expressionConstants,
  firstPoints,
  gridUnconstrained,
  MAX_COMPARISONS,
  MAX_DIMENSIONS,
  samplePoints,
  searchSize,
  spaceOf,
} from '../core/search/index.js';
import type { Parameters, SweepSpec } from '../core/spec.js';
import { nearest, oneOf, show, type Problems } from './problems.js';

const TRIED_POINTS = 100;

/** @param names of all parameters that the file sets */
export function checkConstraints(
  constraints: readonly string[],
  names: ReadonlySet<string>,
  problems: Problems,
): void {
  for (const [index, text] of constraints.entries()) {
    const path = ['constraints', index];
    const compiled = compileExpression(text);
    if (!('expression' in compiled)) {
      const { problem, offset, unknownFunction, functions } = compiled;
      problems.add({
        code: 'SPEC_EXPRESSION',
        path,
        offset: offset ?? 0,
        message: `\`${text}\`: ${problem}`,
        expected: unknownFunction === null ? null : oneOf(functions),
        suggestion: unknownFunction === null ? null : nearest(unknownFunction, functions),
      });
      continue;
    }
    for (const name of compiled.expression.names) {
      if (names.has(name) || name === 'max_epochs' || expressionConstants.has(name)) continue;
      const message = `\`${text}\`: the sweep sets no parameter \`${name}\``;
      const suggestion = nearest(name, [...names]);
      problems.add({ code: 'SPEC_EXPRESSION', path, message, expected: oneOf([...names]), suggestion });
    }
  }
}

/** Checks a sweep whose parts are right: that the search has a point, and that written ones keep the constraints. */
export function checkPoints(spec: SweepSpec, problems: Problems): void {
  const { constraints = [], search } = spec;
  if (search.method === 'sobol' && coordinateCount(spaceOf(spec)) > MAX_DIMENSIONS) {
    const message = `${coordinateCount(spaceOf(spec))} dimensions vary (the choice of a case is one)`;
    problems.add({ code: 'SPEC_VALUE', path: ['search'], message, expected: `at most ${MAX_DIMENSIONS}` });
    return;
  }
  if ('trials' in search && searchSize(spec) < search.trials)
    problems.warn(['search', 'trials'], `there are only ${searchSize(spec)} points; each runs once`);
  if (constraints.length === 0) return;
  if (search.method === 'grid' && gridUnconstrained(spec)) {
    problems.add({
      code: 'SPEC_VALUE',
      path: ['constraints'],
      part: 'key',
      message: `the grid has more than ${MAX_COMPARISONS} combinations, too many to try the constraints on`,
      expected: 'a smaller grid, or `search: { method: random, trials: ... }`',
    });
    return;
  }
  const { enqueue: queue = [], ...unqueued } = search;
  const unconstrained = { ...spec, constraints: [] };
  const before = problems.count;
  for (const point of samplePoints(unconstrained, TRIED_POINTS)) {
    checkKinds(spec, point, problems);
    if (problems.count > before) return;
  }
  const written = [
    ...queue.map((point, index) => ({ point, path: ['search', 'enqueue', index] })),
    ...(search.method === 'list' ? search.points : []).map((point, index) => ({
      point,
      path: ['search', 'points', index],
    })),
  ];
  const { feasible } = spaceOf(spec);
  for (const { point, path } of written) {
    checkKinds(spec, point, problems);
    if (problems.count > before) return;
    if (feasible(point)) continue;
    const broken = constraints.find((text) => !spaceOf({ ...spec, constraints: [text] }).feasible(point));
    const message = `the point breaks the constraint \`${broken ?? ''}\``;
    problems.add({ code: 'SPEC_VALUE', path, message });
  }
  if (problems.count > before || search.method === 'module') return;
  if (firstPoints({ ...spec, search: unqueued }, 1).length > 0) return;
  const message =
    search.method === 'grid'
      ? 'no point of the grid satisfies the constraints'
      : 'no point that satisfies the constraints was found in 10,000 draws';
  problems.add({ code: 'SPEC_EMPTY_GRID', path: ['constraints'], part: 'key', message });
}

/** Reports constraints that give no truth value at a point. */
function checkKinds({ constraints = [], maxEpochs }: SweepSpec, point: Parameters, problems: Problems): void {
  const scope = new Map([['max_epochs', maxEpochs], ...Object.entries(point)]);
  for (const [index, text] of constraints.entries()) {
    const compiled = compileExpression(text);
    if (!('expression' in compiled)) continue;
    const { names } = compiled.expression;
    if (!names.every((name) => scope.has(name) || expressionConstants.has(name))) continue;
    const outcome = compiled.expression.evaluate(scope);
    if ('value' in outcome && typeof outcome.value === 'boolean') continue;
    const found = 'value' in outcome ? `it gives ${show(outcome.value)}` : outcome.problem;
    const at = names.filter((name) => scope.has(name)).map((name) => `${name} = ${show(scope.get(name))}`);
    problems.add({
      code: 'SPEC_EXPRESSION',
      path: ['constraints', index],
      message: `\`${text}\`: ${found}${at.length === 0 ? '' : ` at ${at.join(', ')}`}`,
      expected: 'true or false',
    });
  }
}
