/**
 * The grid: every combination of the axes of `sweep` with those of one branch of `cases`, in a seeded order that is
 * computed, not stored. (In lexicographic order whole branches would wait for others, and ASHA would rank the first
 * ones among themselves.)
 *
 * No point comes twice. Within a branch all combinations differ; a combination that an earlier branch holds as well is
 * left out of the later one. Only branches that could share points are looked through for such combinations, and only
 * those found are remembered.
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

/** What every point of the sweep has. */
type Context = Pick<SweepSpec, 'fixed' | 'maxEpochs'>;

interface Grid extends Context {
  readonly branches: readonly Branch[];
  readonly overlaps: readonly Overlap[];
  /** Ranks of combinations that an earlier branch holds, ascending. Ranks run through the branches in turn. */
  readonly doubles: readonly number[];
  readonly order: Permutation;
}

/** A branch that holds points of earlier ones. */
export interface Overlap {
  /** Index in `cases`. */
  readonly branch: number;
  /** How many; null when it may hold some, but to find them takes more than {@link MAX_COMPARISONS}. */
  readonly points: number | null;
}

/** Comparisons of a combination with an earlier branch, of all branches together. */
const MAX_COMPARISONS = 200_000;

/** Axes of more values are not searched for common ones: they are taken to overlap. */
const MAX_COMPARED_VALUES = 10_000;

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
  const grid = compile(spec);
  grids.set(spec, grid);
  return grid;
}

function compile(spec: SweepSpec): Grid {
  const branches = spec.cases.map((branch) => branchOf(spec.sweep, branch));
  const context = { fixed: spec.fixed, maxEpochs: spec.maxEpochs };
  const overlaps: Overlap[] = [];
  const doubles: number[] = [];
  let budget = MAX_COMPARISONS;
  let begin = 0;
  for (const [index, branch] of branches.entries()) {
    const earlier = branches.slice(0, index).filter((other) => mayOverlap(branch, other));
    const cost = branch.size * earlier.length;
    if (cost > budget) overlaps.push({ branch: index, points: null });
    else if (earlier.length > 0) {
      budget -= cost;
      const before = doubles.length;
      for (let rank = 0; rank < branch.size; rank += 1) {
        const point = combination(context, branch, rank);
        if (earlier.some((other) => holds(context, other, point))) doubles.push(begin + rank);
      }
      if (doubles.length > before) overlaps.push({ branch: index, points: doubles.length - before });
    }
    begin += branch.size;
  }
  const order = permutation(begin - doubles.length, `wattsweep-grid:${spec.seed}`);
  return { ...context, branches, overlaps, doubles, order };
}

/** The varied parameters of a branch's `rank`-th combination, first axis slowest. */
function combination(grid: Context, branch: Branch, rank: number): Map<string, ParameterValue> {
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

function holds(grid: Context, branch: Branch, point: ReadonlyMap<string, ParameterValue>): boolean {
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

function mayOverlap(a: Branch, b: Branch): boolean {
  if (a.width !== b.width) return false;
  return a.axes.every(({ name, values }) => {
    const other = b.axes.find((axis) => axis.name === name);
    if (other === undefined) return b.expressions.some((expression) => expression.name === name);
    if (values.size > MAX_COMPARED_VALUES) return true;
    for (let index = 0; index < values.size; index += 1) if (other.values.has(values.at(index))) return true;
    return false;
  });
}

/** The `index`-th rank that is not among `doubles`. */
function withoutDoubles(doubles: readonly number[], index: number): number {
  let low = 0;
  let high = doubles.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((doubles[middle] ?? Infinity) - middle <= index) low = middle + 1;
    else high = middle;
  }
  return index + low;
}

/** Number of points: combinations summed over the branches, each point counted once. */
export const gridSize = (spec: SweepSpec): number => gridOf(spec).order.size;

/** Branches that hold points of earlier ones, or may do so. */
export const gridOverlaps = (spec: SweepSpec): readonly Overlap[] => gridOf(spec).overlaps;

/**
 * The parameters at a position of the grid's order, keys in code unit order. An expression that has no finite value
 * at this point gives null for its parameter.
 *
 * @param position 0..gridSize-1
 * @throws RangeError for another position
 */
export function gridPoint(spec: SweepSpec, position: number): Parameters {
  const grid = gridOf(spec);
  let rank = withoutDoubles(grid.doubles, grid.order.at(position));
  for (const branch of grid.branches) {
    if (rank < branch.size) {
      const entries = [...Object.entries(grid.fixed), ...combination(grid, branch, rank)];
      return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    rank -= branch.size;
  }
  throw new RangeError(`position ${position} lies behind the last branch`);
}
