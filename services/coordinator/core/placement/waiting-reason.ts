/**
 * Why nothing of a sweep can be placed on the fleet as it is, in words for people. What only waits for a slot to come free
 * gives no reason. Decides nothing.
 */
import type { SlotRecord } from '../events.js';
import { nextPosition } from '../sweeps/lifecycle.js';
import { nextPromotion } from './promotion.js';
import {
  apart,
  capacity,
  fitByModel,
  freeMemory,
  gigabytes,
  hasLabels,
  hasMemory,
  isKind,
  isModel,
  isOpen,
  isUnfit,
  slotsNeeded,
} from './resources.js';
import type { State, SweepState, TrainerState } from '../state.js';
import { offersAll, recipesOf } from '../variants.js';

/** Names that a sentence lists at most. */
const LISTED = 5;

/** One sentence without a full stop; empty when something of the sweep can be placed, or nothing waits. */
export function waitingReason(state: State, sweep: SweepState): string {
  if (sweep.status !== 'running') return '';
  if (sweep.queue.size === 0 && nextPosition(sweep) === null && nextPromotion(sweep) === null) return '';
  const boxes = [...state.trainers.values()].filter(({ status }) => status !== 'lost');
  if (boxes.length === 0) return 'no trainer has joined';
  return lackOf(sweep, boxes) ?? withheld(sweep, boxes) ?? memoryOfQueue(sweep, boxes) ?? '';
}

/** What none of the boxes has; null when one has everything. */
export function lackOf(sweep: Pick<SweepState, 'spec'>, boxes: readonly TrainerState[]): string | null {
  const { spec } = sweep;
  const { resources } = spec;
  const offering = boxes.filter(({ info }) => offersAll(info.recipes, spec));
  if (offering.length === 0) return `no box offers the recipe ${recipesOf(spec).join(' and ')}`;
  const labelled = offering.filter((box) => hasLabels(box, resources));
  if (labelled.length === 0) return `no box has the labels ${labelText(resources.labels ?? {})}`;
  const slotsWith = (test: (slot: SlotRecord) => boolean): SlotRecord[] =>
    labelled.flatMap(({ info }) => info.slots.filter(test));
  const ofKind = slotsWith((slot) => isKind(slot, resources));
  if (ofKind.length === 0) return resources.gpus === 0 ? 'no box has a CPU slot' : 'no box has a GPU';
  const ofModel = ofKind.filter((slot) => isModel(slot, resources));
  if (ofModel.length === 0)
    return `no box has a device "${String(resources.device)}"; there are ${list(new Set(ofKind.map(({ deviceModel }) => deviceModel)))}`;
  if (!ofModel.some((slot) => hasMemory(slot, resources))) {
    const most = Math.max(-1, ...ofModel.map((slot) => freeMemory(slot) ?? -1));
    const has = most < 0 ? 'no device says how much it has' : `the most is ${gigabytes(most)}`;
    return `no device has ${String(resources.memoryGb)} GB of memory free; ${has}`;
  }
  const needed = slotsNeeded(sweep);
  const largest = Math.max(...labelled.map((box) => capacity(box, sweep)));
  if (largest < needed) return `no box has ${needed} GPUs${which(sweep)}; the largest has ${largest}`;
  return null;
}

const which = ({ spec: { resources } }: Pick<SweepState, 'spec'>): string =>
  resources.device === null && (resources.memoryGb ?? null) === null ? '' : ' that suit';

const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');

const list = (names: Iterable<string>): string => {
  const all = [...names];
  const more = all.length > LISTED ? `, and ${all.length - LISTED} more` : '';
  return `${all.slice(0, LISTED).join(', ')}${more}`;
};

/** Why each of the boxes that have what is needed, of which there is one, takes nothing; null when one does. */
function withheld(sweep: SweepState, boxes: readonly TrainerState[], none = 'no box'): string | null {
  const reasons: string[] = [];
  for (const box of boxes) {
    if (capacity(box, sweep) < slotsNeeded(sweep)) continue;
    const { trainerId, draining } = box.info;
    const inQuarantine = box.info.slots.filter(({ slotId }) => box.slotQuarantines.has(slotId)).length;
    if (isUnfit(box, sweep)) reasons.push(`${trainerId}: ${sweep.unfit.get(trainerId)?.message ?? ''}`);
    else if (box.quarantine !== null)
      reasons.push(`${trainerId} is quarantined (wattsweep trainers release ${trainerId})`);
    else if (box.drained || draining) reasons.push(`${trainerId} is drained`);
    else if (!isOpen(box)) reasons.push(`${trainerId} is silent`);
    else if (box.info.slots.length - inQuarantine < slotsNeeded(sweep))
      reasons.push(`slots of ${trainerId} are quarantined (wattsweep trainers release ${trainerId})`);
    else return null;
  }
  return `${none} takes it: ${list(reasons)}`;
}

/** All that waits has run out of memory, and the larger devices are gone or take nothing. */
function memoryOfQueue(sweep: SweepState, boxes: readonly TrainerState[]): string | null {
  if (sweep.queue.size === 0 || nextPosition(sweep) !== null) return null;
  let least = Infinity;
  for (const trialId of sweep.queue)
    least = Math.min(least, sweep.trials.get(trialId)?.memoryAboveBytes ?? -1);
  if (least < 0) return null;
  const larger = boxes.filter((box) =>
    [...fitByModel(box, sweep).values()].some(
      (slots) =>
        apart(slots).length >= slotsNeeded(sweep) &&
        slots.some(({ memoryBytes }) => (memoryBytes ?? 0) > least),
    ),
  );
  const ranOut = `more memory than ${gigabytes(least)}, where it ran out`;
  if (larger.length === 0) return `no device has ${ranOut}`;
  return withheld(sweep, larger, `no box that has ${ranOut},`);
}
