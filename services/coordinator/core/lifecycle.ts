/** How trials and sweeps end, whoever asks for it: rules, budgets, people, failures. */
import type { AttemptEndClass, AttemptRef, StopMode, TrialEndState } from './events.js';
import { hasEnded } from './lookup.js';
import type { ReportInput } from './inputs.js';
import type { AttemptState, SweepState, TrialRecord } from './state.js';
import type { Step } from './step.js';

export const refOf = (sweep: SweepState, trial: TrialRecord, attempt: AttemptState): AttemptRef => ({
  sweepId: sweep.sweepId,
  trialId: trial.trialId,
  attempt: attempt.attempt,
});

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
  step.act({ type: 'stop_attempt', ...ref, trainerId: attempt.trainerId, mode, reason });
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

/** Ends a trial that has no more epochs to come; one without any has failed, for the reason given. */
export function complete(step: Step, sweep: SweepState, trial: TrialRecord, withoutEpoch: string): void {
  const epoch = trial.epochs.at(-1)?.epoch;
  if (epoch === undefined) endTrial(step, sweep, trial, 'failed', withoutEpoch, 'NO_REPORT');
  else endTrial(step, sweep, trial, 'succeeded', `complete after epoch ${epoch}`);
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
  if (next < positions && exhaustedAt !== 0) return next;
  return sweep.earnedRepeats[0] ?? null;
}

/** Ends the sweep when nothing is left to do: also while it is paused, for there is nothing to go on with. */
export function endSweepWhenDone(step: Step, sweep: SweepState): void {
  if (sweep.endedAt !== null || sweep.active.size > 0 || sweep.openTrials > 0) return;
  const isStopped = sweep.status === 'stopping';
  if (!isStopped && nextPosition(sweep) !== null) return;
  const { sweepId } = sweep;
  const state = isStopped ? 'stopped' : 'completed';
  const reason = isStopped ? sweep.reason : 'every trial has ended';
  step.emit({ type: 'sweep_ended', sweepId, state, reason, at: step.at });
  if (sweep.deletes) step.emit({ type: 'sweep_deleted', sweepId, at: step.at });
}

const BACKOFF_FIRST_MS = 1_000;
/** No trial and no slot pauses longer than this. */
export const LONGEST_PAUSE_MS = 60_000;

/** Attempts that ended so. One that never computed (a busy slot, a draining box) says nothing about the trial. */
const countEnds = (trial: TrialRecord, ...classes: readonly AttemptEndClass[]): number =>
  trial.attempts
    .slice(trial.retriesFrom)
    .filter(
      ({ end, startedAt }) =>
        end !== null && classes.includes(end.class) && (end.class !== 'preempted' || startedAt !== null),
    ).length;

/** What an attempt's end means for its trial, which is open. The attempt is closed already. */
export function afterAttemptEnd(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  end: Pick<Extract<ReportInput, { kind: 'ended' }>, 'class' | 'code' | 'message'>,
): void {
  // A person has let the trial run again while this attempt was still ending.
  if (trial.state === 'queued') return;
  const attempt = trial.attempts.at(-1);
  const stopMode = attempt?.stopMode ?? null;
  const said = end.class === 'completed' || end.class === 'diverged' || end.class === 'refused';
  if (stopMode === 'pause' && !said && end.class !== 'out_of_memory') {
    pauseTrial(step, sweep, trial);
    return;
  }
  switch (end.class) {
    case 'completed':
      if (attempt !== undefined && goesOn(sweep, attempt)) requeueLonger(step, sweep, trial);
      else complete(step, sweep, trial, 'ended without a report');
      return;
    case 'diverged':
      endTrial(step, sweep, trial, 'diverged', end.message, end.code || 'NON_FINITE');
      return;
    case 'out_of_memory':
      endTrial(step, sweep, trial, 'failed', end.message, end.code || 'ATTEMPT_OUT_OF_MEMORY');
      return;
    case 'refused':
      endTrial(step, sweep, trial, 'failed', end.message, end.code || 'PARAMETER_REFUSED');
      return;
    case 'crashed':
      retry(step, sweep, trial, 'crashed', end.message, end.code || 'ATTEMPT_CRASHED');
      return;
    case 'lost':
      retry(step, sweep, trial, 'lost', end.message, 'ATTEMPT_LOST');
      return;
    case 'stopped':
    case 'preempted':
      retry(step, sweep, trial, 'preempted', end.message || 'ended by its box', 'ATTEMPT_LOST');
      return;
  }
}

/** The attempt came to the last epoch that it was started for, and the sweep has been extended since. */
const goesOn = ({ spec }: SweepState, { maxEpochs, lastEpoch }: AttemptState): boolean =>
  maxEpochs < spec.maxEpochs && lastEpoch >= maxEpochs;

function requeueLonger(step: Step, { sweepId, spec }: SweepState, { trialId }: TrialRecord): void {
  const reason = `goes on to epoch ${spec.maxEpochs}`;
  step.emit({ type: 'trial_requeued', sweepId, trialId, reason, notBefore: step.at, at: step.at });
}

/** Parks the trial; when the sweep was resumed before its attempt had ended, a trial not at a rung waits for a slot. */
function pauseTrial(step: Step, sweep: SweepState, trial: TrialRecord): void {
  const ref = { sweepId: sweep.sweepId, trialId: trial.trialId };
  if (sweep.status === 'paused' || trial.waitsAtRung !== null)
    step.emit({ type: 'trial_paused', ...ref, at: step.at });
  else step.emit({ type: 'trial_requeued', ...ref, reason: 'resumed', notBefore: step.at, at: step.at });
}

/** Queues the trial again, unless its retries of this class are used up. */
function retry(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  budget: 'crashed' | 'lost' | 'preempted',
  message: string,
  code: string,
): void {
  const used = budget === 'preempted' ? countEnds(trial, 'preempted', 'stopped') : countEnds(trial, budget);
  const allowed = step.state.settings.retries[budget];
  if (used > allowed) {
    endTrial(step, sweep, trial, 'failed', `${message} (${used} attempts ended so)`, code);
    return;
  }
  // Only crashes wait: a lost or drained box says nothing about the trial.
  const backoffMs = budget === 'crashed' ? Math.min(LONGEST_PAUSE_MS, BACKOFF_FIRST_MS * 2 ** (used - 1)) : 0;
  step.emit({
    type: 'trial_requeued',
    sweepId: sweep.sweepId,
    trialId: trial.trialId,
    reason: `${message}; retry ${used} of ${allowed}`,
    notBefore: step.at + backoffMs,
    at: step.at,
  });
}
