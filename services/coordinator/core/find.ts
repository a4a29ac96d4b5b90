/** Finding what an event or an input names in the state, and what a stopping rule sees of a trial. Changes nothing. */
import type { AttemptRef, NamedAttempt, TrialRef } from './events.js';
import { addJoules } from './joules.js';
import type { SweepSpec } from './spec.js';
import type { AttemptState, State, SweepState, TrainerState, TrialRecord } from './state.js';
import { stoppingRule, type Observation, type StoppingRule } from './stopping/index.js';

/** Thrown when an event refers to something that the log never made: the ledger is broken or not ours. */
export class BrokenLogError extends Error {
  override readonly name = 'BrokenLogError';
}

const rules = new WeakMap<SweepSpec, StoppingRule>();

/** The stopping rule of a sweep; made once a spec. */
export function ruleOf(sweep: SweepState): StoppingRule {
  let rule = rules.get(sweep.spec);
  if (rule === undefined) rules.set(sweep.spec, (rule = stoppingRule(sweep.spec, sweep.sweepId)));
  return rule;
}

/** @throws BrokenLogError */
export function sweepOf(state: State, sweepId: string): SweepState {
  const sweep = state.sweeps.get(sweepId);
  if (sweep === undefined) throw new BrokenLogError(`The log has no sweep ${sweepId}.`);
  return sweep;
}

/** @throws BrokenLogError */
export function trialOf(state: State, ref: TrialRef): TrialRecord {
  const trial = sweepOf(state, ref.sweepId).trials.get(ref.trialId);
  if (trial === undefined) throw new BrokenLogError(`The log has no trial ${ref.sweepId}/${ref.trialId}.`);
  return trial;
}

/** The attempt with this number. Numbers rise, and leave some out where a ledger was restored. */
export function attemptIn({ attempts }: TrialRecord, number: number): AttemptState | undefined {
  const last = attempts[attempts.length - 1];
  return last?.attempt === number ? last : attempts.find(({ attempt }) => attempt === number);
}

/** The attempt that a trainer names: one of the same number may be of a part of the ledger that a restore took away. */
export function namedIn(
  trial: TrialRecord,
  { attempt, termId = '' }: NamedAttempt,
): AttemptState | undefined {
  const found = attemptIn(trial, attempt);
  return found?.termId === termId ? found : undefined;
}

/**
 * Id of the term that made the trial, as the trainer of this attempt is told it: none once a trainer had the trial that
 * knows no such ids, so that its checkpoints keep their name.
 */
export function trialTermIdOf({ attempts, termId }: TrialRecord, attempt: AttemptState): string {
  const until = attempts.slice(0, attempts.indexOf(attempt) + 1);
  return until.every((one) => one.termId !== '') ? termId : '';
}

/** @throws BrokenLogError */
export function attemptOf(state: State, ref: AttemptRef): AttemptState {
  const attempt = attemptIn(trialOf(state, ref), ref.attempt);
  if (attempt === undefined)
    throw new BrokenLogError(`The log has no attempt ${ref.sweepId}/${ref.trialId}#${ref.attempt}.`);
  return attempt;
}

/** @throws BrokenLogError */
export function trainerOf(state: State, trainerId: string): TrainerState {
  const trainer = state.trainers.get(trainerId);
  if (trainer === undefined) throw new BrokenLogError(`The log has no trainer ${trainerId}.`);
  return trainer;
}

/** True for states in which a trial stays until a person lets it run again. */
export const hasEnded = (trial: TrialRecord): boolean =>
  trial.state !== 'queued' &&
  trial.state !== 'starting' &&
  trial.state !== 'running' &&
  trial.state !== 'paused';

/**
 * A report of a trial as a stopping rule sees it.
 *
 * @param position of its epoch in the trial's record; the newest by default. @throws BrokenLogError for none
 */
export function observationOf(
  sweep: SweepState,
  trial: TrialRecord,
  position = trial.epochs.length - 1,
): Observation {
  const { metric } = sweep.spec.objective;
  const { epochs } = trial;
  const record = epochs[position];
  if (record === undefined) throw new BrokenLogError(`Trial ${trial.trialId} has no epoch.`);
  return {
    trialId: trial.trialId,
    index: trial.index,
    parameters: trial.parameters,
    repeat: trial.repeat,
    epoch: record.epoch,
    previousEpoch: epochs[position - 1]?.epoch ?? 0,
    value: record.metrics[metric] ?? NaN,
    recent: (count) =>
      epochs.slice(Math.max(0, position + 1 - count), position + 1).map((one) => one.metrics[metric] ?? NaN),
    history: (count) =>
      epochs.slice(Math.max(0, position + 1 - count), position + 1).map((one) => ({
        epoch: one.epoch,
        value: one.metrics[metric] ?? NaN,
        joules: addJoules(one.train.joules, one.evaluation.joules),
        seconds: one.trainSeconds === null ? null : one.trainSeconds + (one.evaluationSeconds ?? 0),
      })),
  };
}
