/**
 * Search: which points a sweep tries, in which order. A method says which parameters stand at a position of its
 * order; the sweep's state holds how far it has come. Here live the methods and the stable names of points; nothing
 * here knows of trials, files or the clock.
 */
import type { Parameters, SearchSpec, SweepSpec } from '../spec.js';
import { gridPoint, gridSize } from './grid.js';

/**
 * A search method. Pure: the same spec and position give the same parameters. A method that learns from results will
 * get its state, plain data inside the snapshot, as a further argument.
 */
export interface SearchMethod {
  /** Name and version, e.g. `grid@1`. */
  readonly id: string;
  /** Number of points; null when the method can go on for ever. */
  size(spec: SweepSpec): number | null;
  /** The parameters at a position of the method's order, from 0 on. Different positions give different points. */
  propose(spec: SweepSpec, position: number): Parameters;
}

const methods: Readonly<Record<SearchSpec['method'], SearchMethod>> = {
  grid: { id: 'grid@1', size: gridSize, propose: gridPoint },
};

/** Number of points that the sweep's search proposes; Infinity for a method without an end. */
export const searchSize = (spec: SweepSpec): number => methods[spec.search.method].size(spec) ?? Infinity;

/** The parameters at a position of the search's order. @throws RangeError outside 0..searchSize-1 */
export const pointAt = (spec: SweepSpec, position: number): Parameters =>
  methods[spec.search.method].propose(spec, position);

export { canonicalJson } from './canonical.js';
export { axisValues } from './domain.js';
export { compileExpression, expressionConstants } from './expression.js';
export { gridOverlaps } from './grid.js';
export { pointHash, repeatSeed } from './hash.js';
