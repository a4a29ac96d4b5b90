/**
 * Search: which points a sweep tries, in which order. A method says which parameters stand at a position of its
 * order; the sweep's state holds how far it has come. Here live the methods and the stable names of points; nothing
 * here knows of trials, files or the clock: a method that learns is given results as plain data.
 */
import type { Parameters, SearchSpec, SweepSpec } from '../spec.js';
import { compileExpression } from './expression.js';
import { gridPoint, gridSize } from './grid.js';
import type { Results, SearchMethod } from './method.js';
import { ownPoint } from './own.js';
import { randomCoordinates } from './random.js';
import { drawableSize, sequencePoint, type Coordinates } from './sequence.js';
import { sobolCoordinates } from './sobol.js';
import { spaceOf } from './space.js';
import { tpePoint } from './tpe.js';

/** Points of a method that draws: as many as are asked for, or all that there are. */
function drawnSize(spec: SweepSpec): number {
  const { search } = spec;
  const enqueued = search.enqueue?.length ?? 0;
  const wanted = 'trials' in search ? search.trials - enqueued : 0;
  return Math.max(0, Math.min(wanted, drawableSize(spaceOf(spec))));
}

const sequences = new WeakMap<SweepSpec, Coordinates>();

function coordinatesOf(spec: SweepSpec): Coordinates {
  let coordinates = sequences.get(spec);
  if (coordinates === undefined) {
    const { search, seed } = spec;
    coordinates =
      search.method === 'sobol'
        ? sobolCoordinates(search.scramble === 'none' ? null : `wattsweep-sobol:${seed}`)
        : randomCoordinates(`wattsweep-random:${seed}`);
    sequences.set(spec, coordinates);
  }
  return coordinates;
}

const sequence = (id: string): SearchMethod => ({
  id,
  learns: false,
  size: drawnSize,
  propose: (spec, position) => sequencePoint(spec, position, coordinatesOf(spec)),
});

const listedPoints = ({ search }: SweepSpec): readonly Parameters[] =>
  search.method === 'list' ? search.points : [];

const methods: Readonly<Record<SearchSpec['method'], SearchMethod>> = {
  grid: { id: 'grid@1', learns: false, size: gridSize, propose: gridPoint },
  random: sequence('random@1'),
  sobol: sequence('sobol@1'),
  list: {
    id: 'list@1',
    learns: false,
    size: (spec) => listedPoints(spec).length,
    propose: (spec, position) => listedPoints(spec)[position] ?? null,
  },
  tpe: {
    id: 'tpe@1',
    learns: true,
    size: drawnSize,
    propose: (spec, position, results) =>
      spec.search.method === 'tpe' ? tpePoint(spec, spec.search, position, results) : null,
  },
  module: {
    id: 'module@1',
    learns: true,
    size: drawnSize,
    propose: (spec, position, results) =>
      spec.search.method === 'module' ? ownPoint(spec, spec.search, position, results) : null,
  },
};

const methodOf = (spec: SweepSpec): SearchMethod => methods[spec.search.method];

/** Number of points before those that extensions have added. */
const ownSize = (spec: SweepSpec): number => (spec.search.enqueue?.length ?? 0) + methodOf(spec).size(spec);

/** Number of points of the sweep's search, enqueued and added ones included. */
export const searchSize = (spec: SweepSpec): number => ownSize(spec) + (spec.search.added?.length ?? 0);

/** Whether proposals depend on results; then a point must be looked up, not computed a second time. */
export const searchLearns = (spec: SweepSpec): boolean => methodOf(spec).learns;

const noResults: Results = () => [];

/**
 * The parameters at a position of the search's order: enqueued points first, added ones last. Null when no further point can be found.
 *
 * @param position 0..searchSize-1
 * @param results of the points before; only methods that learn look at them. @default none
 */
export function pointAt(spec: SweepSpec, position: number, results: Results = noResults): Parameters | null {
  const { enqueue = [], added = [] } = spec.search;
  const fixed = enqueue[position] ?? (added.length === 0 ? undefined : added[position - ownSize(spec)]);
  return fixed ?? methodOf(spec).propose(spec, position - enqueue.length, results);
}

/** The points that are known before any result: the first `limit`, or up to those that `tpe` starts with, or the enqueued ones of a module. */
export function firstPoints(spec: SweepSpec, limit: number): Parameters[] {
  const { search } = spec;
  const enqueued = search.enqueue?.length ?? 0;
  // A user's module is asked only when a trial is made.
  const known =
    search.method === 'tpe'
      ? Math.max(search.startup, enqueued)
      : search.method === 'module'
        ? enqueued
        : Infinity;
  const wanted = Math.min(limit, searchSize(spec), known);
  const points: Parameters[] = [];
  while (points.length < wanted) {
    const point = pointAt(spec, points.length, () =>
      points.map((parameters) => ({ parameters, status: 'open', lastEpoch: 0, valueAt: () => NaN })),
    );
    if (point === null) break;
    points.push(point);
  }
  return points;
}

/** Every point of a search whose points are known before any result, in its order. */
export const pointsOf = (spec: SweepSpec): Parameters[] => firstPoints(spec, searchSize(spec));

/** Where `max_epochs` decides about points: the parameter or constraint that names it first; null for nowhere. */
export function namesMaxEpochs({ sweep, cases, constraints = [] }: SweepSpec): string | null {
  const texts = [
    ...[...sweep, ...cases.flat()].flatMap(({ name, domain }) =>
      domain.kind === 'expression' ? [{ name, text: domain.expression }] : [],
    ),
    ...constraints.map((text) => ({ name: `the constraint "${text}"`, text })),
  ];
  const found = texts.find(({ text }) => {
    const outcome = compileExpression(text);
    return 'expression' in outcome && outcome.expression.names.includes('max_epochs');
  });
  return found?.name ?? null;
}

/** Up to `limit` points from all over the space, for checks; never enqueued or listed ones. */
export function samplePoints(spec: SweepSpec, limit: number): Parameters[] {
  const { search } = spec;
  switch (search.method) {
    case 'grid':
      return firstPoints({ ...spec, search: { method: 'grid' } }, limit);
    case 'list':
      return [];
    case 'random':
    case 'sobol':
    case 'module':
    case 'tpe': {
      const { caseWeights } = search;
      return firstPoints({ ...spec, search: { method: 'random', trials: limit, caseWeights } }, limit);
    }
  }
}

export { withSmoke } from './corners.js';
export { canonicalJson } from './canonical.js';
export { axisValues } from './domain.js';
export { addExpressions, orderedExpressions, pointOf } from './point.js';
export { coordinateCount } from './sequence.js';
export { MAX_DIMENSIONS } from './sobol.js';
export { spaceOf } from './space.js';
export { compileExpression, expressionConstants, type Expression } from './expression.js';
export { gridOverlaps, gridUnconstrained, MAX_COMPARISONS } from './grid.js';
export { pointHash, repeatSeed } from './hash.js';
export type { Results, SearchResult } from './method.js';
