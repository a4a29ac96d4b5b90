/**
 * What one trial's objective says, epoch by epoch. `values[i]` is the objective after epoch i + 1. Null (or a number
 * that is not finite) is a value that reaches nothing and holds nothing; undefined is an epoch that the program left
 * out, which says nothing either way. Values are compared as they are, unrounded.
 */
import type { Goal } from '../../core/spec.js';

export type CurveValue = number | null | undefined;

/** A value and the 1-based epoch after which it stood. */
export interface EpochValue {
  readonly value: number;
  readonly epoch: number;
}

export interface Hold {
  /** Epochs after the first hit during which the level must hold; k, >= 0. */
  readonly window: number;
  /** How far the objective may fall short meanwhile; d, >= 0. */
  readonly tolerance: number;
  readonly goal: Goal;
  /** `every`: each value of the window is within d of the level. `mean`: their mean is (weaker). @default 'every' */
  readonly variant?: 'every' | 'mean';
}

export const defaultHold: Hold = { window: 5, tolerance: 0.002, goal: 'maximize' };

/**
 * `confirmed`: reached, and the whole window was seen to hold. `unconfirmed`: reached, and held to the trial's end,
 * which came before the window's. `censored`: not reached in the epochs that ran.
 */
export type TransitionStatus = 'confirmed' | 'unconfirmed' | 'censored';

export interface Transition {
  readonly status: TransitionStatus;
  /** 1-based; null exactly when censored. */
  readonly epoch: number | null;
  readonly ranEpochs: number;
}

const isFiniteValue = (value: CurveValue): value is number =>
  typeof value === 'number' && Number.isFinite(value);

/** True when `a` is strictly better than `b`. */
export const isBetter = (a: number, b: number, goal: Goal): boolean => (goal === 'maximize' ? a > b : a < b);

/** True when `value` is at the level or beyond it. */
export const reaches = (value: CurveValue, level: number, goal: Goal): boolean =>
  isFiniteValue(value) && (goal === 'maximize' ? value >= level : value <= level);

const reported = (values: readonly CurveValue[]): readonly (number | null)[] =>
  values.filter((value) => value !== undefined);

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The best finite value; of equal ones the earliest. Null when there is none. */
export function best(values: readonly CurveValue[], goal: Goal): EpochValue | null {
  let found: EpochValue | null = null;
  values.forEach((value, i) => {
    if (isFiniteValue(value) && (found === null || isBetter(value, found.value, goal))) {
      found = { value, epoch: i + 1 };
    }
  });
  return found;
}

/** The value after the last epoch; null when it is not finite or nothing ran. */
export function final(values: readonly CurveValue[]): number | null {
  const last = values.at(-1);
  return isFiniteValue(last) ? last : null;
}

/** Mean of the last five values (of all when fewer ran); null when one of them is not finite or nothing ran. */
export function meanOfLast5(values: readonly CurveValue[]): number | null {
  const tail = reported(values).slice(-5);
  return tail.length > 0 && tail.every(isFiniteValue) ? mean(tail) : null;
}

/** First epoch, 1-based, whose value reaches the level; null when none does. */
export function firstHit(values: readonly CurveValue[], level: number, goal: Goal): number | null {
  const index = values.findIndex((value) => reaches(value, level, goal));
  return index === -1 ? null : index + 1;
}

function holds(values: readonly CurveValue[], bound: number, hold: Hold): boolean {
  const window = reported(values);
  if (hold.variant !== 'mean') return window.every((value) => reaches(value, bound, hold.goal));
  return window.every(isFiniteValue) && reaches(mean(window), bound, hold.goal);
}

/**
 * The first epoch e that reaches the level and after which epochs e..e+k stay within d of it, as far as they ran.
 * For a fixed curve it never falls as the level gets harder.
 */
export function transition(
  values: readonly CurveValue[],
  level: number,
  hold: Hold = defaultHold,
): Transition {
  const bound = hold.goal === 'maximize' ? level - hold.tolerance : level + hold.tolerance;
  const ranEpochs = values.length;
  for (let i = 0; i < ranEpochs; i++) {
    if (!reaches(values[i], level, hold.goal)) continue;
    if (!holds(values.slice(i, i + hold.window + 1), bound, hold)) continue;
    const epoch = i + 1;
    return { status: epoch + hold.window <= ranEpochs ? 'confirmed' : 'unconfirmed', epoch, ranEpochs };
  }
  return { status: 'censored', epoch: null, ranEpochs };
}
