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

interface Kernel {
  /** Null for the prior. */
  readonly place: Place | null;
  /** By dimension: log of the normal's mass inside the interval; NaN where it has no normal. */
  readonly logMass: Float64Array;
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

const centre = (place: Place, dimension: number): number | null => {
  const cell = place.cells.get(dimension);
  return cell === undefined ? null : (cell.low + cell.high) / 2;
};

/** @param places of the points, none of them necessarily different from others; may be empty */
export function parzen(space: Space, places: readonly Place[]): Parzen {
  const count = places.length;
  const widest = Math.max(1, ...space.branches.map(({ dimensions }) => dimensions.length));
  const sigma = SIGMA_OF_ONE * Math.max(1, count) ** (-1 / (widest + 4));
  const kernels = [...places, null].map((place): Kernel => {
    const logMass = new Float64Array(space.dimensions.length).fill(NaN);
    for (const [index, dimension] of space.dimensions.entries()) {
      const mu = place === null ? null : centre(place, index);
      if (mu !== null && dimension.ordered)
        logMass[index] = Math.log(phi((1 - mu) / sigma) - phi(-mu / sigma));
    }
    return { place, logMass };
  });
  /** Weight of the prior in a choice among names, spread over them. */
  const spread = 1 / kernels.length;

  /** Log density of a kernel in one dimension at a cell. */
  const along = (kernel: Kernel, index: number, low: number, high: number): number => {
    const dimension = space.dimensions[index];
    const mu = kernel.place === null ? null : centre(kernel.place, index);
    if (dimension === undefined || mu === null) return low === high ? 0 : Math.log(high - low);
    if (!dimension.ordered) {
      const isSame = mu > low && mu < high;
      return Math.log((spread + (isSame ? 1 : 0)) / (1 + spread * (dimension.size ?? 1)));
    }
    const mass = kernel.logMass[index] ?? 0;
    if (low === high) return -0.5 * ((low - mu) / sigma) ** 2 - Math.log(sigma) - LOG_ROOT_TAU - mass;
    return Math.log(Math.max(1e-300, phi((high - mu) / sigma) - phi((low - mu) / sigma))) - mass;
  };

  const branchWeight = (kernel: Kernel, branch: number): number => {
    const weight = space.branches[branch]?.weight ?? 0;
    if (kernel.place === null) return weight;
    const prior = spread * space.branches.length;
    return (prior * weight + (kernel.place.branch === branch ? 1 : 0)) / (1 + prior);
  };

  return {
    sample(next) {
      const kernel = kernels[Math.floor(next() * kernels.length)] ?? kernels[0];
      if (kernel === undefined) throw new Error('a mixture has at least the prior');
      let rest = next();
      const found = space.branches.findIndex((_, index) => (rest -= branchWeight(kernel, index)) < 0);
      const branch = found < 0 ? space.branches.length - 1 : found;
      const units = new Float64Array(space.dimensions.length);
      for (const index of space.branches[branch]?.dimensions ?? []) {
        const dimension = space.dimensions[index];
        const mu = kernel.place === null ? null : centre(kernel.place, index);
        if (mu === null) units[index] = next();
        else if (dimension?.ordered === false) {
          const stays = next() < 1 / (1 + spread * (dimension.size ?? 1));
          units[index] = stays ? mu : next();
        } else units[index] = truncatedNormal(mu, sigma, next);
      }
      return { branch, units };
    },
    logDensity({ branch, cells }) {
      const logs = kernels.map((kernel) => {
        let log = Math.log(branchWeight(kernel, branch));
        for (const [index, { low, high }] of cells) log += along(kernel, index, low, high);
        return log;
      });
      const top = Math.max(...logs);
      return top + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - top), 0) / kernels.length);
    },
  };
}

/** A normal with its mean in [0, 1], drawn until it lies there (Box and Muller); at least a third of the draws do. */
function truncatedNormal(mu: number, sigma: number, next: Stream): number {
  for (;;) {
    const z = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const unit = mu + sigma * z;
    if (unit >= 0 && unit < 1) return unit;
  }
}
