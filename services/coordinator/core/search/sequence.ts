/**
 * Random and quasi-random search: an endless sequence of candidates that the seed determines, of which position p of the
 * search is the p-th that may run. A candidate may not run when a constraint forbids it, and in a finite branch when it
 * came before. So a point depends on seed and position alone, never on results or on how many trials run at a time.
 */
import type { Parameters, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import { gridPoint, gridSize, gridUnconstrained } from './grid.js';
import { branchAt, pointAtUnits, spaceOf, type Space } from './space.js';

/** Coordinates of a candidate in [0, 1): the first chooses the branch where there are several, the rest the values. */
export type Coordinates = (candidate: number) => (coordinate: number) => number;

/** Candidates in a row that may not run before the search gives up, or goes through what is left one by one. */
export const MAX_REDRAWS = 10_000;

interface Drawn {
  readonly point: Parameters;
  readonly isFinite: boolean;
}

export function draw(space: Space, coordinate: (index: number) => number): Drawn {
  const several = space.branches.length > 1;
  const branch = space.branches[several ? branchAt(space, coordinate(0)) : 0];
  if (branch === undefined) throw new Error('a sweep has at least one branch');
  const offset = several ? 1 : 0;
  return {
    point: pointAtUnits(space, branch, (dimension) => coordinate(offset + dimension)),
    isFinite: Number.isFinite(branch.size),
  };
}

/** Number of coordinates of a candidate. */
export const coordinateCount = (space: Space): number =>
  space.dimensions.length + (space.branches.length > 1 ? 1 : 0);

/** The point of a finite space at a rank of its grid; null behind the last. */
export const remaining = (finite: SweepSpec, rank: number): Parameters | null =>
  rank < gridSize(finite) ? gridPoint(finite, rank) : null;

/** Points that can be drawn, enqueued ones left out; Infinity when they cannot be counted. */
export function drawableSize(space: Space): number {
  const { finite } = space;
  return finite === null || gridUnconstrained(finite) ? Infinity : gridSize(finite);
}

/** What was accepted so far: follows from the spec, kept so that each candidate is looked at once. */
interface Progress {
  /** By position: the candidate; below 0 the rank -1 - x of the finite grid. */
  readonly accepted: number[];
  readonly issued: Set<string>;
  candidate: number;
  rank: number;
  isDone: boolean;
}

const progresses = new WeakMap<SweepSpec, Progress>();

/** The point at a position of a sequence; null when the constraints leave none, or every point came before. */
export function sequencePoint(
  spec: SweepSpec,
  position: number,
  coordinates: Coordinates,
): Parameters | null {
  const space = spaceOf(spec);
  const isPlain =
    (spec.constraints ?? []).length === 0 && space.branches.every(({ size }) => size === Infinity);
  if (isPlain) return draw(space, coordinates(position)).point;
  let progress = progresses.get(spec);
  if (progress === undefined) {
    progress = { accepted: [], issued: new Set(space.enqueued), candidate: 0, rank: 0, isDone: false };
    progresses.set(spec, progress);
  }
  while (progress.accepted.length <= position) {
    const point = advance(space, progress, coordinates);
    if (point === null) return null;
    if (progress.accepted.length > position) return point;
  }
  const accepted = progress.accepted[position] ?? 0;
  return accepted >= 0
    ? draw(space, coordinates(accepted)).point
    : space.finite === null
      ? null
      : gridPoint(space.finite, -1 - accepted);
}

/** Accepts the next point; null when there is none. */
function advance(space: Space, progress: Progress, coordinates: Coordinates): Parameters | null {
  if (progress.isDone) return null;
  for (let tries = 0; tries < MAX_REDRAWS; tries += 1) {
    const candidate = progress.candidate;
    progress.candidate += 1;
    const { point, isFinite } = draw(space, coordinates(candidate));
    if (!space.feasible(point)) continue;
    if (isFinite && !isNew(progress.issued, point)) continue;
    progress.accepted.push(candidate);
    return point;
  }
  for (let tries = 0; tries < 20 * MAX_REDRAWS && space.finite !== null; tries += 1) {
    const rank = progress.rank;
    const point = remaining(space.finite, rank);
    if (point === null) break;
    progress.rank += 1;
    if (!space.feasible(point) || !isNew(progress.issued, point)) continue;
    progress.accepted.push(-1 - rank);
    return point;
  }
  progress.isDone = true;
  return null;
}

/** Adds the point; false when it was there. */
function isNew(issued: Set<string>, point: Parameters): boolean {
  const before = issued.size;
  issued.add(canonicalJson(point));
  return issued.size > before;
}
