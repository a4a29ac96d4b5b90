/** What a sweep would run: counted and estimated before anything starts. */
import { firstPoints, pointHash, searchSize } from '../core/search/index.js';
import type { AshaSpec, Axes, Parameters, SweepSpec } from '../core/spec.js';
import { axisValues } from '../core/search/index.js';
import { ashaRungs } from '../core/stopping/index.js';

export interface PlanOptions {
  /** Points that are listed. @default 10 */
  readonly limit?: number;
  /** What an epoch costs on this fleet, from earlier runs; null when it is not known. @default null */
  readonly epochCost?: EpochCost | null;
}

export interface EpochCost {
  readonly seconds: number;
  /** Null when nothing read it. */
  readonly wattHours: number | null;
  /** Slots that work at the same time. */
  readonly slots: number;
}

export interface PlanRung {
  readonly epochs: number;
  /** Bracket s, from 0. */
  readonly bracket: number;
  /** Expected number of points that go on beyond the rung. */
  readonly survivors: number;
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
  /** Rungs of `asha`, lowest first; empty for other rules. */
  readonly rungs: readonly PlanRung[];
  /** Epochs with the stopping rule at work; null when that depends on the curves. */
  readonly expectedEpochs: number | null;
  /** How `expectedEpochs` and `survivors` were computed, in words. */
  readonly expectedHow: string;
  /** Slot-hours and watt-hours of `expectedEpochs` (else of `epochs`); null when costs are not known. */
  readonly expectedHours: number | null;
  readonly expectedWattHours: number | null;
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
  const { rungs, expectedEpochs, expectedHow } = expected(spec, pointCount);
  const counted = expectedEpochs ?? epochs;
  const firstRungEpochs = spec.stopping.rule === 'asha' ? pointCount * spec.stopping.firstRung : null;
  const limitOf = (budget: number | null): number | null =>
    budget === null || firstRungEpochs === null ? null : budget / firstRungEpochs;
  const { hours, energyWh } = spec.budget;
  const firstRungLimit = {
    slotSeconds: limitOf(hours === null ? null : hours * 3600),
    wattHours: limitOf(energyWh),
  };
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
    expectedHours: epochCost === null ? null : (counted * epochCost.seconds) / 3600,
    expectedWattHours: epochCost?.wattHours == null ? null : counted * epochCost.wattHours,
    firstRungLimit,
    points: firstPoints(spec, limit).map((params) => ({ hash: pointHash(spec, params), params })),
    warnings: epochCost === null ? [] : budgetWarnings(epochCost, firstRungLimit),
  };
}

function budgetWarnings({ seconds, wattHours, slots }: EpochCost, limit: Plan['firstRungLimit']): string[] {
  const warnings: string[] = [];
  if (limit.slotSeconds !== null && seconds > limit.slotSeconds * slots) {
    warnings.push(
      `budget.hours ends in the first rung: an epoch takes ${seconds} s, and only ${(limit.slotSeconds * slots).toPrecision(3)} s would do on ${slots} slots`,
    );
  }
  if (limit.wattHours !== null && wattHours !== null && wattHours > limit.wattHours) {
    warnings.push(
      `budget.energy_wh ends in the first rung: an epoch takes ${wattHours} Wh, and only ${limit.wattHours.toPrecision(3)} Wh would do`,
    );
  }
  return warnings;
}

type Expected = Pick<Plan, 'rungs' | 'expectedEpochs' | 'expectedHow'>;

function expected(spec: SweepSpec, points: number): Expected {
  const { stopping, maxEpochs, repeats } = spec;
  switch (stopping.rule) {
    case 'none': {
      const expectedHow =
        'no stopping rule: every trial runs to max_epochs unless it holds the target before';
      return { rungs: [], expectedEpochs: points * repeats * maxEpochs, expectedHow };
    }
    case 'patience':
    case 'threshold':
    case 'median':
    case 'energy_to_target':
    case 'composite':
    case 'hyperband':
      return {
        rungs: [],
        expectedEpochs: null,
        expectedHow: `what ${stopping.rule} stops depends on the curves`,
      };
    case 'asha':
      if (stopping.mode !== 'promote') return expectedOfAsha(spec, stopping, points);
      return {
        rungs: [],
        expectedEpochs: null,
        expectedHow: 'what asha promotes depends on the order of arrival',
      };
  }
}

function expectedOfAsha(spec: SweepSpec, asha: AshaSpec, points: number): Expected {
  const { maxEpochs, repeats } = spec;
  const groups = Math.min(points, groupsOf(spec, asha.compareWithin));
  const brackets = Array.from({ length: asha.brackets }, (_, s) => s);
  const weights = brackets.map((s) => asha.eta ** (asha.brackets - 1 - s) / (asha.brackets - s));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const rungs: PlanRung[] = [];
  let expectedEpochs = 0;
  for (const bracket of brackets) {
    let running = (points * (weights[bracket] ?? 0)) / total;
    let before = 0;
    for (const epochs of ashaRungs(asha, maxEpochs, bracket)) {
      expectedEpochs += running * (epochs - before);
      running = Math.min(running, groups * survivors(running / groups, asha.eta));
      before = epochs;
      rungs.push({ epochs, bracket, survivors: Math.round(running * 10) / 10 });
    }
    expectedEpochs += running * (maxEpochs - before) + running * (repeats - 1) * maxEpochs;
  }
  const expectedHow =
    'values taken to arrive in random order at every rung: the k-th of a rung goes on with probability max(1, floor(k / eta)) / k; further repeats run only for points that reach max_epochs';
  return { rungs, expectedEpochs: Math.round(expectedEpochs), expectedHow };
}

/** Number of groups that `compare_within` ranks apart. */
function groupsOf({ sweep, cases }: SweepSpec, names: readonly string[]): number {
  const sizeIn = (axes: Axes, name: string): number => {
    const domain = axes.find((axis) => axis.name === name)?.domain;
    if (domain?.kind === 'range' && domain.count === null) return Infinity;
    return domain === undefined ? 0 : (axisValues(domain)?.size ?? 1);
  };
  return names.reduce((product, name) => {
    const inCases = cases.reduce((sum, branch) => sum + sizeIn(branch, name), 0);
    return product * Math.max(1, sizeIn(sweep, name), inCases);
  }, 1);
}

const SUMMED = 10_000;

/** Sum of max(1, floor(k / eta)) / k for k = 1..n; linear between whole n, an integral beyond {@link SUMMED}. */
function survivors(n: number, eta: number): number {
  let sum = 0;
  const whole = Math.min(Math.floor(n), SUMMED);
  for (let k = 1; k <= whole; k += 1) sum += Math.max(1, Math.floor(k / eta)) / k;
  if (n <= SUMMED) {
    const next = whole + 1;
    return sum + ((n - whole) * Math.max(1, Math.floor(next / eta))) / next;
  }
  return sum + (n - SUMMED) / eta - ((eta - 1) / (2 * eta)) * Math.log(n / SUMMED);
}
