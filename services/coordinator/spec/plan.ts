/** What a sweep would run: counted and estimated before anything starts. */
import { firstPoints, pointHash, searchSize } from '../core/search/index.js';
import type { Parameters, SweepSpec } from '../core/spec.js';
import { expectedOf, type PlanRung } from './plan-expected.js';

export type { PlanRung } from './plan-expected.js';

export interface PlanOptions {
  /** Points that are listed. @default 10 */
  readonly limit?: number;
  /** What an epoch costs on this fleet, from earlier runs; null when it is not known. @default null */
  readonly epochCost?: EpochCost | null;
}

/** Of one epoch, training and evaluation: the mean over the sweep's points and the fleet's slots. */
export interface EpochCost {
  readonly seconds: number;
  /** Null when nothing read it. */
  readonly wattHours: number | null;
  /** Slots that work at the same time. */
  readonly slots: number;
  /** Where the numbers come from, in words. @default '' */
  readonly basis?: string;
}

/** What a number of epochs costs; null where it is not known. */
export interface PlanCost {
  /** Hours of a slot. */
  readonly slotHours: number | null;
  /** Hours by the clock, with every slot at work. */
  readonly hours: number | null;
  readonly wattHours: number | null;
}

/** Plain data, the same for `plan --json`. */
export interface Plan {
  readonly name: string;
  /** Points times repeats: the most that could run. */
  readonly trials: number;
  readonly pointCount: number;
  readonly repeats: number;
  readonly maxEpochs: number;
  /** The most that could run, summed over the trials. */
  readonly epochs: number;
  /** Rungs of `asha` and `hyperband`, lowest first; empty for other rules. */
  readonly rungs: readonly PlanRung[];
  /** Epochs with the stopping rule at work; null when that depends on the curves. */
  readonly expectedEpochs: number | null;
  /** How `expectedEpochs` and `survivors` were computed, in words. */
  readonly expectedHow: string;
  /** Of `epochs`. */
  readonly upper: PlanCost;
  /** Of `expectedEpochs`. */
  readonly expected: PlanCost;
  /** Where the costs come from, in words; empty when there are none. */
  readonly costBasis: string;
  /** The budget ends in the first rung when an epoch costs more than this; null without a rung or that budget. */
  readonly firstRungLimit: {
    /** Seconds of an epoch, times the slots that work at the same time. */
    readonly slotSeconds: number | null;
    readonly wattHours: number | null;
  };
  /** The first points, in the order in which they run; of `tpe` only those that do not depend on results. */
  readonly points: readonly { readonly hash: string; readonly params: Parameters }[];
  readonly warnings: readonly string[];
}

/** @throws RangeError for a limit that is no whole number from 0 on */
export function planSweep(spec: SweepSpec, options: PlanOptions = {}): Plan {
  const { limit = 10, epochCost = null } = options;
  if (!Number.isInteger(limit) || limit < 0)
    throw new RangeError(`limit ${limit} is not a whole number from 0 on`);
  const { maxEpochs, repeats } = spec;
  const pointCount = searchSize(spec);
  const trials = pointCount * repeats;
  const epochs = trials * maxEpochs;
  const { rungs, expectedEpochs, expectedHow } = expectedOf(spec, pointCount);
  const firstRungEpochs = spec.stopping.rule === 'asha' ? pointCount * spec.stopping.firstRung : null;
  const limitOf = (budget: number | null): number | null =>
    budget === null || firstRungEpochs === null ? null : budget / firstRungEpochs;
  const { hours, energyWh } = spec.budget;
  const firstRungLimit = {
    slotSeconds: limitOf(hours === null ? null : hours * 3600),
    wattHours: limitOf(energyWh),
  };
  const upper = costOf(epochs, epochCost, spec.maxParallel);
  const expected = costOf(expectedEpochs, epochCost, spec.maxParallel);
  return {
    name: spec.name,
    trials,
    pointCount,
    repeats,
    maxEpochs,
    epochs,
    rungs,
    expectedEpochs,
    expectedHow,
    upper,
    expected,
    costBasis: epochCost?.basis ?? '',
    firstRungLimit,
    points: firstPoints(spec, limit).map((params) => ({ hash: pointHash(spec, params), params })),
    warnings:
      epochCost === null
        ? []
        : budgetWarnings(spec, epochCost, firstRungLimit, expectedEpochs === null ? upper : expected),
  };
}

function costOf(epochs: number | null, cost: EpochCost | null, maxParallel: number | null): PlanCost {
  if (epochs === null || cost === null) return { slotHours: null, hours: null, wattHours: null };
  const slotHours = (epochs * cost.seconds) / 3600;
  const slots = Math.max(1, Math.min(cost.slots, maxParallel ?? Infinity));
  return {
    slotHours,
    hours: slotHours / slots,
    wattHours: cost.wattHours === null ? null : epochs * cost.wattHours,
  };
}

function budgetWarnings(
  { budget }: SweepSpec,
  { seconds, wattHours, slots }: EpochCost,
  limit: Plan['firstRungLimit'],
  cost: PlanCost,
): string[] {
  const warnings: string[] = [];
  if (limit.slotSeconds !== null && seconds > limit.slotSeconds * slots) {
    warnings.push(
      `budget.hours ends in the first rung: an epoch takes ${seconds} s, and only ${(limit.slotSeconds * slots).toPrecision(3)} s would do on ${slots} slots`,
    );
  } else if (budget.hours !== null && cost.hours !== null && cost.hours > budget.hours) {
    warnings.push(
      `budget.hours, ${budget.hours}, ends the sweep before its about ${cost.hours.toPrecision(3)} hours`,
    );
  }
  if (limit.wattHours !== null && wattHours !== null && wattHours > limit.wattHours) {
    warnings.push(
      `budget.energy_wh ends in the first rung: an epoch takes ${wattHours} Wh, and only ${limit.wattHours.toPrecision(3)} Wh would do`,
    );
  } else if (budget.energyWh !== null && cost.wattHours !== null && cost.wattHours > budget.energyWh) {
    warnings.push(
      `budget.energy_wh, ${budget.energyWh}, ends the sweep before its about ${cost.wattHours.toPrecision(3)} Wh`,
    );
  }
  return warnings;
}
