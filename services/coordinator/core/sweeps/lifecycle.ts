/**
 * How trials and sweeps end, whoever asks for it: rules, budgets, people, failures. Beside it in this room: what a report
 * (`reports.ts`), a verdict (`judge.ts`), an attempt's end (`retries.ts`) and a person's wish (`changes.ts`) lead to.
 * Where a trial runs is `../placement/`.
 */
import type { AttemptRef, NamedAttempt, StopMode, TrialEndState } from '../events.js';
import { hasEnded } from '../find.js';
import { tellEnd, tellRest } from '../notify/index.js';
import type { AttemptState, SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

export const refOf = (sweep: SweepState, trial: TrialRecord, attempt: AttemptState): AttemptRef => ({
  sweepId: sweep.sweepId,
  trialId: trial.trialId,
  attempt: attempt.attempt,
});

/** As its trainer names it. */
export const named = ({
  sweep,
  trial,
  attempt,
}: {
  readonly sweep: SweepState;
  readonly trial: TrialRecord;
  readonly attempt: AttemptState;
}): NamedAttempt => ({ ...refOf(sweep, trial, attempt), termId: attempt.termId });

/** The attempt that holds a slot for the trial now, if there is one. */
export function liveAttempt(trial: TrialRecord): AttemptState | null {
  const attempt = trial.attempts.at(-1);
  return attempt !== undefined && attempt.end === null ? attempt : null;
}

/** Asks the trial's live attempt, if any, to end. */
export function requestStop(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  mode: StopMode,
  reason: string,
): void {
  const attempt = liveAttempt(trial);
  if (attempt === null || attempt.stopMode === mode) return;
  const ref = refOf(sweep, trial, attempt);
  step.emit({ type: 'stop_requested', ...ref, mode, reason, at: step.at });
  const name = named({ sweep, trial, attempt });
  step.act({ type: 'stop_attempt', ...name, trainerId: attempt.trainerId, mode, reason });
}

/** Ends the trial for good. Its attempt, if it still runs, is asked to end and keeps its slot until it has. */
export function endTrial(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  state: TrialEndState,
  reason: string,
  code = '',
): void {
  if (hasEnded(trial)) return;
  const { sweepId } = sweep;
  step.emit({ type: 'trial_ended', sweepId, trialId: trial.trialId, state, reason, code, at: step.at });
  // An attempt that reached its last epoch ends by itself.
  const last = trial.epochs.at(-1)?.epoch ?? 0;
  if (state === 'succeeded' && last >= sweep.spec.maxEpochs) return;
  requestStop(step, sweep, trial, state === 'cancelled' || state === 'diverged' ? 'cancel' : 'stop', reason);
}

/**
 * Ends a trial that has no more epochs to come.
 *
 * @param withoutEpoch why one without any has failed
 * @param addition to the reason of one with epochs
 */
export function complete(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  withoutEpoch: string,
  addition = '',
): void {
  const epoch = trial.epochs.at(-1)?.epoch;
  if (epoch === undefined) endTrial(step, sweep, trial, 'failed', withoutEpoch, 'NO_REPORT');
  else endTrial(step, sweep, trial, 'succeeded', `complete after epoch ${epoch}${addition}`);
}

/** Lets no trial begin, and its attempts checkpoint and end, until a person resumes it. @param reason null: a person's wish */
export function pauseSweep(step: Step, sweep: SweepState, reason: string | null): void {
  if (sweep.status !== 'running') return;
  const why = reason === null ? {} : { reason };
  step.emit({ type: 'sweep_paused', sweepId: sweep.sweepId, ...why, at: step.at });
  for (const trialId of sweep.active) {
    const trial = sweep.trials.get(trialId);
    if (trial !== undefined && !hasEnded(trial))
      requestStop(step, sweep, trial, 'pause', reason ?? 'paused by a person');
  }
}

/** Ends every open trial of the sweep; the sweep itself ends, and may then be deleted, when its last attempt has. */
export function stopSweep(
  step: Step,
  sweep: SweepState,
  state: 'stopped' | 'cancelled',
  reason: string,
  deletes = false,
): void {
  const { sweepId } = sweep;
  step.emit({ type: 'sweep_stopping', sweepId, reason, ...(deletes ? { deletes } : {}), at: step.at });
  for (const trial of [...sweep.trials.values()]) endTrial(step, sweep, trial, state, reason);
}

/** Position of the first run to propose next; null when every point has had one. */
export function nextFirstRun({ points, exhaustedAt, nextIndex }: SweepState): number | null {
  return nextIndex < Math.min(points, exhaustedAt ?? points) ? nextIndex : null;
}

/** Position of the trial to propose next, an earned repeat's after all others; null when there is none. */
export function nextPosition(sweep: SweepState): number | null {
  const { spec, points, exhaustedAt, nextIndex, made } = sweep;
  const positions = spec.stopping.rule === 'none' ? points * spec.repeats : points;
  let next = nextIndex;
  for (;;) {
    if (exhaustedAt !== null && next % points >= exhaustedAt) next = (Math.floor(next / points) + 1) * points;
    if (!made.has(next)) break;
    next += 1;
  }
  if (sweep.smoke?.isOpen === true && next >= sweep.smoke.points) return null;
  if (next < positions && exhaustedAt !== 0) return next;
  return sweep.earnedRepeats[0] ?? null;
}

/** Ends the sweep when nothing is left to do: also while it is paused, for there is nothing to go on with. */
export function endSweepWhenDone(step: Step, sweep: SweepState): void {
  if (sweep.endedAt !== null || sweep.active.size > 0 || sweep.openTrials > 0) return;
  const isStopped = sweep.status === 'stopping';
  if (!isStopped && (sweep.smoke?.isOpen === true || nextPosition(sweep) !== null)) return;
  const { sweepId } = sweep;
  const state = isStopped ? 'stopped' : 'completed';
  const reason = isStopped ? sweep.reason : 'every trial has ended';
  tellRest(step, sweep);
  step.emit({ type: 'sweep_ended', sweepId, state, reason, at: step.at });
  tellEnd(step, sweep);
  if (sweep.deletes) step.emit({ type: 'sweep_deleted', sweepId, at: step.at });
}
