/**
 * Tree-structured Parzen estimator (J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011),
 * multivariate, with a constant liar: of the results so far the best share `gamma` gives the density l, the others and
 * the points that still run give g; of a few points drawn from l the one with the largest l / g runs next.
 *
 * Results are compared at one number of epochs, the most that `startup` points have reached. A point that ended before
 * ranks behind those, and the earlier the lower; one that diverged or failed ranks last and is never good.
 *
 * A proposal follows from seed, position and results. With several trials at a time it therefore depends on the order in
 * which results arrived; the ledger records both.
 */
import type { Parameters, SweepSpec, TpeSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import type { Results, SearchResult } from './method.js';
import { parzen } from './parzen.js';
import { randomCoordinates } from './random.js';
import { coordinateCount, draw, MAX_REDRAWS, remaining } from './sequence.js';
import { MAX_DIMENSIONS, sobolCoordinates } from './sobol.js';
import { placeOf, pointAtUnits, spaceOf, type Place, type Space } from './space.js';
import { stream } from './stream.js';

/** Most results that count as good, however many there are. */
const MAX_GOOD = 25;

/** Rounds of candidates, of which none may run, before the model is given up for a position. */
const MAX_ROUNDS = 20;

const texts = new WeakMap<Parameters, string>();

/** Canonical text of a trial's point, which is asked for again with each proposal. */
function textOf(parameters: Parameters): string {
  let text = texts.get(parameters);
  if (text === undefined) texts.set(parameters, (text = canonicalJson(parameters)));
  return text;
}

const isPresent = <T>(value: T | null): value is T => value !== null;

export function tpePoint(
  spec: SweepSpec,
  search: TpeSpec,
  position: number,
  results: Results,
): Parameters | null {
  const space = spaceOf(spec);
  const own = results();
  const issued = new Set(own.map(({ parameters }) => textOf(parameters)));
  const mayRun = (point: Parameters): boolean => {
    const text = canonicalJson(point);
    return space.feasible(point) && !issued.has(text) && !space.enqueued.has(text);
  };
  const earlier = warm(search).filter(({ parameters }) => placeOf(space, parameters) !== null);
  const sides = split([...earlier, ...own], search, spec.objective.goal === 'maximize' ? 1 : -1);
  const key = `wattsweep-tpe:${spec.seed}:${position}`;
  return (
    (sides === null ? startupPoint(spec, space, position, mayRun) : null) ??
    (sides === null ? null : modelPoint(space, search, sides, key, mayRun)) ??
    anyPoint(space, key, mayRun)
  );
}

/** Better results first, and apart those that only tell where not to look again. */
interface Sides {
  readonly good: readonly SearchResult[];
  readonly bad: readonly SearchResult[];
}

const warm = ({ warmStart }: TpeSpec): readonly SearchResult[] =>
  (warmStart?.results ?? []).map(({ parameters, epoch, value }) => ({
    parameters,
    status: value === null ? 'failed' : 'ended',
    lastEpoch: value === null ? 0 : epoch,
    valueAt: () => value ?? NaN,
  }));

/** Null while there are fewer results than `startup`. */
function split(results: readonly SearchResult[], { startup, gamma }: TpeSpec, sign: 1 | -1): Sides | null {
  const failed = results.filter(({ status }) => status === 'failed');
  const measured = results.filter(({ status, lastEpoch }) => status !== 'failed' && lastEpoch > 0);
  if (measured.length + failed.length < startup) return null;
  const reached = measured.map(({ lastEpoch }) => lastEpoch).sort((a, b) => b - a);
  const common = reached[Math.min(startup, reached.length) - 1] ?? Infinity;
  const ranked = measured
    .filter(({ status, lastEpoch }) => lastEpoch >= common || status === 'ended')
    .map((result) => {
      const epoch = Math.min(common, result.lastEpoch);
      return { result, epoch, value: sign * result.valueAt(epoch) };
    })
    .sort((a, b) => b.epoch - a.epoch || b.value - a.value)
    .map(({ result }) => result);
  const lies = results.filter(({ status, lastEpoch }) => status === 'open' && lastEpoch < common);
  const count = Math.min(MAX_GOOD, Math.ceil(gamma * (ranked.length + failed.length)));
  return { good: ranked.slice(0, count), bad: [...ranked.slice(count), ...failed, ...lies] };
}

/** A point of the sequence that covers the space evenly; null when it may not run. */
function startupPoint(
  spec: SweepSpec,
  space: Space,
  position: number,
  mayRun: (point: Parameters) => boolean,
): Parameters | null {
  if (coordinateCount(space) > MAX_DIMENSIONS) return null;
  const { point } = draw(space, sobolCoordinates(`wattsweep-tpe:${spec.seed}`)(position));
  return mayRun(point) ? point : null;
}

function modelPoint(
  space: Space,
  { candidates }: TpeSpec,
  { good, bad }: Sides,
  key: string,
  mayRun: (point: Parameters) => boolean,
): Parameters | null {
  const placesOf = (side: readonly SearchResult[]): Place[] =>
    side.map(({ parameters }) => placeOf(space, parameters)).filter(isPresent);
  const l = parzen(space, placesOf(good));
  const g = parzen(space, placesOf(bad));
  const next = stream(`${key}:model`);
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    let best: { readonly point: Parameters; readonly score: number } | null = null;
    for (let drawn = 0; drawn < candidates; drawn += 1) {
      const { branch, units } = l.sample(next);
      const chosen = space.branches[branch];
      if (chosen === undefined) continue;
      const point = pointAtUnits(space, chosen, (dimension) => units[dimension] ?? 0);
      const cells = chosen.dimensions.flatMap((index) => {
        const dimension = space.dimensions[index];
        const cell = dimension?.cell(point[dimension.name] ?? null) ?? null;
        return cell === null ? [] : [[index, cell] as const];
      });
      const place = { branch, cells: new Map(cells) };
      if (!mayRun(point)) continue;
      const score = l.logDensity(place) - g.logDensity(place);
      if (best === null || score > best.score) best = { point, score };
    }
    if (best !== null) return best.point;
  }
  return null;
}

/** A point drawn at random; in a finite space, where those are rare, the first that is left. */
function anyPoint(space: Space, key: string, mayRun: (point: Parameters) => boolean): Parameters | null {
  const coordinates = randomCoordinates(`${key}:any`);
  for (let candidate = 0; candidate < MAX_REDRAWS; candidate += 1) {
    const { point } = draw(space, coordinates(candidate));
    if (mayRun(point)) return point;
  }
  if (space.finite === null) return null;
  for (let rank = 0; rank < 20 * MAX_REDRAWS; rank += 1) {
    const point = remaining(space.finite, rank);
    if (point === null || mayRun(point)) return point;
  }
  return null;
}
