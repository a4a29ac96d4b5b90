/**
 * Quarantine: a box, or one slot of it, that fails several different trials in a row gets nothing more until a person
 * releases it. A sweep that has never had an epoch anywhere says nothing of boxes: its program may be what is broken.
 */
import { QUARANTINE_AFTER } from '../defaults.js';
import { countFailures } from '../fold/failures.js';
import { isOfDevice } from './faults.js';
import type { AttemptState, Failure, SweepState } from '../state.js';
import type { Step } from '../step.js';

const MESSAGE_LENGTH = 300;

/** Looks at the box of an attempt that has just ended, and was booked. */
export function judgeBox(step: Step, sweep: SweepState, { trainerId, slotId, end }: AttemptState): void {
  const trainer = step.state.trainers.get(trainerId);
  const after = step.state.settings.quarantineAfter ?? QUARANTINE_AFTER;
  const last = trainer?.failures.at(-1);
  if (trainer === undefined || last === undefined || after === 0 || end === null || end.fault === null)
    return;
  if (last.fault === 'trial' && !sweep.hasEpoch) return;
  const wide = trainer.failures.filter(({ slotOnly }) => !slotOnly);
  const ofSlot = trainer.failures.filter((failure) => failure.slotId === slotId);
  const { slots } = trainer.info;
  const isWide =
    slots.length === 1 ||
    new Set(wide.map((failure) => failure.slotId)).size > 1 ||
    wide.every(({ fault, code }) => fault === 'box' && !isOfDevice(code));
  const isBox = isWide && countFailures(wide) >= after;
  if (!isBox && countFailures(ofSlot) < after) return;
  if (isBox ? trainer.quarantine !== null : trainer.slotQuarantines.has(slotId)) return;
  step.emit({
    type: 'trainer_quarantined',
    trainerId,
    slotId: isBox ? null : slotId,
    reason: reasonOf(isBox ? wide : ofSlot),
    at: step.at,
  });
}

function reasonOf(failures: readonly Failure[]): string {
  const last = failures.at(-1);
  const count = countFailures(failures);
  const what = failures.some(({ fault }) => fault === 'box')
    ? `${count} failures in a row`
    : `${count} different trials in a row failed here`;
  if (last === undefined) return what;
  const { sweepId, trialId, code } = last;
  const message = last.message.slice(0, MESSAGE_LENGTH);
  return `${what}; the last, ${sweepId}/${trialId}: ${code === '' ? '' : `${code}: `}${message}`;
}
