/**
 * The grid: every combination of the axes of `sweep` with those of one branch of `cases`, in a seeded order that is
 * computed, not stored. (In lexicographic order whole branches would wait for others, and ASHA would rank the first
 * ones among themselves.)
 *
 * No point comes twice. Within a branch all combinations differ; a combination that an earlier branch holds as well is
 * left out of the later one. Only branches that could share points are looked through for such combinations, and only
 * those found are remembered. Enqueued points, which run before, are left out, too, and so is what a constraint forbids.
 */
import type { Axes, Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import { feasibility } from './constraints.js';
import { axisValues, type AxisValues } from './domain.js';
import { permutation, type Permutation } from './permutation.js';
import {
  addExpressions,
  orderedExpressions,
  pointOf,
  scopeOf,
  type Context,
  type OrderedExpressions,
} from './point.js';

interface Branch {
  readonly axes: readonly { readonly name: string; readonly values: AxisValues }[];
  readonly expressions: OrderedExpressions;
  /** Number of axes and expressions. */
  readonly width: number;
  readonly size: number;
}

interface Grid extends Context {
  readonly branches: readonly Branch[];
  readonly overlaps: readonly Overlap[];
  /** Whether the constraints were left aside: there are too many combinations to try. */
  readonly unconstrained: boolean;
  /** Ranks of combinations that do not run, ascending. Ranks run through the branches in turn. */
  readonly skipped: readonly number[];
  readonly order: Permutation;
}

/** A branch that holds points of earlier ones. */
export interface Overlap {
  /** Index in `cases`. */
  readonly branch: number;
  /** How many; null when it may hold some, but to find them takes more than {@link MAX_COMPARISONS}. */
  readonly points: number | null;
}

/** Comparisons of a combination with an earlier branch, of all branches together; combinations tried for constraints. */
export const MAX_COMPARISONS = 200_000;

/** Axes of more values are not searched for common ones: they are taken to overlap. */
const MAX_COMPARED_VALUES = 10_000;

function branchOf(sweep: Axes, branch: Axes): Branch {
  const all = [...sweep, ...branch];
  const axes = all.flatMap(({ name, domain }) => {
    const values = axisValues(domain);
    return values === null ? [] : [{ name, values }];
  });
  return {
    axes,
    expressions: orderedExpressions(all),
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
  const { overlaps, doubles } = overlapping(context, branches);
  const size = branches.reduce((sum, branch) => sum + branch.size, 0);
  const isConstrained = (spec.constraints ?? []).length > 0;
  const unconstrained = isConstrained && size > MAX_COMPARISONS;
  const skipped = new Set(doubles);
  for (const point of spec.search.enqueue ?? []) {
    const rank = rankOf(context, branches, point);
    if (rank !== null) skipped.add(rank);
  }
  if (isConstrained && !unconstrained)
    for (const rank of infeasible(spec, context, branches)) skipped.add(rank);
  const sorted = Float64Array.from(skipped).sort();
  const order = permutation(size - sorted.length, `wattsweep-grid:${spec.seed}`);
  return { ...context, branches, overlaps, unconstrained, skipped: Array.from(sorted), order };
}

/** Combinations that earlier branches hold as well. */
function overlapping(
  context: Context,
  branches: readonly Branch[],
): { readonly overlaps: readonly Overlap[]; readonly doubles: readonly number[] } {
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
        if (earlier.some((other) => rankIn(context, other, point) !== null)) doubles.push(begin + rank);
      }
      if (doubles.length > before) overlaps.push({ branch: index, points: doubles.length - before });
    }
    begin += branch.size;
  }
  return { overlaps, doubles };
}

/** Ranks of combinations that a constraint forbids. */
function* infeasible(spec: SweepSpec, context: Context, branches: readonly Branch[]): Generator<number> {
  const feasible = feasibility(spec);
  let begin = 0;
  for (const branch of branches) {
    for (let rank = 0; rank < branch.size; rank += 1)
      if (!feasible(pointOf(context, combination(context, branch, rank)))) yield begin + rank;
    begin += branch.size;
  }
}

/** The rank of a whole point in the first branch that holds it; null when none does. */
function rankOf(context: Context, branches: readonly Branch[], point: Parameters): number | null {
  const { fixed } = context;
  const same = Object.entries(fixed).every(
    ([name, value]) =>
      Object.hasOwn(point, name) && canonicalJson(point[name] ?? null) === canonicalJson(value),
  );
  if (!same) return null;
  const varied = new Map(Object.entries(point).filter(([name]) => !Object.hasOwn(fixed, name)));
  let begin = 0;
  for (const branch of branches) {
    const rank = rankIn(context, branch, varied);
    if (rank !== null) return begin + rank;
    begin += branch.size;
  }
  return null;
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
  addExpressions(grid, branch.expressions, values);
  return values;
}

/** The rank of the varied parameters `point` in a branch; null when it does not hold them. */
function rankIn(grid: Context, branch: Branch, point: ReadonlyMap<string, ParameterValue>): number | null {
  if (branch.width !== point.size) return null;
  let rank = 0;
  for (const { name, values } of branch.axes) {
    const value = point.get(name);
    const index = value === undefined ? -1 : values.indexOf(value);
    if (index < 0) return null;
    rank = rank * values.size + index;
  }
  if (branch.expressions.length === 0) return rank;
  const scope = scopeOf(grid, point);
  const computed = branch.expressions.every(({ name, expression }) => {
    const outcome = expression?.evaluate(scope);
    const value = outcome !== undefined && 'value' in outcome ? outcome.value : null;
    const given = point.get(name);
    return given !== undefined && canonicalJson(given) === canonicalJson(value);
  });
  return computed ? rank : null;
}

function mayOverlap(a: Branch, b: Branch): boolean {
  if (a.width !== b.width) return false;
  return a.axes.every(({ name, values }) => {
    const other = b.axes.find((axis) => axis.name === name);
    if (other === undefined) return b.expressions.some((expression) => expression.name === name);
    if (values.size > MAX_COMPARED_VALUES) return true;
    for (let index = 0; index < values.size; index += 1)
      if (other.values.indexOf(values.at(index)) >= 0) return true;
    return false;
  });
}

/** The `index`-th rank that is not among `skipped`. */
function withoutSkipped(skipped: readonly number[], index: number): number {
  let low = 0;
  let high = skipped.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((skipped[middle] ?? Infinity) - middle <= index) low = middle + 1;
    else high = middle;
  }
  return index + low;
}

/** Number of points: combinations summed over the branches, each point counted once, skipped ones left out. */
export const gridSize = (spec: SweepSpec): number => gridOf(spec).order.size;

/** Branches that hold points of earlier ones, or may do so. */
export const gridOverlaps = (spec: SweepSpec): readonly Overlap[] => gridOf(spec).overlaps;

/** True when more than {@link MAX_COMPARISONS} combinations would have to be tried for the constraints. */
export const gridUnconstrained = (spec: SweepSpec): boolean => gridOf(spec).unconstrained;

/**
 * The parameters at a position of the grid's order, keys in code unit order. An expression that has no finite value
 * at this point gives null for its parameter.
 *
 * @param position 0..gridSize-1
 * @throws RangeError for another position
 */
export function gridPoint(spec: SweepSpec, position: number): Parameters {
  const grid = gridOf(spec);
  let rank = withoutSkipped(grid.skipped, grid.order.at(position));
  for (const branch of grid.branches) {
    if (rank < branch.size) {
      return pointOf(grid, combination(grid, branch, rank));
    }
    rank -= branch.size;
  }
  throw new RangeError(`position ${position} lies behind the last branch`);
}
