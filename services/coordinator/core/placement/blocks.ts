/**
 * `placement: blocked`, a randomised complete block design (Fisher, The Design of Experiments, 1935, section 26): each
 * repeat of all points is a block, which holds every setting once, in a random order of its own. A block begins when
 * every trial of the one before has been given a slot, so its trials run close in time; and no setting runs on one
 * device model more often than `repeats / models`, rounded up, so none sits on one model only. Boxes of one model take
 * turns as far as that keeps no slot empty.
 */
import { apart, fitByModel, isOpen, isUnfit, slotsNeeded } from './resources.js';
import { searchResults } from '../sweeps/results.js';
import { othersAt } from '../lookups/runs.js';
import { pointAt } from '../search/index.js';
import { permutation } from '../search/permutation.js';
import type { SweepSpec } from '../spec.js';
import type { State, SweepState, TrainerState, TrialRecord } from '../state.js';

export const isBlocked = ({ placement }: SweepSpec): boolean => placement === 'blocked';

/** Where the sweep's trials may run now. */
export interface Sites {
  readonly models: ReadonlySet<string>;
  readonly boxes: number;
}

export function sitesOf(state: State, sweep: SweepState): Sites {
  const models = new Set<string>();
  let boxes = 0;
  for (const trainer of state.trainers.values()) {
    const own = isOpen(trainer) ? modelsOf(trainer, sweep) : [];
    if (own.length > 0) boxes += 1;
    for (const model of own) models.add(model);
  }
  return { models, boxes };
}

/** Models of which the box has as many slots, outside of quarantine, as a trial needs. */
function modelsOf(trainer: TrainerState, sweep: SweepState, memoryAboveBytes = -1): readonly string[] {
  if (isUnfit(trainer, sweep)) return [];
  return [...fitByModel(trainer, sweep)].flatMap(([model, slots]) => {
    const usable = slots.filter(
      ({ slotId, memoryBytes }) =>
        !trainer.slotQuarantines.has(slotId) && (memoryBytes ?? 0) > memoryAboveBytes,
    );
    return apart(usable).length >= slotsNeeded(sweep) ? [model] : [];
  });
}

/** Times that a setting may run on one model. */
const shareOf = ({ spec }: SweepState, { models }: Sites): number =>
  Math.ceil(spec.repeats / Math.max(1, models.size));

/**
 * The models that have more memory than where the trial ran out, when each of them has had its share of the setting by
 * trials that have ended: then it waits in vain. Empty while it does not, and while no box has such a device.
 */
export function barredModels(state: State, sweep: SweepState, trial: TrialRecord): readonly string[] {
  const { memoryAboveBytes, pointHash } = trial;
  if (memoryAboveBytes === null) return [];
  const larger = new Set<string>();
  for (const trainer of state.trainers.values())
    if (trainer.status !== 'lost')
      for (const model of modelsOf(trainer, sweep, memoryAboveBytes)) larger.add(model);
  const share = shareOf(sweep, sitesOf(state, sweep));
  const hasHadShare = (model: string): boolean =>
    othersAt(sweep, trial, `model ${model}`) >= share &&
    [...sweep.trials.values()].filter(
      (other) =>
        other !== trial &&
        other.pointHash === pointHash &&
        other.endedAt !== null &&
        other.attempts.at(-1)?.slotModel === model,
    ).length >= share;
  return [...larger].every(hasHadShare) ? [...larger] : [];
}

/** Whether the trial's setting may run on that model (must hold), and on that box (should). */
export function allows(
  sweep: SweepState,
  trial: TrialRecord,
  sites: Sites,
  { model, trainerId }: { readonly model: string; readonly trainerId: string },
): { readonly model: boolean; readonly box: boolean } {
  const { repeats } = sweep.spec;
  return {
    model: othersAt(sweep, trial, `model ${model}`) < shareOf(sweep, sites),
    box: othersAt(sweep, trial, `box ${trainerId}`) < Math.ceil(repeats / Math.max(1, sites.boxes)),
  };
}

/** Whether a trial at the position may be made: a block waits until every trial of the one before has a slot. */
export const mayBegin = ({ points, queue }: SweepState, position: number): boolean =>
  position % points !== 0 || queue.size === 0;

const sizes = new WeakMap<SweepSpec, number>();

/** Points that the search really has: constraints may leave out some. */
export function blockSize(sweep: SweepState): number {
  const { spec, points } = sweep;
  let size = sizes.get(spec);
  if (size !== undefined) return size;
  size = 0;
  while (size < points && pointAt(spec, size, () => searchResults(sweep)) !== null) size += 1;
  sizes.set(spec, size);
  return size;
}

/** The point that stands at a place of its block: each block has an order of its own. */
export function pointInBlock(sweep: SweepState, place: number, repeat: number): number {
  const { seed } = sweep.spec;
  return permutation(blockSize(sweep), `wattsweep-block:${seed}:${repeat}`).at(place);
}
