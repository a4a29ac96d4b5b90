/** Events and histories as sentences for people. */
import type { AttemptState, LedgerEvent, SweepState, TrialRecord } from '../core/index.js';

const because = (reason: string): string => (reason === '' ? '' : `: ${reason}`);

/** One sentence about an event that a watcher of a sweep wants to read; null for those that tables show better. */
export function sentenceOf(event: LedgerEvent): string | null {
  switch (event.type) {
    case 'sweep_paused':
      return `the sweep is paused${because(event.reason ?? '')}`;
    case 'smoke_ended':
      return event.message;
    case 'sweep_resumed':
      return 'the sweep goes on';
    case 'sweep_stopping':
      return `the sweep is being stopped${because(event.reason)}`;
    case 'sweep_ended':
      return `the sweep has ended (${event.state})${because(event.reason)}`;
    case 'sweep_reopened':
      return `the sweep is open again${because(event.reason)}`;
    case 'trial_reopened':
      return `${event.trialId} ${event.reason}`;
    case 'sweep_extended':
      return `the sweep is extended: ${event.change}`;
    case 'limits_changed':
      return `changed: ${event.change}`;
    case 'sweep_tagged':
      return `tags: ${event.tags.join(', ') || 'none'}`;
    case 'sweep_archived':
      return event.archived ? 'the sweep is archived' : 'the sweep is in the list again';
    case 'sweep_deleted':
      return 'the sweep is deleted';
    case 'notification_settled':
      return event.outcome === 'delivered'
        ? null
        : `the webhook was not told (${event.deliveryId}): ${event.message}`;
    case 'attempt_assigned':
      return event.attempt === 1
        ? `${event.trialId} goes to ${event.trainerId}/${event.slotId}`
        : `${event.trialId} goes to ${event.trainerId}/${event.slotId}, attempt ${event.attempt}${resume(event.resumeFrom)}`;
    case 'attempt_ended':
      return event.class === 'completed' || event.class === 'stopped'
        ? null
        : `${event.trialId}, attempt ${event.attempt}: ${event.class}${because(event.message)}`;
    case 'search_exhausted':
      return `the search has no point after the first ${event.position}`;
    case 'trial_requeued':
      return `${event.trialId} waits for another attempt${because(event.reason)}`;
    case 'trial_ended':
      return `${event.trialId} ${event.state}${because(event.reason)}`;
    case 'trainer_joined':
      return `trainer ${event.trainer.trainerId} is here`;
    case 'trainer_suspected':
      return `trainer ${event.trainerId} is silent`;
    case 'trainer_lost':
      return `trainer ${event.trainerId} is lost`;
    case 'trainer_quarantined':
      return `${event.slotId === null ? `trainer ${event.trainerId}` : `slot ${event.trainerId}/${event.slotId}`} is quarantined: ${event.reason}; once it is mended: wattsweep trainers release ${event.trainerId}`;
    case 'trainer_released':
      return `trainer ${event.trainerId} is released from quarantine`;
    case 'trainer_drained':
      return `trainer ${event.trainerId} is drained`;
    case 'trainer_undrained':
      return `trainer ${event.trainerId} takes attempts again`;
    case 'trainer_forgotten':
      return `trainer ${event.trainerId} is forgotten: it is not expected back`;
    case 'attempts_held':
      return event.held.length === 0
        ? `trainer ${event.trainerId} holds nothing that this ledger never heard of`
        : `trainer ${event.trainerId} runs ${event.held.length} attempts that this ledger never heard of; they are left alone`;
    case 'held_stop_requested': {
      const { sweepId, trialId, attempt, ledgerId } = event.held;
      return `${sweepId}/${trialId}#${attempt} of the ledger ${ledgerId} is being ended on ${event.trainerId}`;
    }
    case 'reports_lost':
      return 'reports were removed before the ledger had taken them';
    case 'term_started':
      return event.above === undefined
        ? null
        : `the ledger is an older copy; going on with term ${event.term}`;
    case 'sweep_submitted':
    case 'notification_due':
    case 'trial_created':
    case 'attempt_started':
    case 'epoch_accepted':
    case 'epoch_repeated':
    case 'decision_made':
    case 'stop_requested':
    case 'trial_paused':
      return null;
  }
}

const resume = (from: string): string => (from === '' ? '' : ` from checkpoint ${from}`);

const at = (unixMs: number): string => new Date(unixMs).toISOString();

/** What happened to a trial, one sentence an event, in order. */
export function historyOf(sweep: SweepState, trial: TrialRecord): string[] {
  const lines = [`${at(trial.createdAt)} created as point ${trial.pointHash}, repeat ${trial.repeat}`];
  for (const attempt of trial.attempts) lines.push(...attemptLines(attempt));
  const last = trial.epochs.at(-1);
  if (last !== undefined) {
    const value = last.metrics[sweep.spec.objective.metric];
    lines.push(
      `${trial.epochs.length} epochs accepted, the last is ${last.epoch}: ${sweep.spec.objective.metric} ${String(value)}`,
    );
  }
  if (trial.endedAt !== null) lines.push(`${at(trial.endedAt)} ${trial.state}${because(trial.reason)}`);
  return lines;
}

function attemptLines(attempt: AttemptState): string[] {
  const name = `attempt ${attempt.attempt}`;
  const lines = [`${at(attempt.assignedAt)} ${name} assigned to ${attempt.trainerId}/${attempt.slotId}`];
  if (attempt.startedAt !== null) {
    lines.push(`${at(attempt.startedAt)} ${name} computes on ${attempt.deviceModel || attempt.deviceKind}`);
  }
  if (attempt.stopMode !== null) lines.push(`${name} was asked to end (${attempt.stopMode})`);
  if (attempt.end !== null && attempt.endedAt !== null) {
    lines.push(`${at(attempt.endedAt)} ${name} ${attempt.end.class}${because(attempt.end.message)}`);
  }
  return lines;
}
