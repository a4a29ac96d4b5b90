/**
 * ASHA by non-dominated sorting, the stopping form: at a rung a trial is ranked by its objective and by the joules and
 * seconds that it took to come there (R. Schmucker et al., "Multi-objective Asynchronous Successive Halving", arXiv
 * 2106.12639, MO-ASHA). Fronts and crowding distance as K. Deb et al., "A fast and elitist multiobjective genetic
 * algorithm: NSGA-II", IEEE Trans. Evol. Comput. 6(2), 2002, section III: a trial is better when its front is, or, in one
 * front, when its crowding distance is larger. It goes on iff fewer than max(1, floor(n / eta)) are strictly better.
 *
 * A cost counts at a rung only when every trial there has a reading of it: one that is missing never decides.
 */
import type { Decision } from '../events.js';
import type { AshaSpec, CostAxis, Goal } from '../spec.js';
import { ashaPlace } from './asha.js';
import { show, signOf, type Observation, type StoppingRule } from './rule.js';

/** Of one trial at one rung, larger is better; a cost is negated, null when it is not known. */
type Vector = readonly (number | null)[];

const ID = 'asha-pareto@1';

export function ashaPareto(
  spec: AshaSpec,
  costs: readonly CostAxis[],
  maxEpochs: number,
  goal: Goal,
  sweepId: string,
): StoppingRule {
  const sign = signOf(goal);
  const vectorOf = (observation: Observation, value: number): Vector => {
    const points = observation.history(Infinity);
    return [value, ...costs.map((axis) => negated(total(points.map((point) => point[axis]))))];
  };
  const rungsOf = (state: Record<string, unknown>): Partial<Record<string, Vector[]>> =>
    state as Partial<Record<string, Vector[]>>;

  const standingAt = (entries: readonly Vector[], own: Vector, rung: number) => {
    const n = entries.length;
    const better = countBetterInFronts(entries, own);
    const kept = Math.max(1, Math.floor(n / spec.eta));
    return { rung, n, better, kept, goesOn: better < kept };
  };

  return {
    id: ID,
    init: () => ({}),
    absorb(state, observation) {
      if (observation.repeat > 1) return;
      const { prefix, passed, value } = ashaPlace(spec, maxEpochs, sign, sweepId, observation);
      const own = vectorOf(observation, value);
      for (const rung of passed) {
        const entries = (rungsOf(state)[`${prefix}/${rung}`] ??= []);
        entries.push(own);
        if (!standingAt(entries, own, rung).goesOn) return;
      }
    },
    judge(state, observation) {
      if (observation.repeat > 1) return [];
      const { prefix, passed, value } = ashaPlace(spec, maxEpochs, sign, sweepId, observation);
      const own = vectorOf(observation, value);
      const decisions: Decision[] = [];
      for (const rung of passed) {
        const entries = rungsOf(state)[`${prefix}/${rung}`] ?? [];
        const { n, better, kept, goesOn } = standingAt(entries, own, rung);
        const read = costs.filter((_, axis) => entries.every((entry) => entry[axis + 1] !== null));
        const by = ['its objective', ...read].join(', ');
        const left =
          costs.length === read.length
            ? ''
            : ` (not by ${costs.filter((axis) => !read.includes(axis)).join(', ')}: not known of all)`;
        decisions.push({
          rule: ID,
          action: goesOn ? 'continue' : 'stop',
          epoch: observation.epoch,
          rung,
          value: sign * value,
          rank: better + 1,
          n,
          threshold: null,
          reason: `rung ${rung}: with ${show(sign * value)} it is rank ${better + 1} of ${n} by ${by}${left}; the best ${kept} go on`,
        });
        if (!goesOn) break;
      }
      return decisions;
    },
  };
}

const negated = (cost: number | null): number | null => (cost === null ? null : -cost);

/** Null when one of them is not known. */
const total = (readings: readonly (number | null)[]): number | null =>
  readings.reduce<number | null>((sum, one) => (sum === null || one === null ? null : sum + one), 0);

/** How many of the entries are strictly better than `own`, which is one of them. */
export function countBetterInFronts(entries: readonly Vector[], own: Vector): number {
  const axes = own.flatMap((_, axis) => (entries.every((entry) => entry[axis] !== null) ? [axis] : []));
  const project = (vector: Vector): number[] => axes.map((axis) => vector[axis] ?? 0);
  const mine = project(own);
  let better = 0;
  for (const front of fronts(entries.map(project))) {
    const place = front.findIndex((vector) => vector.every((value, axis) => value === mine[axis]));
    if (place < 0) {
      better += front.length;
      continue;
    }
    const distances = crowding(front);
    // Equal vectors are one place: the widest of them stands for all.
    const equal = front.flatMap((vector, at) =>
      vector.every((value, axis) => value === mine[axis]) ? [distances[at] ?? 0] : [],
    );
    const widest = Math.max(...equal);
    return better + distances.filter((distance) => distance > widest).length;
  }
  return better;
}

const dominates = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((value, axis) => value >= (b[axis] ?? 0)) && a.some((value, axis) => value > (b[axis] ?? 0));

/** Non-dominated fronts, best first, by sequential search in sorted order (X. Zhang et al., ENS, IEEE TEVC 19(2), 2015). */
function fronts(vectors: readonly (readonly number[])[]): (readonly number[])[][] {
  const sorted = vectors.toSorted((a, b) => {
    const axis = a.findIndex((value, index) => value !== b[index]);
    return axis < 0 ? 0 : (b[axis] ?? 0) - (a[axis] ?? 0);
  });
  const found: (readonly number[])[][] = [];
  for (const vector of sorted) {
    const front = found.find((members) => !members.some((member) => dominates(member, vector)));
    if (front === undefined) found.push([vector]);
    else front.push(vector);
  }
  return found;
}

/** Crowding distance of each member of a front; Infinity at the ends of each axis. */
function crowding(front: readonly (readonly number[])[]): number[] {
  const distances = front.map(() => 0);
  for (const axis of front[0]?.keys() ?? []) {
    const at = (place: number): number => front[place]?.[axis] ?? 0;
    const order = [...front.keys()].sort((a, b) => at(a) - at(b));
    const low = at(order[0] ?? 0);
    const high = at(order.at(-1) ?? 0);
    if (high === low) continue;
    for (const [index, place] of order.entries()) {
      const isEnd = at(place) === low || at(place) === high;
      const gap = at(order[index + 1] ?? place) - at(order[index - 1] ?? place);
      distances[place] = (distances[place] ?? 0) + (isEnd ? Infinity : gap / (high - low));
    }
  }
  return distances;
}
