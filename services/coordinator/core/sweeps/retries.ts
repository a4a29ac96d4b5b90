/**
 * What an attempt's end means for its trial: it is over, or it gets another attempt, where and when. Each class of ends
 * has a budget of its own; what is the box's fault costs the trial nothing.
 */
import { barredModels, isBlocked } from '../placement/blocks.js';
import { DEFAULT_RETRIES } from '../defaults.js';
import type { Fault } from '../events.js';
import { backoffMs, type Ending } from '../fleet/faults.js';
import { complete, endTrial } from './lifecycle.js';
import { capacity, fitByModel, gigabytes, isOpen, isUnfit, slotsNeeded } from '../placement/resources.js';
import type { RetriesSpec } from '../spec.js';
import type { AttemptState, SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

type Budget = keyof RetriesSpec;

const CRASH_FIRST_MS = 1_000;
/** So long a trial waits for another box than the one where it failed, when there is one. */
const AVOID_MS = 30_000;

interface End extends Ending {
  readonly message: string;
  readonly fault: Fault | null;
}

/** The attempt is closed already, and the trial has not ended. */
export function afterAttemptEnd(step: Step, sweep: SweepState, trial: TrialRecord, end: End): void {
  // A person has let the trial run again while this attempt was still ending.
  if (trial.state === 'queued') return;
  const attempt = trial.attempts.at(-1);
  const stopMode = attempt?.stopMode ?? null;
  const ofBox = end.fault === 'box' || end.fault === 'pairing';
  const said = end.class === 'completed' || end.class === 'diverged' || end.class === 'refused';
  if (stopMode === 'pause' && (ofBox || !said) && end.class !== 'out_of_memory') {
    pauseTrial(step, sweep, trial);
    return;
  }
  if (ofBox) {
    requeue(step, sweep, trial, { reason: `${end.message}; its box is to blame, so it counts no retry` });
    return;
  }
  const { message, code } = end;
  switch (end.class) {
    case 'completed':
      if (attempt !== undefined && goesOn(sweep, attempt))
        requeue(step, sweep, trial, { reason: `goes on to epoch ${sweep.spec.maxEpochs}`, anywhere: true });
      else complete(step, sweep, trial, 'ended without a report');
      return;
    case 'diverged':
      endTrial(step, sweep, trial, 'diverged', message, code || 'NON_FINITE');
      return;
    case 'out_of_memory':
      retryWithMoreMemory(step, sweep, trial, end);
      return;
    case 'refused':
      retry(step, sweep, trial, isOurs(code) ? 'crashed' : 'refused', message, code || 'PARAMETER_REFUSED');
      return;
    case 'crashed':
      retry(step, sweep, trial, 'crashed', message, code || 'ATTEMPT_CRASHED');
      return;
    case 'lost':
      retry(step, sweep, trial, 'lost', message, 'ATTEMPT_LOST');
      return;
    case 'stopped':
    case 'preempted':
      retry(step, sweep, trial, 'preempted', message || 'ended by its box', 'ATTEMPT_LOST');
      return;
  }
}

/** The attempt came to the last epoch that it was started for, and the sweep has been extended since. */
const goesOn = ({ spec }: SweepState, { maxEpochs, lastEpoch }: AttemptState): boolean =>
  maxEpochs < spec.maxEpochs && lastEpoch >= maxEpochs;

/** Parks the trial; when its sweep runs, a trial that is not at a rung waits for a slot. */
function pauseTrial(step: Step, sweep: SweepState, trial: TrialRecord): void {
  const ref = { sweepId: sweep.sweepId, trialId: trial.trialId };
  const isSmoked = sweep.smoke?.isOpen === true && trial.epochs.length > 0;
  if (sweep.status === 'paused' || trial.waitsAtRung !== null || isSmoked) {
    step.emit({ type: 'trial_paused', ...ref, at: step.at });
    return;
  }
  const box = step.state.trainers.get(trial.attempts.at(-1)?.trainerId ?? '');
  const reason = box?.drained === true ? `${box.info.trainerId} is drained` : 'resumed';
  step.emit({ type: 'trial_requeued', ...ref, reason, notBefore: step.at, at: step.at });
}

/** Ends of this budget so far. One that never computed (a busy slot, a draining box) says nothing about the trial. */
function countEnds(trial: TrialRecord, budget: Budget): number {
  return trial.attempts.slice(trial.retriesFrom).filter(({ end, startedAt }) => {
    if (end === null || end.fault === 'box' || end.fault === 'pairing') return false;
    switch (budget) {
      case 'crashed':
        return end.class === 'crashed' || (end.class === 'refused' && isOurs(end.code));
      case 'lost':
        return end.class === 'lost';
      case 'preempted':
        return end.class === 'stopped' || (end.class === 'preempted' && startedAt !== null);
      case 'outOfMemory':
        return end.class === 'out_of_memory';
      case 'refused':
        return end.class === 'refused' && !isOurs(end.code);
    }
  }).length;
}

/** A fault of ours, not a word about the parameters. */
const isOurs = (code: string): boolean => code === 'INTERNAL' || code === 'REQUEST_INVALID';

const allowedOf = (step: Step, sweep: SweepState, budget: Budget): number =>
  sweep.spec.retries?.[budget] ?? step.state.settings.retries[budget] ?? DEFAULT_RETRIES[budget];

/** Queues the trial again, unless its retries of this class are used up. */
function retry(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  budget: Budget,
  message: string,
  code: string,
): void {
  const used = countEnds(trial, budget);
  const allowed = allowedOf(step, sweep, budget);
  if (used > allowed) {
    const often = used > 1 ? ` (${used} attempts ended so)` : '';
    endTrial(step, sweep, trial, 'failed', `${message}${often}`, code);
    return;
  }
  // Only the trial's own failures wait: a lost or drained box says nothing about it.
  const waits = budget === 'crashed' || budget === 'refused';
  const key = `${sweep.sweepId}/${trial.trialId}#${trial.attempts.length}`;
  requeue(step, sweep, trial, {
    reason: `${message}; retry ${used} of ${allowed}`,
    ...(waits ? { notBefore: step.at + backoffMs(CRASH_FIRST_MS, used, key) } : { anywhere: true }),
  });
}

interface Requeue {
  readonly reason: string;
  /** @default now */
  readonly notBefore?: number;
  readonly memoryAboveBytes?: number;
  /** The box where it ended is as good as any other. */
  readonly anywhere?: boolean;
}

function requeue(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  { reason, notBefore = step.at, memoryAboveBytes, anywhere = false }: Requeue,
): void {
  const trainerId = trial.attempts.at(-1)?.trainerId ?? '';
  const avoids = !anywhere && hasOtherBox(step, sweep, trainerId);
  step.emit({
    type: 'trial_requeued',
    sweepId: sweep.sweepId,
    trialId: trial.trialId,
    reason,
    notBefore,
    ...(memoryAboveBytes === undefined ? {} : { memoryAboveBytes }),
    ...(avoids ? { avoid: { trainerId, until: notBefore + AVOID_MS } } : {}),
    at: step.at,
  });
}

function hasOtherBox(step: Step, sweep: SweepState, trainerId: string): boolean {
  for (const trainer of step.state.trainers.values()) {
    if (trainer.info.trainerId === trainerId || !isOpen(trainer) || isUnfit(trainer, sweep)) continue;
    if (capacity(trainer, sweep) >= slotsNeeded(sweep)) return true;
  }
  return false;
}

/** Again only where a device has more memory than all on which it failed; without such a device it fails at once. */
function retryWithMoreMemory(
  step: Step,
  sweep: SweepState,
  trial: TrialRecord,
  { message, code }: Pick<End, 'message' | 'code'>,
): void {
  const fail = (why: string): void =>
    endTrial(step, sweep, trial, 'failed', `${message}; ${why}`, code || 'ATTEMPT_OUT_OF_MEMORY');
  const attempt = trial.attempts.at(-1);
  if (attempt === undefined) return;
  const where = placeOf(attempt);
  if (attempt.slotMemoryBytes === null) {
    fail(`it ran on ${where}, whose memory is not known, so none can be chosen that has more`);
    return;
  }
  const above = Math.max(attempt.slotMemoryBytes, trial.memoryAboveBytes ?? 0);
  const largest = largestMemory(step, sweep);
  if (largest <= above) {
    fail(
      `it had ${gigabytes(attempt.slotMemoryBytes)} on ${where} and needs more; no device that the sweep may use has (the largest has ${gigabytes(largest)})`,
    );
    return;
  }
  const used = countEnds(trial, 'outOfMemory');
  const allowed = allowedOf(step, sweep, 'outOfMemory');
  if (used > allowed) {
    fail(`it had ${gigabytes(attempt.slotMemoryBytes)} on ${where} (${used} attempts ended so)`);
    return;
  }
  requeue(step, sweep, trial, {
    reason: `${message}; it had ${gigabytes(attempt.slotMemoryBytes)} on ${where} and goes only where a device has more; retry ${used} of ${allowed}`,
    memoryAboveBytes: above,
    anywhere: true,
  });
}

const placeOf = ({ trainerId, slotId, slotModel }: AttemptState): string =>
  `${trainerId}/${slotId}${slotModel === '' ? '' : ` (${slotModel})`}`;

/** Bytes of the largest device that the sweep may use, on boxes that are not lost; 0 when none is known. */
function largestMemory(step: Step, sweep: SweepState): number {
  let largest = 0;
  for (const trainer of step.state.trainers.values()) {
    if (trainer.status === 'lost' || isUnfit(trainer, sweep)) continue;
    for (const slots of fitByModel(trainer, sweep).values()) {
      // A larger device that cannot be had in the number that a trial needs is none.
      if (slots.length < slotsNeeded(sweep)) continue;
      for (const { memoryBytes } of slots) largest = Math.max(largest, memoryBytes ?? 0);
    }
  }
  return largest;
}

/**
 * Ends trials of a blocked sweep that ran out of memory and would wait for ever: each model that has more has had its
 * share of their setting. True when there was one.
 */
export function endBarred(step: Step, sweep: SweepState): boolean {
  if (sweep.status !== 'running' || !isBlocked(sweep.spec)) return false;
  let ended = false;
  for (const trialId of [...sweep.queue]) {
    const trial = sweep.trials.get(trialId);
    const attempt = trial?.attempts.at(-1);
    if (trial === undefined || attempt === undefined) continue;
    const models = barredModels(step.state, sweep, trial);
    if (models.length === 0) continue;
    const { message = '', code = '' } = attempt.end ?? {};
    const why = `it needs more than the ${gigabytes(trial.memoryAboveBytes)} where it ran out, and what has more (${models.join(', ')}) has run this setting as often as its blocks allow`;
    endTrial(step, sweep, trial, 'failed', `${message}; ${why}`, code || 'ATTEMPT_OUT_OF_MEMORY');
    ended = true;
  }
  return ended;
}
