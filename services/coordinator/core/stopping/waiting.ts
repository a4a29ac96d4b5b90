/**
 * Who waits at the rungs of {@link halving}, and who of them goes on: a look-up beside the rule's state, told of each
 * change of a first run, so that a free slot costs the logarithm of the trials and not their number. It follows from the
 * trials and the state alone: made anew, it answers the same.
 */
import type { Contender, Field, Observation, Promotion, RuleState, Waiting } from './rule.js';
import { decisionAt, type HalvingOptions, type Ladder, type Rungs } from './rungs.js';

/** Where a trial stands in a rung's order: best first (larger is better), ties by arrival. */
interface Place {
  readonly trialId: string;
  readonly value: number;
  readonly arrival: number;
}

interface RungState {
  readonly rung: number;
  /** What the rule remembers of the rung. */
  readonly entries: () => readonly (readonly [trialId: string, value: number])[];
  /** Of every entry. */
  readonly places: Map<string, Place>;
  /** Of trials that wait, in order. */
  readonly waiting: Place[];
  /** Open members that have not come so far. */
  below: number;
}

/** The open trials of one ladder. */
interface Lane {
  readonly ladder: Ladder;
  readonly rungs: readonly RungState[];
  /** In the order of their making while `isOrdered`. */
  readonly members: Map<string, Contender>;
  /** Position in that order, of the last member that was added. */
  lastMade: number;
  /** False when one that had ended is open again. */
  isOrdered: boolean;
}

interface Candidate {
  readonly at: RungState;
  readonly trial: Contender;
  readonly quota: number;
}

const isBefore = (a: Place, b: Place): boolean =>
  a.value > b.value || (a.value === b.value && a.arrival < b.arrival);

/** First index from 0 on at which `holds` is false; it is true before and false behind. */
function firstNot(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Number of entries of the rung before the place. */
const rankOf = ({ entries, places }: RungState, place: Place): number => {
  const all = entries();
  return firstNot(all.length, (index) => {
    const other = places.get(all[index]?.[0] ?? '');
    return other !== undefined && isBefore(other, place);
  });
};

const indexIn = (waiting: readonly Place[], place: Place): number =>
  firstNot(waiting.length, (index) => isBefore(waiting[index] as Place, place));

/** How many of a rung go on. In rounds, trials that failed on the way count as having come. */
function quotaOf(
  { eta, inRounds }: HalvingOptions,
  { rungs, positions }: Ladder,
  at: RungState,
  made: number,
) {
  if (!inRounds || positions === null) return Math.floor(at.entries().length / eta);
  let size = Math.min(made, positions[1]) - positions[0];
  for (const lower of rungs) {
    size = Math.max(1, Math.floor(size / eta));
    if (lower === at.rung) break;
  }
  return size;
}

/** Whether everybody who can come to the rung has come. */
const isFinal = ({ ladder }: Lane, { below }: RungState, { made, isSearchDone }: Field): boolean =>
  below === 0 && (isSearchDone || (ladder.positions !== null && made >= ladder.positions[1]));

export function waitingTrials(options: HalvingOptions, state: RuleState): Waiting {
  const { inRounds, ladderOf } = options;
  const lanes = new Map<string, Lane>();
  const candidates = new Map<Lane, Candidate>();
  /** Lanes that changed since they were last asked who is promoted, and who waits in vain. */
  const unasked = { next: new Set<Lane>(), hopeless: new Set<Lane>() };
  let wasSearchDone = false;

  const laneOf = (trial: Contender | Observation): Lane => {
    const ladder = ladderOf(trial);
    const known = lanes.get(ladder.key);
    if (known !== undefined) return known;
    const rungs = ladder.rungs.map((rung): RungState => {
      const entries = () => (state as Rungs)[`${ladder.key}/${rung}`] ?? [];
      const places = entries().map(
        ([trialId, value], arrival) => [trialId, { trialId, value, arrival }] as const,
      );
      return { rung, entries, places: new Map(places), waiting: [], below: 0 };
    });
    const lane = { ladder, rungs, members: new Map<string, Contender>(), lastMade: -1, isOrdered: true };
    lanes.set(ladder.key, lane);
    return lane;
  };

  const count = ({ rungs }: Lane, { trialId, epoch, waitsAt }: Contender, sign: 1 | -1): void => {
    for (const at of rungs) {
      if (epoch < at.rung) at.below += sign;
      const place = at.rung === waitsAt ? at.places.get(trialId) : undefined;
      if (place === undefined) continue;
      const index = indexIn(at.waiting, place);
      if (sign === 1) at.waiting.splice(index, 0, place);
      else at.waiting.splice(index, 1);
    }
  };

  const candidateOf = (lane: Lane, field: Field): Candidate | null => {
    for (const at of lane.rungs.toReversed()) {
      const [first] = at.waiting;
      if (first === undefined || (inRounds && !isFinal(lane, at, field))) continue;
      const quota = quotaOf(options, lane.ladder, at, field.made);
      const trial = rankOf(at, first) < quota ? lane.members.get(first.trialId) : undefined;
      if (trial !== undefined) return { at, trial, quota };
    }
    return null;
  };

  const take = (which: keyof typeof unasked, { isSearchDone }: Field): Lane[] => {
    if (isSearchDone !== wasSearchDone) {
      wasSearchDone = isSearchDone;
      for (const lane of lanes.values()) for (const set of Object.values(unasked)) set.add(lane);
    }
    const taken = [...unasked[which]];
    unasked[which].clear();
    return taken;
  };

  /** Of two candidates of one height, the one whose ladder has the oldest open trial. */
  const orderOf = (lane: Lane): number => {
    const { members, isOrdered } = lane;
    if (!isOrdered) {
      const sorted = [...members].sort(([, a], [, b]) => a.made - b.made);
      members.clear();
      for (const [trialId, trial] of sorted) members.set(trialId, trial);
      lane.lastMade = sorted.at(-1)?.[1].made ?? -1;
      lane.isOrdered = true;
    }
    return members.values().next().value?.made ?? Infinity;
  };

  return {
    absorbed(observation) {
      const { trialId, previousEpoch, epoch } = observation;
      for (const at of laneOf(observation).rungs) {
        if (at.rung <= previousEpoch || at.rung > epoch) continue;
        const value = options.valueOf(observation);
        at.places.set(trialId, { trialId, value, arrival: at.places.size });
      }
    },
    note(trial) {
      const lane = laneOf(trial);
      const before = lane.members.get(trial.trialId);
      if (before !== undefined) count(lane, before, -1);
      if (trial.isOpen) {
        if (before === undefined) {
          if (trial.made < lane.lastMade) lane.isOrdered = false;
          lane.lastMade = trial.made;
        }
        lane.members.set(trial.trialId, trial);
        count(lane, trial, 1);
      } else lane.members.delete(trial.trialId);
      unasked.next.add(lane);
      unasked.hopeless.add(lane);
      if (lane.members.size === 0) lanes.delete(lane.ladder.key);
    },
    next(field): Promotion | null {
      for (const lane of take('next', field)) {
        const candidate = candidateOf(lane, field);
        if (candidate === null) candidates.delete(lane);
        else candidates.set(lane, candidate);
      }
      let best: { lane: Lane; candidate: Candidate } | null = null;
      for (const [lane, candidate] of candidates) {
        const above = best === null ? 1 : candidate.at.rung - best.candidate.at.rung;
        if (best === null || above > 0 || (above === 0 && orderOf(lane) < orderOf(best.lane)))
          best = { lane, candidate };
      }
      if (best === null) return null;
      const { at, trial, quota } = best.candidate;
      const decision = decisionOf(at, trial, 'promote', `the best ${quota} are promoted`);
      return { trialId: trial.trialId, decision };
    },
    hopeless(field) {
      return take('hopeless', field).flatMap((lane) =>
        lane.rungs.flatMap((at) => {
          if (!isFinal(lane, at, field)) return [];
          const quota = quotaOf(options, lane.ladder, at, field.made);
          const begin = firstNot(
            at.waiting.length,
            (index) => rankOf(at, at.waiting[index] as Place) < quota,
          );
          const words = `no other trial can come, and the best ${quota} are promoted`;
          return at.waiting
            .slice(begin)
            .flatMap(({ trialId }) => lane.members.get(trialId) ?? [])
            .sort((a, b) => a.made - b.made)
            .map((trial) => {
              const { rule, reason } = decisionOf(at, trial, 'stop', words);
              return { trialId: trial.trialId, reason: `${rule}: ${reason}` };
            });
        }),
      );
    },
  };

  function decisionOf(at: RungState, trial: Contender, action: 'promote' | 'stop', words: string) {
    const place = at.places.get(trial.trialId);
    const rank = place === undefined ? at.entries().length : rankOf(at, place);
    const where = { rung: at.rung, rank, n: at.entries().length, value: place?.value ?? NaN };
    return decisionAt(options, where, trial.epoch, action, words);
  }
}
