/**
 * Successive halving with pauses: every trial pauses at a rung, and the best of the rung go on when a slot is free.
 * Two methods are made of it: the promotion form of ASHA, which promotes as soon as a trial is among the best so far,
 * and Hyperband, whose rounds wait until all of a bracket have come so far. Who is promoted: `waiting.ts`.
 */
import type { Observation, RuleState, StoppingRule } from './rule.js';
import { decisionAt, type HalvingSpec, type Ladder, type Rungs } from './rungs.js';
import { waitingTrials } from './waiting.js';

export function halving(spec: HalvingSpec): StoppingRule {
  const { id, sign, window, ladderOf } = spec;
  const valueOf = ({ recent }: Observation): number => {
    const values = recent(window);
    return (sign * values.reduce((sum, one) => sum + one, 0)) / values.length;
  };
  const options = { ...spec, valueOf };
  const passedBy = ({ rungs }: Ladder, { previousEpoch, epoch }: Observation): readonly number[] =>
    rungs.filter((rung) => previousEpoch < rung && rung <= epoch);
  return {
    id,
    init: () => ({}),
    absorb(state: RuleState, observation) {
      if (observation.repeat > 1) return;
      const ladder = ladderOf(observation);
      const value = valueOf(observation);
      for (const rung of passedBy(ladder, observation)) {
        const entries = ((state as Rungs)[`${ladder.key}/${rung}`] ??= []);
        entries.splice(behind(entries, value), 0, [observation.trialId, value]);
      }
    },
    judge(state, observation) {
      if (observation.repeat > 1) return [];
      const ladder = ladderOf(observation);
      const passed = passedBy(ladder, observation);
      const value = valueOf(observation);
      return passed.map((rung, i) => {
        const entries = (state as Rungs)[`${ladder.key}/${rung}`] ?? [];
        const isLast = i === passed.length - 1;
        const words = isLast ? 'it pauses until it is promoted' : 'it has gone beyond this rung already';
        // The newcomer is the last of those with its value.
        const where = { rung, rank: behind(entries, value) - 1, n: entries.length, value };
        return decisionAt(options, where, observation.epoch, isLast ? 'pause' : 'continue', words);
      });
    },
    promotions: (state) => waitingTrials(options, state),
  };
}

/** First place behind all entries that are not worse than `value`. */
function behind(entries: readonly (readonly [string, number])[], value: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.[1] ?? -Infinity) >= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
