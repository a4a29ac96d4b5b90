/** The fold of what befalls boxes beside their attempts: quarantine, drain, attempts that they hold of other ledgers. */
import type { LedgerEvent } from '../events.js';
import { trainerOf } from '../find.js';
import { forgetTrainer } from '../lookups/openings.js';
import { heldKey, type State } from '../state.js';
import { noticeForgotten } from './restored.js';

type SteeringEvent = Extract<
  LedgerEvent,
  {
    type:
      | 'trainer_quarantined'
      | 'trainer_released'
      | 'trainer_drained'
      | 'trainer_undrained'
      | 'trainer_forgotten'
      | 'attempts_held'
      | 'held_stop_requested';
  }
>;

export function steerTrainer(state: State, event: SteeringEvent): void {
  const trainer = trainerOf(state, event.trainerId);
  switch (event.type) {
    case 'trainer_quarantined': {
      const quarantine = { reason: event.reason, since: event.at };
      if (event.slotId === null) trainer.quarantine = quarantine;
      else trainer.slotQuarantines.set(event.slotId, quarantine);
      return;
    }
    case 'trainer_released':
      trainer.quarantine = null;
      trainer.slotQuarantines.clear();
      trainer.failures.length = 0;
      trainer.blockedUntil.clear();
      return;
    case 'trainer_drained':
    case 'trainer_undrained':
      trainer.drained = event.type === 'trainer_drained';
      return;
    case 'trainer_forgotten':
      state.trainers.delete(event.trainerId);
      forgetTrainer(state, event.trainerId);
      return;
    case 'attempts_held': {
      const before = new Map(trainer.held);
      noticeForgotten(
        state,
        event,
        event.held.filter((one) => !before.has(heldKey(one))),
      );
      trainer.held.clear();
      for (const one of event.held) {
        const known = before.get(heldKey(one));
        const since = known?.since ?? event.at;
        trainer.held.set(heldKey(one), { ...one, since, stopRequested: known?.stopRequested ?? false });
      }
      return;
    }
    case 'held_stop_requested': {
      const held = trainer.held.get(heldKey(event.held));
      if (held !== undefined) held.stopRequested = true;
      return;
    }
  }
}
