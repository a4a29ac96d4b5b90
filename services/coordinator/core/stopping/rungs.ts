/** What successive halving (`halving.ts`) and those who wait in it (`waiting.ts`) share: ladders, rungs and decisions. */
import type { Decision } from '../events.js';
import { show, type Contender, type Observation } from './rule.js';

/** The rungs of one bracket (and, of ASHA, of one group that is ranked apart). */
export interface Ladder {
  readonly key: string;
  /** Epochs, ascending, below the last epoch. */
  readonly rungs: readonly number[];
  /** Positions of its trials, `[first, behind the last)`; null when any position may be its own. */
  readonly positions: readonly [number, number] | null;
}

export interface HalvingSpec {
  /** Name and version, e.g. `hyperband@1`. */
  readonly id: string;
  readonly eta: number;
  readonly window: number;
  readonly sign: 1 | -1;
  /** Whether a rung promotes only once all that can come to it have come. */
  readonly inRounds: boolean;
  readonly ladderOf: (trial: Pick<Contender, 'trialId' | 'index' | 'parameters'>) => Ladder;
}

export interface HalvingOptions extends HalvingSpec {
  /** What a report counts with at the rungs that it passed; larger is better. */
  readonly valueOf: (observation: Observation) => number;
}

/** Trials of a rung with their values (larger is better), best first, ties by arrival; keyed `KEY/EPOCHS`. */
export type Rungs = Partial<Record<string, [trialId: string, value: number][]>>;

/** Decision about an entry of a rung; `rank` counts from 0, and `value` is larger for better. */
export function decisionAt(
  { id, sign }: HalvingOptions,
  where: { readonly rung: number; readonly rank: number; readonly n: number; readonly value: number },
  epoch: number,
  action: Decision['action'],
  words: string,
): Decision {
  const { rung, n } = where;
  const rank = where.rank + 1;
  const value = sign * where.value;
  const reason = `rung ${rung}: ${show(value)} is rank ${rank} of ${n}; ${words}`;
  return { rule: id, action, epoch, rung, value, rank, n, threshold: null, reason };
}
