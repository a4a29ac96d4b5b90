/** What a trial needs of a box, and what a box has: kind and model of devices, memory, labels, recipes. */
import type { SlotRecord } from '../events.js';
import type { ResourcesSpec } from '../spec.js';
import type { SweepState, TrainerState } from '../state.js';
import { offersAll } from '../variants.js';

type Wanting = Pick<SweepState, 'spec'>;

const GB = 1e9;

export const isKind = (slot: SlotRecord, { gpus }: ResourcesSpec): boolean =>
  gpus === null || (gpus === 0 ? slot.deviceKind === 'cpu' : slot.deviceKind === 'gpu');

export const isModel = (slot: SlotRecord, { device }: ResourcesSpec): boolean =>
  device === null || slot.deviceModel.toLowerCase().includes(device.toLowerCase());

/** Bytes of the slot's device that others leave; null when neither those nor all are known. */
export const freeMemory = ({ freeMemoryBytes, memoryBytes }: SlotRecord): number | null =>
  freeMemoryBytes ?? memoryBytes ?? null;

export const hasMemory = (slot: SlotRecord, { memoryGb = null }: ResourcesSpec): boolean =>
  memoryGb === null || (freeMemory(slot) ?? 0) >= memoryGb * GB;

export const hasLabels = ({ info }: TrainerState, { labels = {} }: ResourcesSpec): boolean =>
  Object.entries(labels).every(
    ([name, value]) => Object.hasOwn(info.labels, name) && info.labels[name] === value,
  );

/** Whether this trainer's slot may ever be part of an attempt of the sweep. */
export const suits = (trainer: TrainerState, slot: SlotRecord, { spec }: Wanting): boolean =>
  offers(trainer, { spec }) && isFit(slot, spec.resources);

/** Whether the box runs what the sweep runs, and is where the sweep wants it. */
export const offers = (trainer: TrainerState, { spec }: Wanting): boolean =>
  offersAll(trainer.info.recipes, spec) && hasLabels(trainer, spec.resources);

export const isFit = (slot: SlotRecord, resources: ResourcesSpec): boolean =>
  isKind(slot, resources) && isModel(slot, resources) && hasMemory(slot, resources);

/** Slots that an attempt holds. */
export const slotsNeeded = ({ spec }: Wanting): number => Math.max(1, spec.resources.gpus ?? 1);

/** Slots of one box that all trials of the sweep hold now. */
export const slotsInUse = (sweep: SweepState): number => sweep.active.size * slotsNeeded(sweep);

/** Whether anything new may be placed on the box. */
export const isOpen = ({ status, info, drained, quarantine }: TrainerState): boolean =>
  status === 'alive' && !info.draining && !drained && quarantine === null;

/** The box has said, as it is now, that it does not run what the sweep runs. */
export const isUnfit = (trainer: TrainerState, { unfit }: SweepState): boolean =>
  unfit.get(trainer.info.trainerId)?.instanceId === trainer.info.instanceId;

/** Slots of the box that suit the sweep, by device model: those of an attempt are of one model. */
export function fitByModel(
  trainer: TrainerState,
  sweep: Wanting,
): ReadonlyMap<string, readonly SlotRecord[]> {
  const byModel = new Map<string, SlotRecord[]>();
  for (const slot of offers(trainer, sweep) ? trainer.info.slots : []) {
    if (!isFit(slot, sweep.spec.resources)) continue;
    const same = byModel.get(slot.deviceModel);
    if (same === undefined) byModel.set(slot.deviceModel, [slot]);
    else same.push(slot);
  }
  return byModel;
}

/** Slots of which no two share a GPU, in their order: those that an attempt may hold together. */
export function apart(slots: readonly SlotRecord[]): readonly SlotRecord[] {
  const taken = new Set<string>();
  return slots.filter(({ deviceUuids, sharedBy = 1 }) => {
    if (sharedBy === 1) return true;
    if (deviceUuids.some((uuid) => taken.has(uuid))) return false;
    for (const uuid of deviceUuids) taken.add(uuid);
    return true;
  });
}

/** Slots of the box that could hold an attempt of the sweep together: as many as its best model has. */
export const capacity = (trainer: TrainerState, sweep: Wanting): number =>
  Math.max(0, ...[...fitByModel(trainer, sweep).values()].map((slots) => apart(slots).length));

/** `8.6 GB`, or `unknown`. */
export const gigabytes = (bytes: number | null): string =>
  bytes === null ? 'unknown' : `${(bytes / GB).toFixed(1)} GB`;
