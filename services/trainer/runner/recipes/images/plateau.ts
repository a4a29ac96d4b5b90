/**
 * Reduction on a plateau, as Keras' ReduceLROnPlateau decides it, with one difference: it multiplies what the schedule
 * says. In the Keras example a scheduler overwrites the reduced rate before every epoch, so that it is logged and never
 * used.
 */
import type { ParameterValue, Parameters } from '../../../protocol/runner.js';
import { Given } from './given.js';

export interface PlateauSettings {
  readonly monitor: 'val_cross_entropy' | 'val_accuracy';
  /** Multiplies the rate at each reduction. */
  readonly factor: number;
  /** Epochs without an improvement before a reduction. */
  readonly patience: number;
  /** An epoch improves when it is better than the best by more than this. */
  readonly minDelta: number;
  /** Epochs after a reduction that do not count. */
  readonly cooldown: number;
  /** The rate is not reduced below this. */
  readonly minLr: number;
}

const KEYS = ['monitor', 'factor', 'patience', 'min_delta', 'cooldown', 'min_lr'];

/** @returns Null for the empty mapping: no reduction. @throws WattsweepError PARAMETER_REFUSED */
export function parsePlateau(value: ParameterValue): PlateauSettings | null {
  const values = value as Parameters;
  if (Object.keys(values).length === 0) return null;
  const given = new Given('reduce_on_plateau', values);
  given.keys('the reduction', KEYS);
  const factor = given.number('factor', 0.1, Number.MIN_VALUE);
  if (factor >= 1) given.refuse('factor', `${factor} reduces nothing; give a number below 1`);
  return {
    monitor: given.word('monitor', ['val_cross_entropy', 'val_accuracy'], 'val_cross_entropy'),
    factor,
    patience: given.number('patience', 10, 0),
    minDelta: given.number('min_delta', 1e-4, 0),
    cooldown: given.number('cooldown', 0, 0),
    minLr: given.number('min_lr', 0, 0),
  };
}

/** Numbers only, so that a checkpoint can carry them. */
export interface PlateauState {
  /** Best value so far, larger being better; absent before the first epoch. */
  readonly best?: number;
  readonly wait: number;
  readonly cooldown: number;
  /** Product of the reductions so far. */
  readonly reduction: number;
}

export const untouched: PlateauState = { wait: 0, cooldown: 0, reduction: 1 };

/**
 * The state after an epoch.
 *
 * @param metrics Of the epoch; the monitored one is finite.
 * @param scheduled Rate that the schedule gave the epoch's last step.
 */
export function afterEpoch(
  settings: PlateauSettings,
  state: PlateauState,
  metrics: Readonly<Record<PlateauSettings['monitor'], number>>,
  scheduled: number,
): PlateauState {
  const { monitor, minDelta, patience, cooldown, factor, minLr } = settings;
  const value = monitor === 'val_accuracy' ? metrics[monitor] : -metrics[monitor];
  const cooling = Math.max(0, state.cooldown - 1);
  const waited = state.cooldown > 0 ? 0 : state.wait;
  if (state.best === undefined || value > state.best + minDelta) {
    return { ...state, best: value, wait: 0, cooldown: cooling };
  }
  if (cooling > 0) return { ...state, wait: waited, cooldown: cooling };
  const wait = waited + 1;
  if (wait < patience || reduced(settings, state, scheduled) <= minLr) return { ...state, wait, cooldown: 0 };
  return { ...state, wait: 0, cooldown, reduction: state.reduction * factor };
}

/** The rate that a step uses. @param scheduled What the schedule says. */
export const reduced = ({ minLr }: PlateauSettings, { reduction }: PlateauState, scheduled: number): number =>
  Math.max(scheduled * reduction, Math.min(scheduled, minLr));
