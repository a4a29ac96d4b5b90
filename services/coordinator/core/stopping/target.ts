/**
 * Target: a trial that holds the level succeeds early. "Holds" is the confirmed transition that reports use: the
 * earliest epoch e with a value at the level, after which `holdEpochs` more epochs fall short by at most
 * `holdTolerance`.
 */
import type { Decision, EpochRecord } from '../events.js';
import type { ObjectiveSpec } from '../spec.js';
import { show, signOf } from './rule.js';

/** The decision when the newest epoch confirms the target, else null. All values are finite. */
export function judgeTarget(objective: ObjectiveSpec, epochs: readonly EpochRecord[]): Decision | null {
  const { target, metric, holdEpochs, holdTolerance } = objective;
  const newest = epochs.at(-1);
  if (target === null || newest === undefined) return null;
  const sign = signOf(objective.goal);
  const reachedAt = newest.epoch - holdEpochs;
  let first = epochs.length - 1;
  while (first > 0 && (epochs[first] as EpochRecord).epoch > reachedAt) first--;
  const start = epochs[first] as EpochRecord;
  if (start.epoch > reachedAt) return null;
  const valueOf = (record: EpochRecord): number => sign * (record.metrics[metric] ?? NaN);
  if (!(valueOf(start) >= sign * target)) return null;
  const holds = epochs.slice(first).every((record) => valueOf(record) >= sign * target - holdTolerance);
  if (!holds) return null;
  return {
    rule: 'target@1',
    action: 'succeed',
    epoch: newest.epoch,
    rung: null,
    value: sign * valueOf(start),
    rank: null,
    n: holdEpochs,
    threshold: target,
    reason:
      `${metric} reached ${show(target)} at epoch ${start.epoch} and held it for ${holdEpochs} more ` +
      `(within ${holdTolerance})`,
  };
}
