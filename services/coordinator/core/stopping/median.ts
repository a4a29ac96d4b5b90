/**
 * The median stopping rule: D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
 * section 3.2.2.
 *
 * Trial X stops at epoch e when its best value by e is strictly worse than the median of the running averages, up to e,
 * of the other trials that have reached e. Of an even number of averages the median is the mean of the middle two. An
 * average is taken over the reports up to e, so a trial that skipped e counts there with the average it had before: but
 * only once somebody has reported e, so that a program that counts in thousands does not fill the memory with what lies between.
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
  /** Of epochs that somebody has reported: running averages up to it of the trials that reached it, best first. */
  readonly averages: Partial<Record<string, number[]>>;
  /** The keys of `averages` as numbers, ascending. */
  readonly epochs: number[];
  /** What trials skipped: the epochs between two reports, and the average of the trial meanwhile. */
  readonly gaps: [after: number, before: number, average: number][];
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

/** First index of an entry that is above `epoch`. */
function firstAbove(epochs: readonly number[], epoch: number): number {
  let low = 0;
  let high = epochs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((epochs[middle] as number) <= epoch) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The averages of an epoch, with those of trials that have skipped it so far. */
function averagesAt({ averages, epochs, gaps }: MedianState, epoch: number): number[] {
  const known = averages[epoch];
  if (known !== undefined) return known;
  const made = gaps
    .filter(([after, before]) => after < epoch && epoch < before)
    .map(([, , average]) => average)
    .sort((a, b) => b - a);
  averages[epoch] = made;
  epochs.splice(firstAbove(epochs, epoch), 0, epoch);
  return made;
}

function skip(memory: MedianState, after: number, before: number, average: number): void {
  memory.gaps.push([after, before, average]);
  const { averages, epochs } = memory;
  for (let at = firstAbove(epochs, after); (epochs[at] ?? before) < before; at += 1)
    insert(averages[epochs[at] as number] as number[], average);
}

export function median(spec: MedianSpec, goal: Goal): StoppingRule {
  const sign = signOf(goal);
  return {
    id: 'median@1',
    init: () => ({ curves: {}, averages: {}, epochs: [], gaps: [] }),
    absorb(state, { trialId, repeat, epoch, previousEpoch, value }) {
      if (repeat > 1) return;
      const memory = stateOf(state);
      const curve = (memory.curves[trialId] ??= { best: -Infinity, sum: 0, reports: 0 });
      // The sum of enormous losses overflows; an average that is not finite takes no part.
      const before = curve.sum / curve.reports;
      if (epoch > previousEpoch + 1 && Number.isFinite(before)) skip(memory, previousEpoch, epoch, before);
      curve.best = Math.max(curve.best, sign * value);
      curve.sum += sign * value;
      curve.reports++;
      const average = curve.sum / curve.reports;
      const reached = averagesAt(memory, epoch);
      if (Number.isFinite(average)) insert(reached, average);
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
