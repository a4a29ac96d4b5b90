/**
 * The grid: every combination of the axes of `sweep` with those of one branch of `cases`, in a seeded order that is
 * computed, not stored. (In lexicographic order whole branches would wait for others, and ASHA would rank the first
 * ones among themselves.)
 *
 * No point comes twice. Within a branch all combinations differ; a point that an earlier branch holds as well belongs
 * to that one, and its position in the later branch is empty. Whether a branch holds a point is asked of its axes, so
 * this takes no memory either.
 */
import type { Axes, Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import { axisValues, type AxisValues } from './domain.js';
import { compileExpression, type Expression } from './expression.js';
import { permutation, type Permutation } from './permutation.js';

interface Branch {
  readonly axes: readonly { readonly name: string; readonly values: AxisValues }[];
  /** In an order in which each refers to earlier ones only. */
  readonly expressions: readonly { readonly name: string; readonly expression: Expression | null }[];
  /** Number of axes and expressions. */
  readonly width: number;
  readonly size: number;
}

interface Grid {
  readonly fixed: Parameters;
  readonly maxEpochs: number;
  readonly branches: readonly Branch[];
  readonly order: Permutation;
}

/** Expressions, each after those that it refers to; the members of a circle come last and have no value. */
function ordered(axes: Axes): Branch['expressions'] {
  const waiting = new Map<string, Expression | null>();
  for (const { name, domain } of axes) {
    if (domain.kind !== 'expression') continue;
    const outcome = compileExpression(domain.expression);
    waiting.set(name, 'expression' in outcome ? outcome.expression : null);
  }
  const done: { name: string; expression: Expression | null }[] = [];
  for (let before = -1; before !== done.length;) {
    before = done.length;
    for (const [name, expression] of waiting) {
      if (expression?.names.some((other) => waiting.has(other)) === true) continue;
      done.push({ name, expression });
      waiting.delete(name);
    }
  }
  return [...done, ...[...waiting.keys()].map((name) => ({ name, expression: null }))];
}

function branchOf(sweep: Axes, branch: Axes): Branch {
  const all = [...sweep, ...branch];
  const axes = all.flatMap(({ name, domain }) => {
    const values = axisValues(domain);
    return values === null ? [] : [{ name, values }];
  });
  return {
    axes,
    expressions: ordered(all),
    width: all.length,
    size: axes.reduce((product, axis) => product * axis.values.size, 1),
  };
}

const grids = new WeakMap<SweepSpec, Grid>();

function gridOf(spec: SweepSpec): Grid {
  const known = grids.get(spec);
  if (known !== undefined) return known;
  const branches = spec.cases.map((branch) => branchOf(spec.sweep, branch));
  const size = branches.reduce((sum, branch) => sum + branch.size, 0);
  const order = permutation(size, `wattsweep-grid:${spec.seed}`);
  const grid: Grid = { fixed: spec.fixed, maxEpochs: spec.maxEpochs, branches, order };
  grids.set(spec, grid);
  return grid;
}

/** The varied parameters of a branch's `rank`-th combination, first axis slowest. */
function combination(grid: Grid, branch: Branch, rank: number): Map<string, ParameterValue> {
  const values = new Map<string, ParameterValue>();
  let rest = rank;
  for (const axis of branch.axes.toReversed()) {
    const index = rest % axis.values.size;
    values.set(axis.name, axis.values.at(index));
    rest = (rest - index) / axis.values.size;
  }
  if (branch.expressions.length > 0) {
    const scope = new Map<string, ParameterValue>([
      ['max_epochs', grid.maxEpochs],
      ...Object.entries(grid.fixed),
      ...values,
    ]);
    for (const { name, expression } of branch.expressions) {
      const outcome = expression?.evaluate(scope);
      const value = outcome !== undefined && 'value' in outcome ? outcome.value : null;
      scope.set(name, value);
      values.set(name, value);
    }
  }
  return values;
}

function holds(grid: Grid, branch: Branch, point: ReadonlyMap<string, ParameterValue>): boolean {
  if (branch.width !== point.size) return false;
  for (const { name, values } of branch.axes) {
    const value = point.get(name);
    if (value === undefined || !values.has(value)) return false;
  }
  if (branch.expressions.length === 0) return true;
  const scope = new Map<string, ParameterValue>([
    ['max_epochs', grid.maxEpochs],
    ...Object.entries(grid.fixed),
    ...point,
  ]);
  return branch.expressions.every(({ name, expression }) => {
    const outcome = expression?.evaluate(scope);
    const value = outcome !== undefined && 'value' in outcome ? outcome.value : null;
    const given = point.get(name);
    return given !== undefined && canonicalJson(given) === canonicalJson(value);
  });
}

const isEmptyPosition = (grid: Grid, index: number, point: ReadonlyMap<string, ParameterValue>): boolean =>
  grid.branches.slice(0, index).some((earlier) => holds(grid, earlier, point));

/** Number of positions: combinations summed over the branches. Empty positions count. */
export const gridSize = (spec: SweepSpec): number => gridOf(spec).order.size;

/**
 * The parameters at a position of the grid's order, keys in code unit order; null for an empty position. An
 * expression that has no finite value at this point gives null for its parameter.
 *
 * @param position 0..gridSize-1
 * @throws RangeError for another position
 */
export function gridPoint(spec: SweepSpec, position: number): Parameters | null {
  const grid = gridOf(spec);
  let rank = grid.order.at(position);
  for (const [index, branch] of grid.branches.entries()) {
    if (rank >= branch.size) {
      rank -= branch.size;
      continue;
    }
    const point = combination(grid, branch, rank);
    if (isEmptyPosition(grid, index, point)) return null;
    const parameters = [...Object.entries(grid.fixed), ...point].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(parameters);
  }
  return null;
}

/** Axes of more values than this are not searched for a common one: they may overlap, then. */
const MAX_COMPARED = 10_000;

function mayOverlap(a: Branch, b: Branch): boolean {
  if (a.width !== b.width) return false;
  return a.axes.every(({ name, values }) => {
    const other = b.axes.find((axis) => axis.name === name);
    if (other === undefined) return b.expressions.some((expression) => expression.name === name);
    if (values.size > MAX_COMPARED) return true;
    for (let index = 0; index < values.size; index += 1) if (other.values.has(values.at(index))) return true;
    return false;
  });
}

/**
 * Number of points: positions that are not empty. Branches that may share points are counted through as far as
 * `maxCounted` combinations; beyond, the number is an upper bound and `exact` is false.
 */
export function countPoints(
  spec: SweepSpec,
  maxCounted = 50_000,
): { readonly points: number; readonly exact: boolean } {
  const grid = gridOf(spec);
  let points = 0;
  let left = maxCounted;
  let exact = true;
  for (const [index, branch] of grid.branches.entries()) {
    points += branch.size;
    if (!grid.branches.slice(0, index).some((earlier) => mayOverlap(branch, earlier))) continue;
    if (branch.size > left) {
      exact = false;
      continue;
    }
    left -= branch.size;
    for (let rank = 0; rank < branch.size; rank += 1) {
      if (isEmptyPosition(grid, index, combination(grid, branch, rank))) points -= 1;
    }
  }
  return { points, exact };
}
