/** Trainers come, fall silent, go, and say what they hold: what that means for attempts and slots. */
import { ATTEMPTS_A_COPY } from '../state.js';
import { attemptIn, hasEnded } from '../find.js';
import type { Input, ListedAttempt } from '../inputs.js';
import { backoffMs, faultOf } from './faults.js';
import { noteHeld } from './held.js';
import { requestStop } from '../sweeps/lifecycle.js';
import { startAction } from '../placement/index.js';
import { closeAttempt, slotPauseMs } from '../sweeps/reports.js';
import type { AttemptState, SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

type InputOf<T extends Input['type']> = Extract<Input, { type: T }>;

interface Found {
  readonly sweep: SweepState;
  readonly trial: TrialRecord;
  readonly attempt: AttemptState;
}

function find(step: Step, ref: { sweepId: string; trialId: string; attempt: number }): Found | null {
  const sweep = step.state.sweeps.get(ref.sweepId);
  const trial = sweep?.trials.get(ref.trialId);
  const attempt = trial === undefined ? undefined : attemptIn(trial, ref.attempt);
  return sweep === undefined || trial === undefined || attempt === undefined
    ? null
    : { sweep, trial, attempt };
}

export function onTrainerSeen(step: Step, { trainer }: InputOf<'trainer_seen'>): void {
  const known = step.state.trainers.get(trainer.trainerId);
  const same = known?.status === 'alive' && JSON.stringify(known.info) === JSON.stringify(trainer);
  if (!same) step.emit({ type: 'trainer_joined', trainer, at: step.at });
  step.act({ type: 'list_attempts', trainerId: trainer.trainerId });
}

export function onTrainerSilent(step: Step, { trainerId }: InputOf<'trainer_silent'>): void {
  if (step.state.trainers.get(trainerId)?.status !== 'alive') return;
  step.emit({ type: 'trainer_suspected', trainerId, at: step.at });
}

/** The trainer stayed away too long: what it held runs elsewhere. */
export function onTrainerGone(step: Step, { trainerId }: InputOf<'trainer_gone'>): void {
  const trainer = step.state.trainers.get(trainerId);
  if (trainer === undefined || trainer.status === 'lost') return;
  step.emit({ type: 'trainer_lost', trainerId, at: step.at });
  for (const ref of new Set(trainer.holders.values())) {
    const found = find(step, ref);
    if (found?.attempt.end !== null) continue;
    const message = `trainer ${trainerId} was lost`;
    closeAttempt(step, found.sweep, found.trial, found.attempt, {
      class: 'lost',
      code: 'ATTEMPT_LOST',
      message,
      slotRetryAt: null,
    });
  }
}

/**
 * Reconciles what a trainer holds with what the ledger says: what only the ledger knows is started again, what the
 * ledger says is over is stopped. What this ledger never heard of is left alone: a restored ledger must not kill a
 * week of training.
 */
export function onAttemptsListed(step: Step, input: InputOf<'attempts_listed'>): void {
  const trainer = step.state.trainers.get(input.trainerId);
  if (trainer === undefined) return;
  const listed = new Map<string, ListedAttempt>();
  const strangers: ListedAttempt[] = [];
  for (const entry of input.attempts) {
    const isOurs = entry.ledgerId === step.state.ledgerId;
    if (isOurs) listed.set(keyOf(entry), entry);
    if (entry.phase === 'ended') continue;
    const found = isOurs ? find(step, entry) : null;
    if (found !== null) stopWhenOver(step, input.trainerId, found);
    else if (isOurs && step.state.deleted.has(entry.sweepId)) stopDeleted(step, input.trainerId, entry);
    else strangers.push(entry);
  }
  noteHeld(step, trainer, strangers);
  for (const ref of new Set(trainer.holders.values())) {
    const found = find(step, ref);
    if (found === null || found.attempt.end !== null) continue;
    const entry = listed.get(keyOf(ref));
    // It has ended, and its word of that may be among the reports that are gone: it will not come.
    const isSilent = entry?.phase === 'ended' && found.attempt.mayLackReports;
    if (entry !== undefined && !isSilent) continue;
    if (entry === undefined && mayStart(step, found)) {
      step.act(startAction(found.sweep, found.trial));
      continue;
    }
    const message = isSilent
      ? 'its end was among the reports that are gone'
      : `trainer ${input.trainerId} no longer knows the attempt`;
    closeAttempt(step, found.sweep, found.trial, found.attempt, {
      class: 'lost',
      code: 'ATTEMPT_LOST',
      message,
      slotRetryAt: null,
    });
  }
}

/** Of a restored ledger, a box may have run and forgotten what the ledger only assigned. */
const mayStart = (step: Step, { trial, attempt }: Found): boolean =>
  attempt.startedAt === null &&
  attempt.stopMode === null &&
  !hasEnded(trial) &&
  attempt.attempt > step.state.copies * ATTEMPTS_A_COPY;

const keyOf = (ref: { sweepId: string; trialId: string; attempt: number }): string =>
  `${ref.sweepId}/${ref.trialId}#${ref.attempt}`;

function stopWhenOver(step: Step, trainerId: string, { sweep, trial, attempt }: Found): void {
  const superseded = attempt.end !== null;
  if (!superseded && attempt.stopMode === null) return;
  step.act({
    type: 'stop_attempt',
    sweepId: sweep.sweepId,
    trialId: trial.trialId,
    attempt: attempt.attempt,
    trainerId,
    mode: superseded ? 'cancel' : (attempt.stopMode ?? 'cancel'),
    reason: superseded ? 'another attempt has taken over' : trial.reason,
  });
}

function stopDeleted(step: Step, trainerId: string, { sweepId, trialId, attempt }: ListedAttempt): void {
  const reason = 'its sweep was deleted';
  step.act({ type: 'stop_attempt', sweepId, trialId, attempt, trainerId, mode: 'cancel', reason });
}

/** An operator takes a box out of service, or back. What changes nothing is not recorded. */
export function onControlTrainer(step: Step, input: InputOf<'control_trainer'>): void {
  const { trainerId, control, stopRunning, at } = input;
  const trainer = step.state.trainers.get(trainerId);
  if (trainer === undefined) return;
  switch (control) {
    case 'undrain':
      if (trainer.drained) step.emit({ type: 'trainer_undrained', trainerId, at });
      return;
    case 'release':
      if (trainer.quarantine !== null || trainer.slotQuarantines.size > 0 || trainer.failures.length > 0)
        step.emit({ type: 'trainer_released', trainerId, at });
      return;
    case 'drain':
      if (!trainer.drained) step.emit({ type: 'trainer_drained', trainerId, at });
      if (!stopRunning) return;
      for (const ref of new Set(trainer.holders.values())) {
        const found = find(step, ref);
        if (found === null || hasEnded(found.trial) || found.attempt.stopMode !== null) continue;
        requestStop(step, found.sweep, found.trial, 'pause', `${trainerId} is drained`);
      }
  }
}

/** Pauses before a slot whose box called it busy is tried again, doubled each time. */
const SLOT_RETRY_FIRST_MS = 2_000;

/** How often in a row the slot has refused the trial, this attempt included. */
function refusalsInARow(trial: TrialRecord, { trainerId, slotId }: AttemptState): number {
  const others = trial.attempts.findLastIndex(
    (attempt) => attempt.trainerId !== trainerId || attempt.slotId !== slotId || attempt.startedAt !== null,
  );
  return trial.attempts.length - 1 - others;
}

export function onStartRefused(step: Step, input: InputOf<'start_refused'>): void {
  const found = find(step, input);
  if (found?.attempt.end !== null) return;
  const { code, message, retryable } = input;
  const { trainerId, slotId, attempt } = found.attempt;
  const endClass = retryable ? 'preempted' : 'refused';
  const inARow = refusalsInARow(found.trial, found.attempt);
  const pauseMs =
    faultOf({ class: endClass, code }) === 'box'
      ? slotPauseMs(step, found.attempt)
      : retryable
        ? backoffMs(SLOT_RETRY_FIRST_MS, inARow, `${trainerId}/${slotId}#${attempt}`)
        : null;
  closeAttempt(step, found.sweep, found.trial, found.attempt, {
    class: endClass,
    code,
    message,
    slotRetryAt: pauseMs === null ? null : step.at + pauseMs,
  });
  // What keeps the slot busy may be an attempt that is over, as far as this ledger knows.
  if (retryable) step.act({ type: 'list_attempts', trainerId });
}
