/**
 * Attempts that a trainer runs and this ledger never heard of: of another ledger, or of a part of this one that a restore
 * took away. They keep their slots and are shown; nothing but a person ends them.
 */
import type { Input, ListedAttempt, ReportInput } from '../inputs.js';
import { heldKey, type TrainerState } from '../state.js';
import type { Step } from '../step.js';

/** Records what the trainer holds, when that has changed. */
export function noteHeld(step: Step, trainer: TrainerState, strangers: readonly ListedAttempt[]): void {
  const held = strangers.map(({ ledgerId, sweepId, trialId, attempt, termId = '', slotIds = [] }) => ({
    ledgerId,
    sweepId,
    trialId,
    attempt,
    ...(termId === '' ? {} : { termId }),
    slotIds,
  }));
  const keys = new Set(held.map(heldKey));
  if (keys.size === trainer.held.size && [...keys].every((key) => trainer.held.has(key))) return;
  step.emit({ type: 'attempts_held', trainerId: trainer.info.trainerId, held, at: step.at });
}

export function onStopHeld(step: Step, input: Extract<Input, { type: 'stop_held' }>): void {
  const { trainerId } = input;
  const found = step.state.trainers.get(trainerId)?.held.get(heldKey(input));
  if (found === undefined) return;
  const { since: _since, stopRequested, ...held } = found;
  if (!stopRequested) step.emit({ type: 'held_stop_requested', trainerId, held, at: step.at });
  const { sweepId, trialId, attempt, termId = '', ledgerId } = held;
  const ref = { sweepId, trialId, attempt, termId };
  step.act({
    type: 'stop_attempt',
    ...ref,
    trainerId,
    ledgerId,
    mode: 'stop',
    reason: 'stopped by a person: this ledger never heard of it',
  });
}

/** What is held reports to nobody here, but its end frees slots: the box is asked. */
export function onHeldReport(step: Step, trainerId: string, report: ReportInput): void {
  if (report.kind !== 'ended') return;
  const { held } = step.state.trainers.get(trainerId) ?? {};
  for (const { ledgerId } of held?.values() ?? [])
    if (held?.has(heldKey({ ...report, ledgerId })) === true) {
      step.act({ type: 'list_attempts', trainerId });
      return;
    }
}

/** Slots that attempts of other ledgers keep. */
export const heldSlots = ({ held }: TrainerState): ReadonlySet<string> =>
  new Set([...held.values()].flatMap(({ slotIds }) => slotIds));
