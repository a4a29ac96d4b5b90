/**
 * ASHA: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning",
 * arXiv 1810.05934, section 3 (eta: reduction factor; r: `firstRung`; s: bracket).
 *
 * Stopping form: rungs lie at `firstRung * eta^(k+s)` epochs below `maxEpochs`. Of the n values at a rung, the newcomer's included, a
 * trial goes on iff fewer than max(1, floor(n / eta)) are strictly better; ties go on. A report that skips rungs counts
 * with its own value at those that it passed, lowest first: up to the first one that stops the trial (version 2, as
 * Optuna's SuccessiveHalvingPruner does), or at all of them (version 1, in ledgers of before).
 */
import { createHash } from 'node:crypto';
import type { Decision } from '../events.js';
import type { AshaSpec, Goal } from '../spec.js';
import { halving } from './halving.js';
import type { HalvingSpec } from './rungs.js';
import { show, signOf, type Observation, type RuleState, type StoppingRule } from './rule.js';
import { countBetter, insert } from './sorted.js';

/** Epochs of the rungs of bracket `s`, ascending. Integers throughout: no logarithm decides how many there are. */
export function ashaRungs(spec: AshaSpec, maxEpochs: number, bracket = 0): readonly number[] {
  const rungs: number[] = [];
  let epochs = spec.firstRung;
  for (let s = 0; s < bracket; s++) epochs *= spec.eta;
  for (; epochs < maxEpochs; epochs *= spec.eta) rungs.push(epochs);
  return rungs;
}

/**
 * The bracket of a trial: a stable hash, weighted as Hyperband sizes its brackets: n proportional
 * to eta^t / (t + 1) for the bracket with t more rungs below it, t = brackets - 1 - s (arXiv 1603.06560, section 3).
 */
export function ashaBracket(sweepId: string, trialId: string, spec: AshaSpec): number {
  if (spec.brackets === 1) return 0;
  const weights = Array.from(
    { length: spec.brackets },
    (_, s) => spec.eta ** (spec.brackets - 1 - s) / (spec.brackets - s),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const hash = createHash('sha256').update(`${sweepId}/${trialId}`).digest().readUInt32BE(0);
  let rest = (hash / 2 ** 32) * total;
  for (const [s, weight] of weights.entries()) {
    if (rest < weight) return s;
    rest -= weight;
  }
  return spec.brackets - 1;
}

/** Values at each rung, best first, larger is better; keyed `BRACKET/GROUP/EPOCHS`. */
type AshaState = Record<string, number[]>;

/**
 * The promotion form (section 3, algorithm 2): every trial pauses at its rung; from the top rung down, the best paused
 * trial among the floor(n / eta) best of its rung goes on when a slot is free.
 */
export const ashaPromotion = (spec: AshaSpec, maxEpochs: number, goal: Goal, sweepId: string): StoppingRule =>
  halving(ashaHalving(spec, maxEpochs, goal, sweepId));

export function ashaHalving(spec: AshaSpec, maxEpochs: number, goal: Goal, sweepId: string): HalvingSpec {
  return {
    id: 'asha-promote@1',
    eta: spec.eta,
    window: spec.window,
    sign: signOf(goal),
    inRounds: false,
    ladderOf({ trialId, parameters }) {
      const bracket = ashaBracket(sweepId, trialId, spec);
      const group = spec.compareWithin.map((name) => parameters[name] ?? null);
      const key = `${bracket}/${JSON.stringify(group)}`;
      return { key, rungs: ashaRungs(spec, maxEpochs, bracket), positions: null };
    },
  };
}

/** A rung that a report passed: how its value stands there, and whether the trial goes on. */
interface Standing {
  readonly rung: number;
  readonly n: number;
  readonly better: number;
  readonly kept: number;
  readonly threshold: number;
  readonly goesOn: boolean;
}

function standingAt(values: readonly number[], value: number, rung: number, eta: number): Standing {
  const n = values.length;
  const better = countBetter(values, value);
  const kept = Math.max(1, Math.floor(n / eta));
  return { rung, n, better, kept, threshold: values[kept - 1] ?? NaN, goesOn: better < kept };
}

export interface AshaPlace {
  /** Bracket and group of the trial. */
  readonly prefix: string;
  /** Rungs that the report passed, ascending. */
  readonly passed: readonly number[];
  /** Larger is better. */
  readonly value: number;
}

/** Where a report counts, and with what. */
export function ashaPlace(
  spec: AshaSpec,
  maxEpochs: number,
  sign: 1 | -1,
  sweepId: string,
  observation: Observation,
): AshaPlace {
  const bracket = ashaBracket(sweepId, observation.trialId, spec);
  const group = spec.compareWithin.map((name) => observation.parameters[name] ?? null);
  const window = observation.recent(spec.window);
  return {
    prefix: `${bracket}/${JSON.stringify(group)}`,
    passed: ashaRungs(spec, maxEpochs, bracket).filter(
      (rung) => observation.previousEpoch < rung && rung <= observation.epoch,
    ),
    value: (sign * window.reduce((sum, value) => sum + value, 0)) / window.length,
  };
}

/** The stopping form, `asha@1` or `asha@2` as the spec records it. */
export function asha(spec: AshaSpec, maxEpochs: number, goal: Goal, sweepId: string): StoppingRule {
  const sign = signOf(goal);
  const id = `asha@${spec.version ?? 1}`;
  /** Since version 2 the trial never reaches the rungs above one that stops it. */
  const endsAtStop = spec.version === 2;

  const place = (observation: Observation): AshaPlace =>
    ashaPlace(spec, maxEpochs, sign, sweepId, observation);

  return {
    id,
    init: () => ({}),
    absorb(state: RuleState, observation) {
      if (observation.repeat > 1) return;
      const { prefix, passed, value } = place(observation);
      for (const rung of passed) {
        const values = ((state as AshaState)[`${prefix}/${rung}`] ??= []);
        insert(values, value);
        if (endsAtStop && !standingAt(values, value, rung, spec.eta).goesOn) return;
      }
    },
    judge(state, observation) {
      if (observation.repeat > 1) return [];
      const { prefix, passed, value } = place(observation);
      const standings = passed.map((rung) =>
        standingAt((state as AshaState)[`${prefix}/${rung}`] ?? [], value, rung, spec.eta),
      );
      const stop = endsAtStop ? standings.findIndex(({ goesOn }) => !goesOn) : -1;
      const reached = stop < 0 ? standings : standings.slice(0, stop + 1);
      return reached.map(({ rung, n, better, kept, threshold, goesOn }): Decision => {
        const what = spec.window > 1 ? `mean of the last ${spec.window} epochs` : 'value';
        return {
          rule: id,
          action: goesOn ? 'continue' : 'stop',
          epoch: observation.epoch,
          rung,
          value: sign * value,
          rank: better + 1,
          n,
          threshold: sign * threshold,
          reason:
            `rung ${rung}: ${what} ${show(sign * value)} is rank ${better + 1} of ${n}; ` +
            `the best ${kept} (to ${show(sign * threshold)}) go on`,
        };
      });
    },
  };
}
