/**
 * What a box has failed at since it last did well: the fold's part of quarantine. A success on a slot wipes out that
 * slot's failures; those of other slots then count for their slots alone, no longer against the whole box.
 */
import type { AttemptEndClass, Fault } from '../events.js';
import type { Failure, State, TrainerState, TrialRecord } from '../state.js';

/** More are never looked at. */
const MAX_FAILURES = 100;

const SUCCESSES: ReadonlySet<AttemptEndClass> = new Set(['completed', 'stopped', 'diverged']);

interface End {
  readonly class: AttemptEndClass;
  readonly code: string;
  readonly message: string;
  readonly fault: Fault | null;
}

/** Books the end of the trial's last attempt, which has it already, with its box. */
export function bookEnd(state: State, sweepId: string, trial: TrialRecord, end: End): void {
  const attempt = trial.attempts.at(-1);
  const trainer = attempt === undefined ? undefined : state.trainers.get(attempt.trainerId);
  if (attempt === undefined || trainer === undefined) return;
  if (end.fault === null) {
    if (SUCCESSES.has(end.class) && attempt.startedAt !== null) bookSuccess(trainer, attempt.slotId);
    return;
  }
  const isOfTrial = end.fault === 'trial' && end.class !== 'refused';
  if (end.fault !== 'box' && !isOfTrial) return;
  const { trialId } = trial;
  if (isOfTrial && isProven(trainer, sweepId, trial)) {
    for (const { trainerId } of trial.attempts) forget(state.trainers.get(trainerId), sweepId, trialId);
    return;
  }
  const fault = end.fault === 'box' ? 'box' : 'trial';
  const { code, message } = end;
  trainer.failures.push({ sweepId, trialId, slotId: attempt.slotId, fault, code, message, slotOnly: false });
  if (trainer.failures.length > MAX_FAILURES) trainer.failures.shift();
}

function bookSuccess(trainer: TrainerState, slotId: string): void {
  if (trainer.failures.length === 0) return;
  const others = trainer.failures.filter((failure) => failure.slotId !== slotId);
  for (const failure of others) failure.slotOnly = true;
  trainer.failures.splice(0, trainer.failures.length, ...others);
}

/** The trial has failed before on another box, and nothing else has failed on this one: the trial itself is to blame. */
function isProven({ info, failures }: TrainerState, sweepId: string, trial: TrialRecord): boolean {
  const elsewhere = trial.attempts.some(
    ({ trainerId, end }) => trainerId !== info.trainerId && end?.fault === 'trial',
  );
  return elsewhere && failures.every((one) => one.sweepId === sweepId && one.trialId === trial.trialId);
}

function forget(trainer: TrainerState | undefined, sweepId: string, trialId: string): void {
  if (trainer === undefined || trainer.failures.length === 0) return;
  const rest = trainer.failures.filter((one) => one.sweepId !== sweepId || one.trialId !== trialId);
  trainer.failures.splice(0, trainer.failures.length, ...rest);
}

/** Failures as they count: a trial that has failed several times counts once, each fault of the box by itself. */
export function countFailures(failures: readonly Failure[]): number {
  const trials = new Set<string>();
  let ofBox = 0;
  for (const { fault, sweepId, trialId } of failures) {
    if (fault === 'box') ofBox += 1;
    else trials.add(`${sweepId}/${trialId}`);
  }
  return trials.size + ofBox;
}
