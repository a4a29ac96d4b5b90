/**
 * `placement: blocked`, a randomised complete block design (Fisher, The Design of Experiments, 1935, section 26): each
 * repeat of all points is a block, which holds every setting once, in a random order of its own. A block begins when
 * every trial of the one before has been given a slot, so its trials run close in time; and no setting runs on one
 * device model more often than `repeats / models`, rounded up, so none sits on one model only. Boxes of one model take
 * turns as far as that keeps no slot empty.
 */
import { searchResults } from './results.js';
import { othersAt } from './runs.js';
import { pointAt } from './search/index.js';
import { permutation } from './search/permutation.js';
import type { SweepSpec } from './spec.js';
import type { SweepState, TrialRecord } from './state.js';

export const isBlocked = ({ placement }: SweepSpec): boolean => placement === 'blocked';

/** Where the sweep's trials may run now. */
export interface Sites {
  readonly models: ReadonlySet<string>;
  readonly boxes: number;
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
    model: othersAt(sweep, trial, `model ${model}`) < Math.ceil(repeats / Math.max(1, sites.models.size)),
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
