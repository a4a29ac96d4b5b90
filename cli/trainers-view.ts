/** Rows and sentences of `wattsweep trainers`. Pure. */
import type { Trainer, TrainerSlot } from '../proto/gen/wattsweep/v1/coordinator.js';
import { UNREAD } from './format.js';
import { trainerStateName } from './sweep-view.js';

const GB = 1e9;

/** `alive`, `suspect`, `lost`; before them what an operator or the coordinator has decided. */
export function trainerStateWords({ state, quarantine, drained, draining }: Trainer): string {
  const decided = [
    ...(quarantine === '' ? [] : ['quarantined']),
    ...(drained || draining ? ['drained'] : []),
  ];
  return [...decided, trainerStateName(state)].join(', ');
}

/** The model, and which part of it the slot is. */
const deviceWords = ({ deviceModel, sharedBy = 1, cpus }: TrainerSlot): string =>
  [
    deviceModel,
    ...(sharedBy > 1 ? [`shared by ${String(sharedBy)}`] : []),
    ...(cpus === undefined ? [] : [`CPUs ${cpus}`]),
  ].join(', ');

/** One row a slot. */
export const trainerRows = (trainer: Trainer): string[][] =>
  trainer.slots.map((slot) => {
    const isHeld = trainer.held.some(({ slotIds }) => slotIds.includes(slot.slotId));
    const free = slot.quarantine === '' ? 'free' : 'quarantined';
    return [
      trainer.trainerId,
      trainerStateWords(trainer),
      trainer.address,
      slot.slotId,
      deviceWords(slot),
      slot.memoryBytes === undefined ? UNREAD : `${(slot.memoryBytes / GB).toFixed(1)} GB`,
      trainer.powerMethod === '' ? UNREAD : trainer.powerMethod,
      slot.holder !== '' ? slot.holder : isHeld ? 'held' : free,
    ];
  });

/** Why nothing is placed there, one sentence each. */
export const trainerNotes = ({ trainerId, quarantine, slots }: Trainer): string[] => [
  ...(quarantine === '' ? [] : [`${trainerId} is quarantined: ${quarantine}`]),
  ...slots.flatMap((slot) =>
    slot.quarantine === '' ? [] : [`${trainerId}/${slot.slotId} is quarantined: ${slot.quarantine}`],
  ),
];

/** Attempts of other ledgers. */
export const heldRows = ({ trainerId, held }: Trainer): string[][] =>
  held.map(({ attempt, slotIds, ledgerId, sinceUnixMs, stopping }) => [
    trainerId,
    attempt,
    slotIds.join(', '),
    ledgerId,
    new Date(sinceUnixMs).toISOString().slice(0, 19).replace('T', ' '),
    stopping ? 'is being ended' : '',
  ]);
