/**
 * The space that a sweep's methods draw from: the branches of `cases`, each with its dimensions. A point is drawn by
 * choosing a branch by weight and then a value for each of its dimensions; equal entries of two branches are one dimension.
 */
import type { Axes, Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import { feasibility, type Feasible } from './constraints.js';
import { dimensionOf, type Cell, type Dimension } from './dimension.js';
import { MAX_SIZE } from './permutation.js';
import {
  addExpressions,
  orderedExpressions,
  pointOf,
  type Context,
  type OrderedExpressions,
} from './point.js';

export interface SpaceBranch {
  readonly constants: ReadonlyMap<string, ParameterValue>;
  /** Indices of its dimensions in the space. */
  readonly dimensions: readonly number[];
  readonly expressions: OrderedExpressions;
  /** Number of points; Infinity when a dimension is continuous. */
  readonly size: number;
  /** Positive; all of them sum to 1. */
  readonly weight: number;
}

export interface Space {
  readonly context: Context;
  readonly dimensions: readonly Dimension[];
  readonly branches: readonly SpaceBranch[];
  readonly feasible: Feasible;
  /** The same space as a grid without repetition, when it is finite and small enough to be numbered. */
  readonly finite: SweepSpec | null;
  /** Texts of the enqueued points. */
  readonly enqueued: ReadonlySet<string>;
  /** What {@link placeOf} found, by point: points of trials are asked for again with each proposal. */
  readonly places: WeakMap<Parameters, { readonly place: Place | null }>;
}

const spaces = new WeakMap<SweepSpec, Space>();

export function spaceOf(spec: SweepSpec): Space {
  let space = spaces.get(spec);
  if (space === undefined) spaces.set(spec, (space = compile(spec)));
  return space;
}

function compile(spec: SweepSpec): Space {
  const dimensions: Dimension[] = [];
  const indices = new Map<string, number>();
  const weights = 'caseWeights' in spec.search ? spec.search.caseWeights : spec.cases.map(() => 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const branches = spec.cases.map((branch, index): SpaceBranch => {
    const axes = [...spec.sweep, ...branch];
    const own = axes.flatMap(({ name, domain }) => {
      const dimension = dimensionOf(name, domain);
      if (dimension === null) return [];
      const key = `${name} ${canonicalJson({ ...domain })}`;
      const known = indices.get(key) ?? dimensions.push(dimension) - 1;
      indices.set(key, known);
      return [known];
    });
    return {
      constants: new Map(
        axes.flatMap(({ name, domain }) => (domain.kind === 'constant' ? [[name, domain.value]] : [])),
      ),
      dimensions: own,
      expressions: orderedExpressions(axes),
      size: own.reduce((product, at) => product * (dimensions[at]?.size ?? Infinity), 1),
      weight: (weights[index] ?? 1) / total,
    };
  });
  return {
    context: { fixed: spec.fixed, maxEpochs: spec.maxEpochs },
    dimensions,
    branches,
    feasible: feasibility(spec),
    finite: finiteGrid(spec, branches),
    enqueued: new Set((spec.search.enqueue ?? []).map(canonicalJson)),
    places: new WeakMap(),
  };
}

function finiteGrid(spec: SweepSpec, branches: readonly SpaceBranch[]): SweepSpec | null {
  const size = branches.reduce((sum, branch) => sum + branch.size, 0);
  if (!(size <= MAX_SIZE)) return null;
  const counted = (axes: Axes): Axes =>
    axes.map(({ name, domain }) =>
      domain.kind === 'range' && domain.count === null
        ? { name, domain: { ...domain, scale: 'linear', count: domain.max - domain.min + 1 } }
        : { name, domain },
    );
  const { enqueue = [] } = spec.search;
  return {
    ...spec,
    sweep: counted(spec.sweep),
    cases: spec.cases.map(counted),
    search: { method: 'grid', enqueue },
  };
}

/** The branch at a number in [0, 1). */
export function branchAt(space: Space, unit: number): number {
  let rest = unit;
  for (const [index, { weight }] of space.branches.entries()) {
    if (rest < weight) return index;
    rest -= weight;
  }
  return space.branches.length - 1;
}

/** The point of a branch at `unit(dimension)` of each of its dimensions. */
export function pointAtUnits(
  space: Space,
  branch: SpaceBranch,
  unit: (dimension: number) => number,
): Parameters {
  const values = new Map(branch.constants);
  for (const index of branch.dimensions) {
    const dimension = space.dimensions[index];
    if (dimension !== undefined) values.set(dimension.name, dimension.at(unit(index)));
  }
  addExpressions(space.context, branch.expressions, values);
  return pointOf(space.context, values);
}

/** Where a point lies in the space. */
export interface Place {
  readonly branch: number;
  /** By dimension of the space; those of other branches are missing. */
  readonly cells: ReadonlyMap<number, Cell>;
}

/** The place of a point; null when no branch holds it. Expressions are not compared. */
export function placeOf(space: Space, point: Parameters): Place | null {
  let known = space.places.get(point);
  if (known === undefined) space.places.set(point, (known = { place: findPlace(space, point) }));
  return known.place;
}

function findPlace(space: Space, point: Parameters): Place | null {
  const isEqual = (name: string, value: ParameterValue): boolean => {
    const given = point[name];
    return given !== undefined && canonicalJson(given) === canonicalJson(value);
  };
  if (!Object.entries(space.context.fixed).every(([name, value]) => isEqual(name, value))) return null;
  const fixed = Object.keys(space.context.fixed).length;
  for (const [index, branch] of space.branches.entries()) {
    const width = fixed + branch.constants.size + branch.dimensions.length + branch.expressions.length;
    if (Object.keys(point).length !== width) continue;
    if (![...branch.constants].every(([name, value]) => isEqual(name, value))) continue;
    const cells = new Map<number, Cell>();
    for (const at of branch.dimensions) {
      const dimension = space.dimensions[at];
      const value = dimension === undefined ? undefined : point[dimension.name];
      const cell = value === undefined ? null : (dimension?.cell(value) ?? null);
      if (cell !== null) cells.set(at, cell);
    }
    if (cells.size === branch.dimensions.length) return { branch: index, cells };
  }
  return null;
}
