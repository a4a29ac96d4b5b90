/** One trial of the ledger's state, summed up. */
import type { EpochRecord } from '../core/events.js';
import type { SweepSpec } from '../core/spec.js';
import type { AttemptState, TrialRecord } from '../core/state.js';
import {
  epochJoules,
  epochSeconds,
  costTo,
  meanUtilization,
  meanWatts,
  powerMethods,
  sumOrNull,
} from './analysis/cost.js';
import {
  best,
  final,
  firstHit,
  isBetter,
  meanOfLast5,
  transition,
  type CurveValue,
  type Hold,
} from './analysis/curve.js';
import { meteringOf } from './analysis/metering.js';
import type { Labels } from './labels.js';
import type { TrialLevel, TrialSummary } from './types.js';

/** Joins the models of a trial that was trained on several. */
export const MODEL_SEPARATOR = ' + ';

const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

/**
 * Model of the device whose epochs count. An attempt that reported nothing new (it died early, or trained again what
 * was there) does not, unless no attempt did. Several models are joined: such a trial is in a cell of its own.
 */
function deviceOf(attempts: readonly AttemptState[]): string | null {
  const started = attempts.filter((attempt) => attempt.startedAt !== null);
  let accepted = 0;
  const contributing = started.filter(({ lastEpoch }) => {
    const isNew = lastEpoch > accepted;
    accepted = Math.max(accepted, lastEpoch);
    return isNew;
  });
  const counting = contributing.length > 0 ? contributing : started.slice(-1);
  const models = unique(counting.map((attempt) => attempt.deviceModel || attempt.deviceKind));
  return models.length === 0 ? null : models.join(MODEL_SEPARATOR);
}

/** The objective as reported; null where it was missing or not finite. */
function objectiveValues(records: readonly EpochRecord[], metric: string): readonly (number | null)[] {
  return records.map(({ metrics }) => {
    const value = metrics[metric];
    return value !== undefined && Number.isFinite(value) ? value : null;
  });
}

/** One entry an epoch; undefined where the program left it out. */
function byEpoch({ epochs, values }: TrialSummary['curve']): readonly CurveValue[] {
  const dense = new Array<CurveValue>(epochs.at(-1) ?? 0).fill(undefined);
  epochs.forEach((epoch, i) => (dense[epoch - 1] = values[i]));
  return dense;
}

/** Levels of the sweep, its target among them, from the easiest to the hardest. */
export function levelsOf(spec: SweepSpec): readonly number[] {
  const { target, goal } = spec.objective;
  const levels = unique(target === null ? spec.levels : [...spec.levels, target]);
  return [...levels].sort((a, b) => (goal === 'maximize' ? a - b : b - a));
}

export const holdOf = (spec: SweepSpec): Hold => ({
  window: spec.objective.holdEpochs,
  tolerance: spec.objective.holdTolerance,
  goal: spec.objective.goal,
});

export function summarizeTrial(trial: TrialRecord, spec: SweepSpec, labels: Labels): TrialSummary {
  const { epochs: records } = trial;
  const { metric, goal } = spec.objective;
  const curve = {
    epochs: records.map(({ epoch }) => epoch),
    values: objectiveValues(records, metric),
    seconds: records.map(epochSeconds),
    joules: records.map(epochJoules),
  };
  const values = byEpoch(curve);
  const epochs = values.length;
  const totalSeconds = sumOrNull(curve.seconds);
  const totalJoules = sumOrNull(curve.joules);
  const methods = powerMethods(records);
  const hold = holdOf(spec);
  const wasted = trial.attempts.map((attempt) => attempt.wastedJoules).filter((j) => j !== null);
  const levels = levelsOf(spec).map((level): TrialLevel => {
    const { status, epoch, ranEpochs } = transition(values, level, hold);
    return {
      level,
      firstHit: firstHit(values, level, goal),
      status,
      epoch,
      ranEpochs,
      seconds: epoch === null ? null : costTo(curve, 'seconds', epoch),
      joules: epoch === null ? null : costTo(curve, 'joules', epoch),
    };
  });
  const label = labels.of(trial.pointHash);
  return {
    trialId: trial.trialId,
    index: trial.index,
    rank: null,
    settingId: trial.pointHash,
    label: spec.repeats > 1 ? `${label} (repeat ${trial.repeat})` : label,
    repeat: trial.repeat,
    seed: trial.seed,
    parameters: trial.parameters,
    state: trial.state,
    reason: trial.reason,
    code: trial.code,
    endClass: trial.attempts.at(-1)?.end?.class ?? null,
    device: deviceOf(trial.attempts),
    trainers: unique(trial.attempts.map((attempt) => attempt.trainerId)),
    attempts: trial.attempts.length,
    epochs,
    best: best(values, goal),
    final: final(values),
    meanOfLast5: meanOfLast5(values),
    seconds: totalSeconds,
    joules: totalJoules,
    wastedJoules: sumOrNull(wasted),
    secondsPerEpoch: totalSeconds === null ? null : totalSeconds / epochs,
    joulesPerEpoch: totalJoules === null ? null : totalJoules / epochs,
    watts: meanWatts(curve),
    gpuUtilization: meanUtilization(records),
    powerMethods: methods,
    metering: meteringOf(trial.attempts, totalJoules, totalSeconds),
    estimated: methods.includes('estimate'),
    levels,
    curve,
  };
}

/** 0: by value; 1: ran without a value so far; 2: failed; 3: diverged. */
function group(trial: TrialSummary): number {
  if (trial.state === 'diverged') return 3;
  if (trial.state === 'failed') return 2;
  return trial.best === null ? 1 : 0;
}

/** Trials that did anything, in leaderboard order, with ranks. Ties go to the earlier trial. */
export function leaderboard(trials: readonly TrialSummary[], spec: SweepSpec): readonly TrialSummary[] {
  const { goal } = spec.objective;
  const compare = (a: TrialSummary, b: TrialSummary): number => {
    const byGroup = group(a) - group(b);
    if (byGroup !== 0) return byGroup;
    if (a.best !== null && b.best !== null && a.best.value !== b.best.value) {
      return isBetter(a.best.value, b.best.value, goal) ? -1 : 1;
    }
    return Number(a.best === null) - Number(b.best === null) || a.index - b.index;
  };
  return trials
    .filter((trial) => trial.attempts > 0 || trial.state === 'failed')
    .sort(compare)
    .map((trial, i) => (group(trial) === 0 ? { ...trial, rank: i + 1 } : trial));
}
