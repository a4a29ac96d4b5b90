/**
 * The median stopping rule: D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
 * section 3.2.2.
 *
 * Trial X stops at epoch e when its best value by e is strictly worse than the median of the running averages, up to e,
 * of the other trials that have reached e. Of an even number of averages the median is the mean of the middle two. An
 * average is taken over the reports up to e, so a trial that skipped e counts there with the average it had before.
 */
import type { Goal, MedianSpec } from '../spec.js';
import { show, signOf, type RuleState, type StoppingRule } from './rule.js';
import { countBetter, insert } from './sorted.js';

interface Curve {
  best: number;
  sum: number;
  reports: number;
}

/** Plain JSON; values are "larger is better". */
interface MedianState {
  readonly curves: Partial<Record<string, Curve>>;
  /** Running averages up to an epoch of the trials that reached it, best first. */
  readonly averages: Partial<Record<string, number[]>>;
}

const stateOf = (state: RuleState): MedianState => state as unknown as MedianState;

/** Median of `sorted` without one entry of the value `own`, which is among them. `sorted` has at least two. */
function medianOfOthers(sorted: readonly number[], own: number): number {
  const skipped = countBetter(sorted, own);
  const other = (place: number): number => sorted[place < skipped ? place : place + 1] as number;
  const count = sorted.length - 1;
  const middle = Math.floor(count / 2);
  return count % 2 === 1 ? other(middle) : (other(middle - 1) + other(middle)) / 2;
}

export function median(spec: MedianSpec, goal: Goal): StoppingRule {
  const sign = signOf(goal);
  return {
    id: 'median@1',
    init: () => ({ curves: {}, averages: {} }),
    absorb(state, { trialId, repeat, epoch, previousEpoch, value }) {
      if (repeat > 1) return;
      const { curves, averages } = stateOf(state);
      const curve = (curves[trialId] ??= { best: -Infinity, sum: 0, reports: 0 });
      const enter = (at: number): void => {
        const average = curve.sum / curve.reports;
        // The sum of enormous losses overflows; an average that is not finite takes no part.
        if (Number.isFinite(average)) insert((averages[at] ??= []), average);
      };
      if (curve.reports > 0) for (let skipped = previousEpoch + 1; skipped < epoch; skipped++) enter(skipped);
      curve.best = Math.max(curve.best, sign * value);
      curve.sum += sign * value;
      curve.reports++;
      enter(epoch);
    },
    judge(state, { trialId, repeat, epoch }) {
      if (repeat > 1 || epoch <= spec.grace) return [];
      const { curves, averages } = stateOf(state);
      const curve = curves[trialId];
      const reached = averages[epoch] ?? [];
      const own = curve === undefined ? NaN : curve.sum / curve.reports;
      const others = reached.length - (Number.isFinite(own) ? 1 : 0);
      if (curve === undefined || others < Math.max(1, spec.minTrials)) return [];
      const middle = Number.isFinite(own)
        ? medianOfOthers(reached, own)
        : medianOfOthers([Infinity, ...reached], Infinity);
      const stops = curve.best < middle;
      return [
        {
          rule: 'median@1',
          action: stops ? 'stop' : 'continue',
          epoch,
          rung: null,
          value: sign * curve.best,
          rank: null,
          n: others,
          threshold: sign * middle,
          reason:
            `its best value, ${show(sign * curve.best)}, is ${stops ? 'worse' : 'not worse'} than ` +
            `${show(sign * middle)}, the median of the averages up to epoch ${epoch} of ${others} other trials`,
        },
      ];
    },
  };
}
