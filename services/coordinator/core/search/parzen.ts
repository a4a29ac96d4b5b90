/**
 * The Parzen estimator of multivariate TPE (S. Falkner et al., "BOHB", ICML 2018, section 3.2; S. Watanabe, "Tree-structured
 * Parzen Estimator", arXiv 2304.11127): a mixture with one kernel a point and one for the prior. A kernel is a product
 * over the branch and all dimensions, so that what belongs together is drawn together: truncated normals in the unit
 * interval for ordered dimensions, Aitchison and Aitken's kernel for unordered ones and for the branch. Of a dimension that
 * a point does not have, its kernel knows nothing: it is uniform.
 */
import { create, erfDependencies, type FactoryFunctionMap } from 'mathjs/number';
import type { Place, Space } from './space.js';
import type { Stream } from './stream.js';

const math = create(erfDependencies as FactoryFunctionMap);

/** Distribution function of the standard normal. */
const phi = (z: number): number => 0.5 * (1 + math.erf(z / Math.SQRT2));

const LOG_ROOT_TAU = 0.5 * Math.log(2 * Math.PI);

/**
 * Bandwidth of a mixture of one, as a share of the interval; it shrinks with the number n of points and grows with that of
 * dimensions d as Scott's rule says, n^(-1 / (d + 4)). Chosen on the standard functions of test/support/functions.ts.
 */
const SIGMA_OF_ONE = 0.07;

/** One dimension of all kernels but the prior: where it has no normal, NaN. */
interface Column {
  readonly centres: Float64Array;
  /** Log of the normal's mass inside the interval. */
  readonly logMasses: Float64Array;
}

export interface Candidate {
  readonly branch: number;
  /** By dimension of the space, in [0, 1]; those of other branches are 0. */
  readonly units: Float64Array;
}

export interface Parzen {
  sample(next: Stream): Candidate;
  /** Log of the density at a place. */
  logDensity(place: Place): number;
}

/** @param places of the points, none of them necessarily different from others; may be empty */
export function parzen(space: Space, places: readonly Place[]): Parzen {
  const count = places.length;
  const widest = Math.max(1, ...space.branches.map(({ dimensions }) => dimensions.length));
  const sigma = SIGMA_OF_ONE * Math.max(1, count) ** (-1 / (widest + 4));
  const columns = space.dimensions.map((_, index): Column => {
    const centres = Float64Array.from(places, ({ cells }) => {
      const cell = cells.get(index);
      return cell === undefined ? NaN : (cell.low + cell.high) / 2;
    });
    return { centres, logMasses: centres.map((mu) => logMass(mu, sigma)) };
  });
  /** Weight of the prior in a choice among names, spread over them. */
  const spread = 1 / (count + 1);

  /** Adds to `logs` the log density of each kernel in one dimension at a cell. */
  const addAlong = (logs: Float64Array, index: number, low: number, high: number): void => {
    const dimension = space.dimensions[index];
    const column = columns[index];
    if (dimension === undefined || column === undefined) return;
    const { centres, logMasses } = column;
    const unknown = low === high ? 0 : Math.log(high - low);
    const peak = -Math.log(sigma) - LOG_ROOT_TAU;
    const names = 1 + spread * (dimension.size ?? 1);
    const same = Math.log((spread + 1) / names);
    const another = Math.log(spread / names);
    const masses = new Map<number, number>();
    for (let kernel = 0; kernel < logs.length; kernel += 1) {
      const mu = centres[kernel] ?? NaN;
      let log = unknown;
      if (Number.isNaN(mu)) log = unknown;
      else if (!dimension.ordered) log = mu > low && mu < high ? same : another;
      else if (low === high) log = peak - 0.5 * ((low - mu) / sigma) ** 2 - (logMasses[kernel] ?? 0);
      else {
        // Kernels of a finite dimension share few centres.
        log = masses.get(mu) ?? logBetween(mu, sigma, low, high) - (logMasses[kernel] ?? 0);
        masses.set(mu, log);
      }
      logs[kernel] = (logs[kernel] ?? 0) + log;
    }
  };

  /** @param place null for the prior */
  const branchWeight = (place: Place | null, branch: number): number => {
    const weight = space.branches[branch]?.weight ?? 0;
    if (place === null) return weight;
    const prior = spread * space.branches.length;
    return (prior * weight + (place.branch === branch ? 1 : 0)) / (1 + prior);
  };

  return {
    sample(next) {
      const kernel = Math.floor(next() * (count + 1));
      const place = places[kernel] ?? null;
      let rest = next();
      const found = space.branches.findIndex((_, index) => (rest -= branchWeight(place, index)) < 0);
      const branch = found < 0 ? space.branches.length - 1 : found;
      const units = new Float64Array(space.dimensions.length);
      for (const index of space.branches[branch]?.dimensions ?? []) {
        const dimension = space.dimensions[index];
        const mu = columns[index]?.centres[kernel] ?? NaN;
        if (Number.isNaN(mu)) units[index] = next();
        else if (dimension?.ordered === false) {
          const stays = next() < 1 / (1 + spread * (dimension.size ?? 1));
          units[index] = stays ? mu : next();
        } else units[index] = truncatedNormal(mu, sigma, next);
      }
      return { branch, units };
    },
    logDensity({ branch, cells }) {
      const logs = Float64Array.from([...places, null], (place) => Math.log(branchWeight(place, branch)));
      for (const [index, { low, high }] of cells) addAlong(logs, index, low, high);
      const top = logs.reduce((largest, log) => Math.max(largest, log), -Infinity);
      return top + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - top), 0) / logs.length);
    },
  };
}

/** Log of a normal's mass between two numbers. */
const logBetween = (mu: number, sigma: number, low: number, high: number): number =>
  Math.log(Math.max(1e-300, phi((high - mu) / sigma) - phi((low - mu) / sigma)));

/** Log of its mass in [0, 1]; what lies beyond 8 standard deviations is less than a double's last bit. */
const logMass = (mu: number, sigma: number): number =>
  Math.min(mu, 1 - mu) > 8 * sigma ? 0 : logBetween(mu, sigma, 0, 1);

/** A normal with its mean in [0, 1], drawn until it lies there (Box and Muller); at least a third of the draws do. */
function truncatedNormal(mu: number, sigma: number, next: Stream): number {
  for (;;) {
    const z = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const unit = mu + sigma * z;
    if (unit >= 0 && unit < 1) return unit;
  }
}
