/**
 * Energy to target: stops a trial that, by its curve so far, cannot reach the target before it has used more joules than
 * the trial that reached it for the fewest. Predictive termination of learning curves (T. Domhan, J. T. Springenberg,
 * F. Hutter, IJCAI 2015, section 4), with energy in the place of the final accuracy (as J. You, J. Chung, M. Chowdhury,
 * "Zeus", NSDI 2023, section 4.4, which ends a run at a multiple of the best cost), and with an optimistic bound in the
 * place of a fitted model, so that each answer can be checked by hand.
 *
 * At epoch e let b be the trial's best value, T the target, E the joules of its epochs so far, and c those of its cheapest
 * epoch. In k more epochs it gains at most
 *
 *     g(k) = optimism * max(k * s, B(e + k) - B(e))
 *
 * where s is its largest gain in one of its last `window` epochs, which is taken never to fall, and B the best value so
 * far of the trial to beat: what came late there, as when the rate drops, may come late here. With the smallest k for
 * which b + g(k) >= T and e + k <= `maxEpochs`, it cannot do with less than E + k * c joules. It stops when that is more
 * than the trial to beat took, or when there is no such k. A trial that has been at the target never stops by it.
 *
 * A missing reading is no energy: a trial of which an epoch's joules are not known is never stopped and never the one to
 * beat. Repeats beyond the first are neither.
 */
import { JOULES_PER_WH } from '../joules.js';
import type { Decision } from '../events.js';
import type { EnergyToTargetSpec, ObjectiveSpec } from '../spec.js';
import { show, signOf, type Observation, type Point, type RuleState, type StoppingRule } from './rule.js';
import { heldSince } from './target.js';

interface Spent {
  /** Of all epochs so far; null once one of them is not known. */
  joules: number | null;
  /** Of its cheapest epoch. */
  cheapest: number;
  /** Larger is better. */
  best: number;
  /** First epoch whose joules are not known. */
  unreadAt: number | null;
}

interface ToBeat {
  readonly trialId: string;
  readonly joules: number;
  /** Its best value so far, at the epochs at which it rose; larger is better. */
  readonly curve: readonly (readonly [epoch: number, best: number])[];
}

/** Plain JSON. */
interface EnergyState {
  readonly spent: Partial<Record<string, Spent>>;
  toBeat: ToBeat | null;
}

const ID = 'energy_to_target@1';
const stateOf = (state: RuleState): EnergyState => state as unknown as EnergyState;
const wattHours = (joules: number): string => `${Number((joules / JOULES_PER_WH).toPrecision(4))} Wh`;

export function energyToTarget(
  spec: EnergyToTargetSpec,
  objective: ObjectiveSpec,
  maxEpochs: number,
): StoppingRule {
  const sign = signOf(objective.goal);
  const target = sign * (objective.target ?? Infinity);

  /** The trial to beat, as the newest report makes one of this trial; null when it does not. */
  const beats = ({ trialId, history }: Observation, joules: number, known: ToBeat | null): ToBeat | null => {
    const since = heldSince(objective, history(objective.holdEpochs + 1));
    if (since === null) return null;
    const points = history(Infinity);
    const later = points.filter(({ epoch }) => epoch > since);
    const used = joules - later.reduce((sum, point) => sum + (point.joules ?? 0), 0);
    return known !== null && known.joules <= used
      ? null
      : { trialId, joules: used, curve: rising(points, sign) };
  };

  return {
    id: ID,
    init: () => ({ spent: {}, toBeat: null }),
    absorb(state, observation) {
      const { trialId, repeat, epoch, previousEpoch, value } = observation;
      if (repeat > 1) return;
      const memory = stateOf(state);
      const spent = (memory.spent[trialId] ??= {
        joules: 0,
        cheapest: Infinity,
        best: -Infinity,
        unreadAt: null,
      });
      const joules = observation.history(1)[0]?.joules ?? null;
      spent.best = Math.max(spent.best, sign * value);
      spent.joules = joules === null || spent.joules === null ? null : spent.joules + joules;
      if (joules === null) spent.unreadAt ??= epoch;
      if (joules === null || spent.joules === null) return;
      spent.cheapest = Math.min(spent.cheapest, joules / (epoch - previousEpoch));
      memory.toBeat = beats(observation, spent.joules, memory.toBeat) ?? memory.toBeat;
    },
    judge(state, observation) {
      const { trialId, repeat, epoch, previousEpoch } = observation;
      const { spent: all, toBeat } = stateOf(state);
      const spent = all[trialId];
      if (repeat > 1 || spent === undefined || epoch < spec.fromEpoch) return [];
      const facts = { rule: ID, epoch, rung: null, rank: null, n: null };
      if (spent.joules === null) {
        if (previousEpoch >= Math.max(spent.unreadAt ?? 0, spec.fromEpoch)) return [];
        const reason = 'the joules of an epoch of the trial are not known, so the rule does not act';
        return [{ ...facts, action: 'continue', value: null, threshold: null, reason }];
      }
      const points = observation.history(spec.window + 1);
      if (toBeat === null || toBeat.trialId === trialId || points.length <= spec.window) return [];
      if (spent.best >= target) return [];
      const more = epochsNeeded(spec, target - spent.best, steepest(points, sign), epoch, maxEpochs, toBeat);
      const least = more === null ? null : spent.joules + more * spent.cheapest;
      const stops = least === null || least > toBeat.joules;
      const against = `${toBeat.trialId} reached ${show(sign * target)} with ${wattHours(toBeat.joules)}`;
      const bound =
        least === null || more === null
          ? `even at its best the trial does not come from ${show(sign * spent.best)} to ${show(sign * target)} by epoch ${maxEpochs}`
          : `even at its best the trial needs ${more} more epochs and ${wattHours(least)} in all for ${show(sign * target)}`;
      const decision: Decision = {
        ...facts,
        action: stops ? 'stop' : 'continue',
        value: least,
        threshold: toBeat.joules,
        reason: `${bound}; ${against}`,
      };
      return [decision];
    },
  };
}

/** The points at which the best value so far rose. */
function rising(points: readonly Point[], sign: 1 | -1): [number, number][] {
  const curve: [number, number][] = [];
  for (const { epoch, value } of points)
    if (sign * value > (curve.at(-1)?.[1] ?? -Infinity)) curve.push([epoch, sign * value]);
  return curve;
}

/** The largest gain in one epoch; 0 when there is none. */
function steepest(points: readonly Point[], sign: 1 | -1): number {
  let slope = 0;
  for (const [index, { epoch, value }] of points.entries()) {
    const before = points[index - 1];
    if (before !== undefined)
      slope = Math.max(slope, (sign * (value - before.value)) / (epoch - before.epoch));
  }
  return slope;
}

/** The smallest k of the bound above; null when there is none within `maxEpochs`. */
function epochsNeeded(
  { optimism }: EnergyToTargetSpec,
  gap: number,
  slope: number,
  epoch: number,
  maxEpochs: number,
  { curve }: ToBeat,
): number | null {
  const alone = slope > 0 ? Math.max(1, Math.ceil(gap / (optimism * slope))) : Infinity;
  const at = curve.findLast(([other]) => other <= epoch)?.[1];
  const rise = at === undefined ? undefined : curve.find(([, best]) => optimism * (best - at) >= gap);
  const along = rise === undefined ? Infinity : Math.max(1, rise[0] - epoch);
  const more = Math.min(alone, along);
  return epoch + more <= maxEpochs ? more : null;
}
