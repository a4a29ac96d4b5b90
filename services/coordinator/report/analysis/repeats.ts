/**
 * What several repeats of one setting on one device model say together. A mean stands only where every repeat reached
 * the level for sure; otherwise the Kaplan-Meier median (Kaplan and Meier 1958), since the repeats that did not reach
 * it would have taken longer, by an unknown amount.
 */
import { extent } from './extent.js';
import type { TransitionStatus } from './curve.js';

/** Mean and spread of a plain quantity. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n - 1); null for n = 1. */
  readonly sd: number | null;
  readonly n: number;
  readonly min: number;
  readonly max: number;
}

/** Equal readings that were summed up differ by the rounding of their sums: that is no spread. */
const ROUNDING = 1e-12;

/** Mean and spread of what was read; null when nothing was. */
export function spread(values: readonly (number | null)[]): Spread | null {
  const read = values.filter((value): value is number => value !== null);
  const n = read.length;
  if (n === 0) return null;
  const mean = read.reduce((sum, value) => sum + value, 0) / n;
  const squares = read.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [min, max] = extent(read);
  const sd = n > 1 ? Math.sqrt(squares / (n - 1)) : null;
  const isRounding = sd !== null && sd < ROUNDING * Math.max(Math.abs(min), Math.abs(max));
  return { mean, sd: isRounding ? 0 : sd, n, min, max };
}

/** One repeat, on any axis that grows while it runs: epochs, seconds or joules. */
export interface LevelObservation {
  /** Where the level was reached; for a censored repeat, how far it went without. */
  readonly value: number;
  readonly status: TransitionStatus;
  /**
   * What set the limit of a censored repeat. `rule` and `divergence` mean that it ended because it was bad: such an end
   * says something of what would have come, which Kaplan-Meier forbids, so it takes no part in the median and counts
   * as not reached. `limit` is everything else: max_epochs, a person, a budget, a crash, or that it still runs.
   */
  readonly endedBy: 'limit' | 'rule' | 'divergence';
}

export interface Aggregate {
  /**
   * `mean`: every repeat reached the level for sure. `median`: Kaplan-Meier. `bound`: fewer than half reached it;
   * `value` is how far was looked. `unread`: nothing was read; `value` is null.
   */
  readonly kind: 'mean' | 'median' | 'bound' | 'unread';
  readonly value: number | null;
  /** Sample standard deviation of a mean of two or more, else null. */
  readonly sd: number | null;
  /** Smallest and largest value among the repeats that reached the level; null when none did. */
  readonly min: number | null;
  readonly max: number | null;
  /** Repeats that reached the level, the unconfirmed included. */
  readonly reached: number;
  readonly unconfirmed: number;
  /** Repeats that a rule stopped before the level. */
  readonly stoppedByRule: number;
  readonly diverged: number;
  /** Repeats with a reading. */
  readonly n: number;
}

/** S falls by a product of fractions: compare with room for their rounding. */
const HALF = 0.5 + 1e-12;

/** First value at which the share of repeats that have not reached the level is at most one half, or null. */
export function kaplanMeierMedian(observations: readonly LevelObservation[]): number | null {
  const sorted = [...observations].sort((a, b) => a.value - b.value);
  let surviving = 1;
  let atRisk = sorted.length;
  for (let i = 0; i < sorted.length;) {
    const value = sorted[i]?.value ?? 0;
    const tied = sorted.filter((o) => o.value === value);
    const events = tied.filter((o) => o.status !== 'censored').length;
    surviving *= (atRisk - events) / atRisk;
    if (surviving <= HALF) return value;
    atRisk -= tied.length;
    i += tied.length;
  }
  return null;
}

/** Observations of repeats; null ones (no reading) are left out. */
export function aggregate(repeats: readonly (LevelObservation | null)[]): Aggregate {
  const read = repeats.filter((o) => o !== null);
  const hits = read.filter((o) => o.status !== 'censored');
  const hitSpread = spread(hits.map((o) => o.value));
  const counts = {
    min: hitSpread?.min ?? null,
    max: hitSpread?.max ?? null,
    reached: hits.length,
    unconfirmed: hits.filter((o) => o.status === 'unconfirmed').length,
    stoppedByRule: read.filter((o) => o.status === 'censored' && o.endedBy === 'rule').length,
    diverged: read.filter((o) => o.status === 'censored' && o.endedBy === 'divergence').length,
    n: read.length,
  };
  if (read.length === 0) return { kind: 'unread', value: null, sd: null, ...counts };
  if (hitSpread !== null && read.every((o) => o.status === 'confirmed')) {
    return { kind: 'mean', value: hitSpread.mean, sd: hitSpread.sd, ...counts };
  }
  const open = read.filter((o) => o.status !== 'censored' || o.endedBy === 'limit');
  const median = kaplanMeierMedian(open);
  if (median !== null) return { kind: 'median', value: median, sd: null, ...counts };
  const seen = open.length > 0 ? open : read;
  return { kind: 'bound', value: extent(seen.map((o) => o.value))[1], sd: null, ...counts };
}
