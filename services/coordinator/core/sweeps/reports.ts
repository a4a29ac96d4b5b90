/**
 * Reports of trainers: which are accepted, and what follows. A report counts only when it comes from the trial's
 * current attempt and rises above what was accepted; everything else changes nothing, however often it arrives.
 */
import { addJoules, JOULES_PER_WH } from '../joules.js';
import { spentHours } from './budget.js';
import type { Energy, UnixMs } from '../events.js';
import { hasEnded, namedIn } from '../find.js';
import type { Input, ReportInput } from '../inputs.js';
import { judgeNewest } from './judge.js';
import { backoffMs, faultOf, type Ending } from '../fleet/faults.js';
import { complete, endSweepWhenDone, endTrial, pauseSweep, requestStop, stopSweep } from './lifecycle.js';
import { judgeBox } from '../fleet/quarantine.js';
import { afterAttemptEnd } from './retries.js';
import type { AttemptState, SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';
import { onHeldReport } from '../fleet/held.js';

export function onReport(step: Step, { trainerId, report }: Extract<Input, { type: 'reported' }>): void {
  const sweep = step.state.sweeps.get(report.sweepId);
  const trial = sweep?.trials.get(report.trialId);
  const attempt = trial === undefined ? undefined : namedIn(trial, report);
  if (sweep === undefined || trial === undefined || attempt === undefined) {
    onHeldReport(step, trainerId, report);
    return;
  }
  if (attempt !== trial.attempts.at(-1) || attempt.end !== null || attempt.trainerId !== trainerId) return;
  switch (report.kind) {
    case 'started':
      onStarted(step, attempt, report);
      return;
    case 'epoch':
      onEpoch(step, sweep, trial, attempt, report);
      return;
    case 'ended':
      onEnded(step, sweep, trial, attempt, report);
      return;
  }
}

function onStarted(
  step: Step,
  attempt: AttemptState,
  report: Extract<ReportInput, { kind: 'started' }>,
): void {
  if (attempt.startedAt !== null) return;
  const { kind, termId, ...facts } = report;
  step.emit({ type: 'attempt_started', ...facts, at: step.at });
}

function onEpoch(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  attempt: AttemptState,
  report: Extract<ReportInput, { kind: 'epoch' }>,
): void {
  const { sweepId, trialId, record } = report;
  // A trial that was let run again goes on from what it had; late words of its last attempt are not waited for.
  if (hasEnded(trial) || trial.state === 'queued' || record.epoch <= attempt.lastEpoch) return;
  const { maxEpochs } = sweep.spec;
  if (record.epoch > maxEpochs) {
    // A program that counts something else, or does not know when to end.
    const words = `reported epoch ${record.epoch} of ${maxEpochs}`;
    complete(step, sweep, trial, `${words}, and none before`, `; then it ${words}`);
    return;
  }
  const accepted = trial.epochs.at(-1)?.epoch ?? 0;
  if (record.epoch <= accepted) {
    const joules = addJoules(record.train.joules, record.evaluation.joules);
    step.emit({
      type: 'epoch_repeated',
      sweepId,
      trialId,
      attempt: report.attempt,
      epoch: record.epoch,
      joules,
      at: step.at,
    });
  } else {
    step.emit({ type: 'epoch_accepted', sweepId, trialId, attempt: report.attempt, record, at: step.at });
    judge(step, sweep, trial);
  }
  checkBudget(step, sweep);
}

/** Decides about a trial whose newest epoch has just been accepted. */
function judge(step: Step, sweep: SweepState, trial: TrialRecord): void {
  const ref = { sweepId: sweep.sweepId, trialId: trial.trialId };
  const { decisions, end, fault } = judgeNewest(sweep, trial);
  for (const decision of decisions) step.emit({ type: 'decision_made', ...ref, decision, at: step.at });
  if (end !== null) endTrial(step, sweep, trial, end.state, end.reason, end.code);
  if (fault !== undefined) pauseSweep(step, sweep, fault);
  if (end !== null) return;
  const pause = decisions.find(({ action }) => action === 'pause');
  if (pause !== undefined) requestStop(step, sweep, trial, 'pause', `${pause.rule}: ${pause.reason}`);
}

function onEnded(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  attempt: AttemptState,
  report: Extract<ReportInput, { kind: 'ended' }>,
): void {
  const { kind, termId, ...facts } = report;
  const fault = faultOf(report);
  const slotRetryAt = fault === 'box' ? step.at + slotPauseMs(step, attempt) : null;
  step.emit({
    type: 'attempt_ended',
    ...facts,
    slotRetryAt,
    ...(fault === null ? {} : { fault }),
    at: step.at,
  });
  if (!hasEnded(trial)) afterAttemptEnd(step, sweep, trial, { ...report, fault });
  judgeBox(step, sweep, attempt);
  checkBudget(step, sweep);
  endSweepWhenDone(step, sweep);
}

const SLOT_PAUSE_FIRST_MS = 2_000;

/** How long a slot pauses when its box is to blame: longer each time in a row. */
export function slotPauseMs(step: Step, { trainerId, slotId, attempt }: AttemptState): number {
  const failures = step.state.trainers.get(trainerId)?.failures ?? [];
  const inARow = failures.filter((failure) => failure.slotId === slotId && failure.fault === 'box').length;
  return backoffMs(SLOT_PAUSE_FIRST_MS, 1 + inARow, `${trainerId}/${slotId}#${attempt}`);
}

const NO_ENERGY: Energy = {
  joules: null,
  meanWatts: null,
  method: '',
  absentReason: 'the attempt did not report its end',
};

/** Closes an attempt of which no end will be heard, and lets its trial go on elsewhere. */
export function closeAttempt(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  attempt: AttemptState,
  end: Ending & {
    readonly class: 'lost' | 'refused' | 'preempted';
    readonly message: string;
    readonly slotRetryAt: number | null;
  },
): void {
  const ref = { sweepId: sweep.sweepId, trialId: trial.trialId, attempt: attempt.attempt };
  const fault = faultOf(end);
  step.emit({
    type: 'attempt_ended',
    ...ref,
    ...end,
    seconds: null,
    energy: NO_ENERGY,
    ...(fault === null ? {} : { fault }),
    at: step.at,
  });
  if (!hasEnded(trial)) afterAttemptEnd(step, sweep, trial, { ...end, fault });
  judgeBox(step, sweep, attempt);
  endSweepWhenDone(step, sweep);
}

/** Which part of the budget is spent, in words; null while none is. A null reading is no spending. */
export function spentBudget(sweep: SweepState, at: UnixMs): string | null {
  const { energyWh, hours } = sweep.limits;
  if (energyWh !== null && sweep.spentJoules !== null && sweep.spentJoules >= energyWh * JOULES_PER_WH)
    return `energy budget: ${(sweep.spentJoules / JOULES_PER_WH).toFixed(2)} of ${energyWh} Wh spent`;
  const spent = spentHours(sweep, at);
  if (hours === null || spent === null) return null;
  return spent >= hours ? `time budget: ${spent.toFixed(2)} of ${hours} h spent` : null;
}

/** Ends the sweep when its budget is spent. @param within statuses in which that is looked at */
export function checkBudget(
  step: Step,
  sweep: SweepState,
  within: readonly SweepState['status'][] = ['running'],
): void {
  if (!within.includes(sweep.status)) return;
  const spent = spentBudget(sweep, step.at);
  if (spent !== null) stopSweep(step, sweep, 'stopped', spent);
}
