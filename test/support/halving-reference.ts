/**
 * Who is promoted, and who never will be, by the definition: all trials are looked at, each time. What the look-up of
 * `core/stopping/waiting.ts` is held against.
 */
import type { Decision } from '../../services/coordinator/core/events.js';
import {
  show,
  type Contender,
  type Field,
  type Promotion,
  type RuleState,
} from '../../services/coordinator/core/stopping/rule.js';
import type { HalvingSpec, Ladder, Rungs } from '../../services/coordinator/core/stopping/rungs.js';

interface Reference {
  next(state: RuleState, open: readonly Contender[], field: Field): Promotion | null;
  hopeless(
    state: RuleState,
    open: readonly Contender[],
    field: Field,
  ): readonly { readonly trialId: string; readonly reason: string }[];
}

/** Decision about an entry of a rung, with its place there. */
function decisionAt(
  { id, sign }: HalvingSpec,
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

export function referenceOf(options: HalvingSpec): Reference {
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
    next(state, open, field) {
      let best: { rung: number; trial: Contender; entries: [string, number][]; quota: number } | null = null;
      for (const { ladder, members } of laddersOf(open)) {
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
    hopeless(state, open, field) {
      return laddersOf(open).flatMap(({ ladder, members }) =>
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
