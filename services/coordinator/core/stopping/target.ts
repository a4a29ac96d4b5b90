/**
 * Target: a trial that holds the level succeeds early. "Holds" is the confirmed transition that reports use: the
 * earliest epoch e with a value at the level, after which `holdEpochs` more epochs fall short by at most
 * `holdTolerance`.
 */
import type { Decision, EpochRecord } from '../events.js';
import type { ObjectiveSpec } from '../spec.js';
import { show, signOf, type Point } from './rule.js';

/**
 * The epoch since which the target is held, when the newest epoch confirms it; else null. All values are finite.
 *
 * @param points rising; the last `holdEpochs` + 1 are enough
 */
export function heldSince(
  { target, goal, holdEpochs, holdTolerance }: ObjectiveSpec,
  points: readonly Pick<Point, 'epoch' | 'value'>[],
): number | null {
  const newest = points.at(-1);
  if (target === null || newest === undefined) return null;
  const sign = signOf(goal);
  const reachedAt = newest.epoch - holdEpochs;
  const first = points.findLastIndex(({ epoch }) => epoch <= reachedAt);
  const start = points[first];
  if (start === undefined || !(sign * start.value >= sign * target)) return null;
  const holds = points.slice(first).every(({ value }) => sign * value >= sign * target - holdTolerance);
  return holds ? start.epoch : null;
}

/** The decision when the newest epoch confirms the target, else null. All values are finite. */
export function judgeTarget(objective: ObjectiveSpec, epochs: readonly EpochRecord[]): Decision | null {
  const { target, metric, holdEpochs, holdTolerance } = objective;
  const newest = epochs.at(-1);
  if (target === null || newest === undefined) return null;
  const points = epochs
    .slice(-holdEpochs - 1)
    .map(({ epoch, metrics }) => ({ epoch, value: metrics[metric] ?? NaN }));
  const since = heldSince(objective, points);
  if (since === null) return null;
  return {
    rule: 'target@1',
    action: 'succeed',
    epoch: newest.epoch,
    rung: null,
    value: points.find(({ epoch }) => epoch === since)?.value ?? null,
    rank: null,
    n: holdEpochs,
    threshold: target,
    reason:
      `${metric} reached ${show(target)} at epoch ${since} and held it for ${holdEpochs} more ` +
      `(within ${holdTolerance})`,
  };
}
