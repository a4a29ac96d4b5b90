/** The interface of a search method, and what a method that learns is told of earlier points. */
import type { Parameters, SweepSpec } from '../spec.js';

/** What became of a point, as far as it is known. Values are the objective's own, not negated. */
export interface SearchResult {
  readonly parameters: Parameters;
  /** `open`: it runs or waits; `failed`: it diverged or could not run; `ended`: anything else. */
  readonly status: 'open' | 'ended' | 'failed';
  /** Last epoch with a finite objective; 0 for none. */
  readonly lastEpoch: number;
  /** The objective at the last report up to `epoch`, which is not before the first one. */
  readonly valueAt: (epoch: number) => number;
}

/** Makes the results, in the order in which the points were proposed; costly, so only called by methods that learn. */
export type Results = () => readonly SearchResult[];

/**
 * A search method. Pure: all that it knows is in the arguments, so that the ledger alone gives its state. What it
 * remembers between calls are only values that the spec determines.
 */
export interface SearchMethod {
  /** Name and version, e.g. `grid@1`. */
  readonly id: string;
  /** Whether proposals depend on results. Those of other methods are the same at any degree of parallelism. */
  readonly learns: boolean;
  /** Number of points, enqueued ones left out. */
  size(spec: SweepSpec): number;
  /**
   * The parameters at a position of the method's order, from 0 on. Different positions give different points, and none
   * that is enqueued. Null when no further point can be found.
   */
  propose(spec: SweepSpec, position: number, results: Results): Parameters | null;
}
