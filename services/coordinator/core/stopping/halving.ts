/**
 * Successive halving with pauses: every trial pauses at a rung, and the best of the rung go on when a slot is free.
 * Two methods are made of it: the promotion form of ASHA, which promotes as soon as a trial is among the best so far,
 * and Hyperband, whose rounds wait until all of a bracket have come so far.
 */
import type { Decision } from '../events.js';
import {
  show,
  type Contender,
  type Field,
  type Observation,
  type Promotions,
  type RuleState,
  type StoppingRule,
} from './rule.js';

/** The rungs of one bracket (and, of ASHA, of one group that is ranked apart). */
export interface Ladder {
  readonly key: string;
  /** Epochs, ascending, below the last epoch. */
  readonly rungs: readonly number[];
  /** Positions of its trials, `[first, behind the last)`; null when any position may be its own. */
  readonly positions: readonly [number, number] | null;
}

export interface HalvingOptions {
  /** Name and version, e.g. `hyperband@1`. */
  readonly id: string;
  readonly eta: number;
  readonly window: number;
  readonly sign: 1 | -1;
  /** Whether a rung promotes only once all that can come to it have come. */
  readonly inRounds: boolean;
  readonly ladderOf: (trial: Pick<Contender, 'trialId' | 'index' | 'parameters'>) => Ladder;
}

/** Trials of a rung with their values (larger is better), best first, ties by arrival; keyed `KEY/EPOCHS`. */
type Rungs = Partial<Record<string, [trialId: string, value: number][]>>;

export function halving(options: HalvingOptions): StoppingRule {
  const { id, sign, window, ladderOf } = options;
  const passedBy = ({ rungs }: Ladder, { previousEpoch, epoch }: Observation): readonly number[] =>
    rungs.filter((rung) => previousEpoch < rung && rung <= epoch);
  return {
    id,
    init: () => ({}),
    absorb(state: RuleState, observation) {
      if (observation.repeat > 1) return;
      const ladder = ladderOf(observation);
      const values = observation.recent(window);
      const value = (sign * values.reduce((sum, one) => sum + one, 0)) / values.length;
      for (const rung of passedBy(ladder, observation)) {
        const entries = ((state as Rungs)[`${ladder.key}/${rung}`] ??= []);
        const place = entries.findIndex(([, other]) => other < value);
        entries.splice(place < 0 ? entries.length : place, 0, [observation.trialId, value]);
      }
    },
    judge(state, observation) {
      if (observation.repeat > 1) return [];
      const ladder = ladderOf(observation);
      const passed = passedBy(ladder, observation);
      return passed.map((rung, i) => {
        const entries = (state as Rungs)[`${ladder.key}/${rung}`] ?? [];
        const isLast = i === passed.length - 1;
        const words = isLast ? 'it pauses until it is promoted' : 'it has gone beyond this rung already';
        return decisionAt(options, entries, observation, rung, isLast ? 'pause' : 'continue', words);
      });
    },
    promotions: promotionsOf(options),
  };
}

/** Decision about an entry of a rung, with its place there. */
function decisionAt(
  { id, sign }: HalvingOptions,
  entries: readonly (readonly [string, number])[],
  { trialId, epoch }: Pick<Contender, 'trialId' | 'epoch'>,
  rung: number,
  action: Decision['action'],
  words: string,
): Decision {
  const place = entries.findIndex(([other]) => other === trialId);
  const value = sign * (entries[place]?.[1] ?? NaN);
  const n = entries.length;
  const reason = `rung ${rung}: ${show(value)} is rank ${place + 1} of ${n}; ${words}`;
  return { rule: id, action, epoch, rung, value, rank: place + 1, n, threshold: null, reason };
}

function promotionsOf(options: HalvingOptions): Promotions {
  const { eta, inRounds, ladderOf } = options;

  const laddersOf = (open: readonly Contender[]): { ladder: Ladder; members: Contender[] }[] => {
    const found = new Map<string, { ladder: Ladder; members: Contender[] }>();
    for (const trial of open) {
      const ladder = ladderOf(trial);
      const known = found.get(ladder.key);
      if (known === undefined) found.set(ladder.key, { ladder, members: [trial] });
      else known.members.push(trial);
    }
    return [...found.values()];
  };

  /** Whether everybody who can come to the rung has come. */
  const isFinal = (
    { positions }: Ladder,
    members: readonly Contender[],
    rung: number,
    { made, isSearchDone }: Field,
  ): boolean =>
    (isSearchDone || (positions !== null && made >= positions[1])) &&
    members.every(({ epoch }) => epoch >= rung);

  /** How many of the rung go on. In rounds, trials that failed on the way count as having come. */
  const quotaOf = ({ rungs, positions }: Ladder, rung: number, n: number, { made }: Field): number => {
    if (!inRounds || positions === null) return Math.floor(n / eta);
    let size = Math.min(made, positions[1]) - positions[0];
    for (const lower of rungs) {
      size = Math.max(1, Math.floor(size / eta));
      if (lower === rung) break;
    }
    return size;
  };

  return {
    next(state, field) {
      let best: { rung: number; trial: Contender; entries: [string, number][]; quota: number } | null = null;
      for (const { ladder, members } of laddersOf(field.open)) {
        for (const rung of ladder.rungs.toReversed()) {
          if (best !== null && rung <= best.rung) break;
          if (inRounds && !isFinal(ladder, members, rung, field)) continue;
          const waiting = new Map(
            members.flatMap((trial) => (trial.waitsAt === rung ? [[trial.trialId, trial]] : [])),
          );
          if (waiting.size === 0) continue;
          const entries = (state as Rungs)[`${ladder.key}/${rung}`] ?? [];
          const quota = quotaOf(ladder, rung, entries.length, field);
          const trial = entries.slice(0, quota).flatMap(([trialId]) => waiting.get(trialId) ?? [])[0];
          if (trial !== undefined) best = { rung, trial, entries, quota };
        }
      }
      if (best === null) return null;
      const { rung, trial, entries, quota } = best;
      const words = `the best ${quota} are promoted`;
      return {
        trialId: trial.trialId,
        decision: decisionAt(options, entries, trial, rung, 'promote', words),
      };
    },
    hopeless(state, field) {
      return laddersOf(field.open).flatMap(({ ladder, members }) =>
        ladder.rungs.flatMap((rung) => {
          if (!isFinal(ladder, members, rung, field)) return [];
          const entries = (state as Rungs)[`${ladder.key}/${rung}`] ?? [];
          const quota = quotaOf(ladder, rung, entries.length, field);
          const promoted = new Set(entries.slice(0, quota).map(([trialId]) => trialId));
          return members
            .filter(({ trialId, waitsAt }) => waitsAt === rung && !promoted.has(trialId))
            .map((trial) => {
              const words = `no other trial can come, and the best ${quota} are promoted`;
              const { rule, reason } = decisionAt(options, entries, trial, rung, 'stop', words);
              return { trialId: trial.trialId, reason: `${rule}: ${reason}` };
            });
        }),
      );
    },
  };
}
