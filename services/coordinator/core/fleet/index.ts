/** Trainers come, fall silent, go, and say what they hold: what that means for attempts and slots. */
import type { AttemptRef, NamedAttempt } from '../events.js';
import { attemptIn, hasEnded, namedIn } from '../find.js';
import type { Input, ListedAttempt } from '../inputs.js';
import { backoffMs, faultOf } from './faults.js';
import { noteHeld } from './held.js';
import { named, requestStop } from '../sweeps/lifecycle.js';
import { closeAttempt, slotPauseMs } from '../sweeps/reports.js';
import type { AttemptState, SweepState, TrainerState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

type InputOf<T extends Input['type']> = Extract<Input, { type: T }>;

interface Found {
  readonly sweep: SweepState;
  readonly trial: TrialRecord;
  readonly attempt: AttemptState;
}

/** @param known finds the attempt in its trial: by its number, or as a trainer names it */
function find(
  step: Step,
  ref: AttemptRef,
  known: (trial: TrialRecord) => AttemptState | undefined = (trial) => attemptIn(trial, ref.attempt),
): Found | null {
  const sweep = step.state.sweeps.get(ref.sweepId);
  const trial = sweep?.trials.get(ref.trialId);
  const attempt = trial === undefined ? undefined : known(trial);
  return sweep === undefined || trial === undefined || attempt === undefined
    ? null
    : { sweep, trial, attempt };
}

const findNamed = (step: Step, ref: NamedAttempt): Found | null =>
  find(step, ref, (trial) => namedIn(trial, ref));

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
    giveUp(step, found, 'lost', `trainer ${trainerId} was lost`);
  }
}

/**
 * Reconciles what a trainer holds with what the ledger says: what only the ledger knows is given up, what the ledger says
 * is over is stopped. What this ledger never heard of is left alone: a restored ledger must not kill a week of training.
 *
 * An attempt that never began here, as far as is known, is not started once more but followed by another one: of a
 * restored ledger the box may have run it long ago, and a name stands for one run only.
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
    const found = isOurs ? findNamed(step, entry) : null;
    if (found !== null) stopWhenOver(step, input.trainerId, found);
    else if (isOurs && step.state.deleted.has(entry.sweepId)) stopDeleted(step, input.trainerId, entry);
    else strangers.push(entry);
  }
  noteHeld(step, trainer, strangers);
  for (const ref of new Set(trainer.holders.values())) {
    const found = find(step, ref);
    if (found === null || found.attempt.end !== null) continue;
    const entry = listed.get(keyOf(named(found)));
    // It has ended, and its word of that may be among the reports that are gone: it will not come.
    const isSilent = entry?.phase === 'ended' && found.attempt.mayLackReports;
    if (entry !== undefined && !isSilent) continue;
    if (isSilent) giveUp(step, found, 'lost', END_IS_GONE);
    else if (found.attempt.startedAt === null)
      giveUp(step, found, 'preempted', `never began on ${input.trainerId}`);
    else giveUp(step, found, 'lost', `trainer ${input.trainerId} no longer knows the attempt`);
  }
}

const END_IS_GONE = 'its end was among the reports that are gone';

function giveUp(
  step: Step,
  { sweep, trial, attempt }: Found,
  how: 'lost' | 'preempted',
  message: string,
): void {
  const end = { class: how, code: 'ATTEMPT_LOST', message, slotRetryAt: null };
  closeAttempt(step, sweep, trial, attempt, end);
}

/** What the box has told and NATS has taken is not told again: after a restore it may be gone, and is not waited for. */
export function onEndUnheard(step: Step, input: InputOf<'end_unheard'>): void {
  const found = findNamed(step, input);
  if (found?.attempt.end === null && found.attempt.trainerId === input.trainerId)
    giveUp(step, found, 'lost', END_IS_GONE);
}

const keyOf = ({ sweepId, trialId, attempt, termId = '' }: NamedAttempt): string =>
  `${sweepId}/${trialId}#${attempt}.${termId}`;

function stopWhenOver(step: Step, trainerId: string, found: Found): void {
  const { trial, attempt } = found;
  const superseded = attempt.end !== null;
  if (!superseded && attempt.stopMode === null) return;
  step.act({
    type: 'stop_attempt',
    ...named(found),
    trainerId,
    mode: superseded ? 'cancel' : (attempt.stopMode ?? 'cancel'),
    reason: superseded ? 'another attempt has taken over' : trial.reason,
  });
}

function stopDeleted(step: Step, trainerId: string, listed: ListedAttempt): void {
  const { sweepId, trialId, attempt, termId = '' } = listed;
  const reason = 'its sweep was deleted';
  step.act({ type: 'stop_attempt', sweepId, trialId, attempt, termId, trainerId, mode: 'cancel', reason });
}

/** It is lost, so that what it ran was given up. */
export const isForgettable = ({ status, holders }: TrainerState): boolean =>
  status === 'lost' && holders.size === 0;

/** An operator takes a box out of service, or back. What changes nothing is not recorded. */
export function onControlTrainer(step: Step, input: InputOf<'control_trainer'>): void {
  const { trainerId, control, stopRunning, at } = input;
  const trainer = step.state.trainers.get(trainerId);
  if (trainer === undefined) return;
  switch (control) {
    case 'undrain':
      if (trainer.drained) step.emit({ type: 'trainer_undrained', trainerId, at });
      return;
    case 'forget':
      if (isForgettable(trainer)) step.emit({ type: 'trainer_forgotten', trainerId, at });
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
