/**
 * Hyperband: L. Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", arXiv 1603.06560,
 * algorithm 1 (R: `maxEpochs`; eta; s: bracket; n trials that begin with r epochs). Trials fill the brackets in the
 * order of the search, s_max first, then over again; the rounds of a bracket wait for all of its trials.
 */
import type { Goal, HyperbandSpec } from '../spec.js';
import { halving } from './halving.js';
import type { HalvingSpec } from './rungs.js';
import { signOf, type StoppingRule } from './rule.js';

export interface HyperbandBracket {
  readonly s: number;
  readonly trials: number;
  /** Epochs of its rounds, ascending; the last is R. */
  readonly epochs: readonly number[];
}

/** The brackets in the order in which trials fill them. Integers throughout: no logarithm decides how many there are. */
export function hyperbandBrackets(eta: number, maxEpochs: number): readonly HyperbandBracket[] {
  let sMax = 0;
  for (let power = eta; power <= maxEpochs; power *= eta) sMax++;
  return Array.from({ length: sMax + 1 }, (_, i) => {
    const s = sMax - i;
    const rounds = Array.from({ length: s + 1 }, (__, round) =>
      Math.max(1, Math.floor(maxEpochs / eta ** (s - round))),
    );
    return { s, trials: Math.ceil(((sMax + 1) * eta ** s) / (s + 1)), epochs: rounds };
  });
}

export const hyperband = (spec: HyperbandSpec, maxEpochs: number, goal: Goal): StoppingRule =>
  halving(hyperbandHalving(spec, maxEpochs, goal));

export function hyperbandHalving({ eta }: HyperbandSpec, maxEpochs: number, goal: Goal): HalvingSpec {
  const brackets = hyperbandBrackets(eta, maxEpochs);
  const size = brackets.reduce((sum, { trials }) => sum + trials, 0);
  return {
    id: 'hyperband@1',
    eta,
    window: 1,
    sign: signOf(goal),
    inRounds: true,
    ladderOf({ index }) {
      let begin = Math.floor(index / size) * size;
      for (const { s, trials, epochs } of brackets) {
        const end = begin + trials;
        if (index < end) return { key: `${begin}-${s}`, rungs: epochs.slice(0, -1), positions: [begin, end] };
        begin = end;
      }
      throw new RangeError(`no bracket has position ${index}`);
    },
  };
}
