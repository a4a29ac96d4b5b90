/** What an extension makes of a sweep's spec: more points, repeats or epochs, and nothing else. */
import { WattsweepError } from '../../../proto/errors.js';
import type { ExtendSweepRequest } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { namesMaxEpochs, pointHash, pointsOf, searchSize } from '../core/search/index.js';
import type { Parameters, SearchSpec, SweepSpec } from '../core/index.js';
import { compareSpecs, differenceText, parseSweepFile, type SpecDifference } from '../spec/index.js';

export interface Extension {
  readonly spec: SweepSpec;
  /** In words. */
  readonly change: string;
}

/** As the sweep file's limits. */
const MOST = { trials: 10_000_000, tpeTrials: 10_000, repeats: 1_000, maxEpochs: 1_000_000 };

/** Points of two grids or lists that are held against each other. */
const MAX_COMPARED_POINTS = 10_000;

/** @throws SPEC_*, EXTENSION_REFUSED */
export function extensionOf(spec: SweepSpec, request: ExtendSweepRequest): Extension {
  const { yaml, overrides } = request;
  if (yaml === '' && overrides.length > 0) throw refused('overrides are of a file, and none is given');
  const file = yaml === '' ? null : withKnownHashes(parseSweepFile(yaml, { overrides }).spec, spec);
  const wanted = {
    trials: request.trials ?? trialsOf(file?.search ?? null),
    repeats: request.repeats ?? file?.repeats ?? spec.repeats,
    maxEpochs: request.maxEpochs ?? file?.maxEpochs ?? spec.maxEpochs,
  };
  const changes: string[] = [];
  let search = spec.search;
  if (file !== null) {
    refuseOtherChanges(spec, file);
    const added = addedPoints(spec, file);
    if (added.length > 0) {
      changes.push(`${added.length} ${added.length === 1 ? 'point' : 'points'} added`);
      search = { ...search, added: [...(search.added ?? []), ...added] };
    }
  }
  if (wanted.trials !== null && wanted.trials !== trialsOf(search)) {
    const { method } = search;
    if (!('trials' in search))
      throw refused(
        `the search is a ${method}, which runs all its points: add some to the file, and extend by --file`,
      );
    changes.push(
      rise('trials', search.trials, wanted.trials, method === 'tpe' ? MOST.tpeTrials : MOST.trials),
    );
    search = { ...search, trials: wanted.trials };
  }
  if (search !== spec.search && spec.placement === 'blocked')
    throw refused('each block of a blocked sweep holds all its points: extend its repeats instead');
  if (wanted.repeats !== spec.repeats)
    changes.push(rise('repeats', spec.repeats, wanted.repeats, MOST.repeats));
  if (wanted.maxEpochs !== spec.maxEpochs) {
    refuseLonger(spec);
    changes.push(rise('max_epochs', spec.maxEpochs, wanted.maxEpochs, MOST.maxEpochs));
  }
  if (spec.placement === 'blocked' && searchSize({ ...spec, search }) !== searchSize(spec))
    throw refused('the order within its blocks follows from the number of points, so it keeps its own');
  if (changes.length === 0) throw refused('nothing is asked for that the sweep does not have already');
  const { repeats, maxEpochs } = wanted;
  return { spec: { ...spec, search, repeats, maxEpochs }, change: changes.join(', ') };
}

/** What differs between a sweep and a file; after an extension by points, the points count, not how they are written. */
export function compareWithFile(spec: SweepSpec, file: SweepSpec): SpecDifference[] {
  const differences = compareSpecs(spec, withKnownHashes(file, spec));
  if (spec.search.added === undefined || !differences.some(isOfPoints)) return differences;
  const isSame = samePoints(spec, file);
  return differences.filter((difference) => !isSame || !isOfPoints(difference));
}

/** A file does not know the hashes of the modules that it names: those that are recorded stand. */
function withKnownHashes(file: SweepSpec, { search, stopping, code }: SweepSpec): SweepSpec {
  return {
    ...file,
    ...(file.code === undefined || code === undefined ? {} : { code: { ...code, folder: file.code.folder } }),
    search:
      file.search.method === 'module' && search.method === 'module'
        ? { ...file.search, ref: { ...file.search.ref, hash: search.ref.hash } }
        : file.search,
    stopping:
      file.stopping.rule === 'module' && stopping.rule === 'module'
        ? { ...file.stopping, ref: { ...file.stopping.ref, hash: stopping.ref.hash } }
        : file.stopping,
  };
}

function samePoints(spec: SweepSpec, file: SweepSpec): boolean {
  if (searchSize(spec) !== searchSize(file) || searchSize(spec) > MAX_COMPARED_POINTS) return false;
  const known = hashesOf(spec);
  return pointsOf(file).every((point) => known.has(pointHash(file, point)));
}

const trialsOf = (search: SearchSpec | null): number | null =>
  search !== null && 'trials' in search ? search.trials : null;

const refused = (message: string): WattsweepError => new WattsweepError('EXTENSION_REFUSED', message);

function rise(name: string, before: number, after: number, most: number): string {
  if (after < before) throw refused(`${name} is ${before}, and cannot become less (${after})`);
  if (after > most) throw refused(`${name} is at most ${most}, not ${after}`);
  return `${name} ${before} -> ${after}`;
}

function refuseLonger(spec: SweepSpec): void {
  if (spec.stopping.rule === 'hyperband')
    throw refused("hyperband's brackets follow from max_epochs, so a sweep under it keeps its own");
  const name = namesMaxEpochs(spec);
  if (name !== null)
    throw refused(`${name} is computed from max_epochs, so with another one the points would be others`);
}

const isOfPoints = ({ key }: SpecDifference): boolean =>
  /^(sweep|cases\[\d+\])\./.test(key) || key === 'search.points';

/** A number of trials, repeats or epochs, or points of a grid or list. */
const mayChange = (difference: SpecDifference): boolean =>
  ['search.trials', 'repeats', 'max_epochs'].includes(difference.key) || isOfPoints(difference);

function refuseOtherChanges(spec: SweepSpec, file: SweepSpec): void {
  const draws = 'trials' in spec.search;
  const others = compareSpecs(spec, file).filter(
    (difference) => !mayChange(difference) || (draws && isOfPoints(difference)),
  );
  if (others.length > 0)
    throw refused(`the file changes more than that: ${others.map(differenceText).join('; ')}`);
}

/** Points of the file that the sweep lacks. @throws EXTENSION_REFUSED when it lacks some of the sweep's */
function addedPoints(spec: SweepSpec, file: SweepSpec): Parameters[] {
  if (!compareSpecs(spec, file).some(isOfPoints)) return [];
  for (const one of [spec, file]) {
    const size = searchSize(one);
    if (size > MAX_COMPARED_POINTS)
      throw refused(`${size} points are too many to compare; ${MAX_COMPARED_POINTS} are possible`);
  }
  const known = hashesOf(spec);
  const wanted = pointsOf(file);
  const kept = new Set(wanted.map((point) => pointHash(file, point)));
  const lacking = [...known].filter((hash) => !kept.has(hash)).length;
  if (lacking > 0)
    throw refused(
      `the file lacks ${lacking} of the ${known.size} points of the sweep; none can be taken away`,
    );
  return wanted.filter((point) => !known.has(pointHash(file, point)));
}

const hashesOf = (spec: SweepSpec): Set<string> =>
  new Set(pointsOf(spec).map((point) => pointHash(spec, point)));
