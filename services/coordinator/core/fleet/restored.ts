/**
 * A ledger that was restored from an older copy: trainers remember more than it does. What it commands is never taken for
 * what it has forgotten, because attempts are named with the id of their term, and no other history has a term of that
 * id. It goes on above the term that trainers remember; what it has forgotten is held (`held.ts`).
 *
 * Trainers that know no term ids tell attempts by their numbers alone: for them it goes on with numbers that the lost part
 * never had, once it is known for a copy.
 */
import type { Input } from '../inputs.js';
import { closeAttempt } from '../sweeps/reports.js';
import type { Step } from '../step.js';

/** A term beyond this is no trainer's memory but a broken one. */
const HIGHEST_TERM = 2 ** 40;

export function onTermOutgrown(step: Step, input: Extract<Input, { type: 'term_outgrown' }>): void {
  const { state } = step;
  const { above, coordinatorId, at } = input;
  // Another trainer's word may have brought the ledger there already.
  if (above < state.term || above > HIGHEST_TERM) return;
  const { ledgerId, termId, settings } = state;
  const present = state.term;
  const term = above + 1;
  step.emit({ type: 'term_started', ledgerId, term, termId, coordinatorId, settings, above, at });
  for (const sweep of state.sweeps.values()) {
    for (const trialId of [...sweep.active]) {
      const trial = sweep.trials.get(trialId);
      const attempt = trial?.attempts.at(-1);
      if (trial === undefined || attempt === undefined) continue;
      // Assigned before the lost part was missed: a box may know another attempt by the same number.
      if (
        attempt.termId !== '' ||
        attempt.term !== present ||
        attempt.startedAt !== null ||
        attempt.end !== null
      )
        continue;
      closeAttempt(step, sweep, trial, attempt, {
        class: 'preempted',
        code: 'ATTEMPT_LOST',
        message: 'numbered anew: the ledger is an older copy',
        slotRetryAt: null,
      });
    }
  }
  for (const { info, status } of state.trainers.values())
    if (status !== 'lost') step.act({ type: 'list_attempts', trainerId: info.trainerId });
}

export function onReportsMissing(step: Step, input: Extract<Input, { type: 'reports_missing' }>): void {
  const { fromSeq, toSeq, at } = input;
  // An empty ledger has lost nothing.
  if (step.state.sweeps.size === 0) return;
  step.emit({ type: 'reports_lost', fromSeq, toSeq, at });
  for (const { info, status } of step.state.trainers.values())
    if (status !== 'lost') step.act({ type: 'list_attempts', trainerId: info.trainerId });
}
