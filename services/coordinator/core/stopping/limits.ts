/**
 * What one trial may spend. A limit acts at the first epoch at which what was read of the trial reaches it, so it is
 * exceeded by at most one epoch. A reading that is null is no spending and never ends a trial; the limit says once a
 * trial that it cannot see.
 */
import { JOULES_PER_WH } from '../joules.js';
import type { Decision } from '../events.js';
import type { TrialLimitsSpec } from '../spec.js';

/** What the trial has spent, all attempts together; null while nothing was read. */
export interface Spending {
  readonly seconds: number | null;
  readonly joules: number | null;
}

interface Limit {
  readonly rule: string;
  readonly spent: number | null;
  readonly bound: number | null;
  readonly unit: string;
}

/**
 * What the limits say of the newest epoch: a stop, or once the word that nothing is read.
 *
 * @param earlier the trial's decisions so far
 */
export function judgeLimits(
  limits: TrialLimitsSpec,
  epoch: number,
  spending: Spending,
  earlier: readonly Decision[],
): readonly Decision[] {
  const { seconds, joules } = spending;
  const all: readonly Limit[] = [
    { rule: 'max_seconds@1', spent: seconds, bound: limits.maxSeconds, unit: 's' },
    {
      rule: 'max_energy@1',
      spent: joules === null ? null : joules / JOULES_PER_WH,
      bound: limits.maxEnergyWh,
      unit: 'Wh',
    },
  ];
  return all.flatMap((limit) => judgeLimit(limit, epoch, earlier));
}

function judgeLimit(
  { rule, spent, bound, unit }: Limit,
  epoch: number,
  earlier: readonly Decision[],
): Decision[] {
  if (bound === null) return [];
  const facts = { rule, epoch, rung: null, value: spent, rank: null, n: null, threshold: bound };
  if (spent === null) {
    const isSaid = earlier.some((decision) => decision.rule === rule && decision.value === null);
    const reason = `nothing was read of the trial so far, so the limit of ${bound} ${unit} does not act`;
    return isSaid ? [] : [{ ...facts, action: 'continue', reason }];
  }
  if (spent < bound) return [];
  const reason = `the trial has spent ${Number(spent.toPrecision(6))} ${unit}; its limit is ${bound} ${unit}`;
  return [{ ...facts, action: 'stop', reason }];
}
