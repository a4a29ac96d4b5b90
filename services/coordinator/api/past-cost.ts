/**
 * What an epoch of a sweep will cost on this fleet, by what the ledger's past trials took: those of the same program on the
 * same device model, and of them the ones that share the most parameters with a point. Pure: the same state, the same answer.
 */
import { JOULES_PER_WH, suits, type State, type SweepSpec, type TrialRecord } from '../core/index.js';
import { canonicalJson, samplePoints, firstPoints } from '../core/search/index.js';
import type { Parameters } from '../core/spec.js';
import type { EpochCost } from '../spec/index.js';

/** Points of the sweep that are looked at, and past trials of a device model: the latest. */
const LOOKED_AT = 100;
const MAX_TRIALS = 1000;

interface PastTrial {
  readonly texts: ReadonlyMap<string, string>;
  /** Medians over its epochs; the first one, which compiles, weighs no more than another. */
  readonly seconds: number;
  readonly joules: number | null;
}

interface Estimate {
  readonly seconds: number;
  readonly joules: number | null;
  /** Past trials it was made of. */
  readonly trials: number;
  /** Parameters that they share with the points, at least. */
  readonly shared: number;
  readonly parameters: number;
}

/** Null when no slot suits the sweep, or no past trial tells. */
export function pastEpochCost(state: State, spec: SweepSpec): EpochCost | null {
  const slots = new Map<string, number>();
  for (const trainer of state.trainers.values()) {
    if (trainer.status === 'lost') continue;
    for (const slot of trainer.info.slots)
      if (suits(trainer, slot, { spec })) slots.set(slot.deviceModel, (slots.get(slot.deviceModel) ?? 0) + 1);
  }
  const sampled = samplePoints(spec, LOOKED_AT);
  const points = sampled.length > 0 ? sampled : firstPoints(spec, LOOKED_AT);
  const past = pastTrials(state, spec);
  const parts = [...slots].flatMap(([device, count]) => {
    const estimate = estimateOf(points, past.get(device) ?? []);
    return estimate === null ? [] : [{ device, count, estimate }];
  });
  if (parts.length === 0) return null;
  // Epochs are shared out by speed: of a mean epoch, each model has trained slots / seconds.
  const pace = parts.reduce((sum, { count, estimate }) => sum + count / estimate.seconds, 0);
  const known = parts.reduce((sum, { count }) => sum + count, 0);
  const joules = parts.reduce<number | null>(
    (sum, { count, estimate }) =>
      sum === null || estimate.joules === null
        ? null
        : sum + (estimate.joules * count) / estimate.seconds / pace,
    0,
  );
  const all = [...slots.values()].reduce((sum, count) => sum + count, 0);
  const words = parts.map(
    ({ device, estimate: { seconds, trials, shared, parameters } }) =>
      `${device || 'an unnamed device'}: ${seconds.toPrecision(3)} s an epoch, from ${trials} past trials that share ${shared === parameters ? 'all' : `at least ${shared} of ${parameters}`} parameters`,
  );
  const unknown = [...slots.keys()].filter((device) => !parts.some((part) => part.device === device));
  if (unknown.length > 0) words.push(`${unknown.join(', ')}: no past trial, taken as the others`);
  return {
    seconds: known / pace,
    wattHours: joules === null ? null : joules / JOULES_PER_WH,
    slots: all,
    basis: words.join('; '),
  };
}

/** What the sweep runs, to be compared. */
const programsOf = ({ recipe, command, variants = {} }: SweepSpec): string =>
  JSON.stringify([recipe, command, variants]);

/** By device model, of the same recipe or command; the latest of the ledger. */
function pastTrials(state: State, spec: SweepSpec): Map<string, PastTrial[]> {
  const programs = programsOf(spec);
  const found = new Map<string, PastTrial[]>();
  for (const sweep of [...state.sweeps.values()].reverse()) {
    if (programsOf(sweep.spec) !== programs) continue;
    for (const trial of [...sweep.trials.values()].reverse()) {
      const device = deviceOf(trial);
      if (device === null) continue;
      const known = found.get(device) ?? [];
      // Before its epochs are looked at: those of old sweeps are only read when somebody asks for them.
      if (known.length >= MAX_TRIALS) continue;
      const past = costsOf(trial);
      if (past === null) continue;
      known.push(past);
      found.set(device, known);
    }
  }
  return found;
}

/** Null when it is not known, or its epochs come from several models. */
function deviceOf({ attempts }: TrialRecord): string | null {
  const models = new Set(
    attempts.filter(({ lastEpoch }) => lastEpoch > 0).map(({ deviceModel }) => deviceModel),
  );
  const [model] = models;
  return models.size === 1 ? (model ?? null) : null;
}

function costsOf({ parameters, epochs }: TrialRecord): PastTrial | null {
  const seconds = epochs.flatMap(({ trainSeconds, evaluationSeconds }) =>
    trainSeconds === null ? [] : [trainSeconds + (evaluationSeconds ?? 0)],
  );
  const joules = epochs.flatMap(({ train, evaluation }) =>
    train.joules === null ? [] : [train.joules + (evaluation.joules ?? 0)],
  );
  // Epochs that took no time say nothing of how long others will take.
  if (seconds.length === 0 || median(seconds) === 0) return null;
  const texts = new Map(Object.entries(parameters).map(([name, value]) => [name, canonicalJson(value)]));
  return { texts, seconds: median(seconds), joules: joules.length === 0 ? null : median(joules) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const at = (place: number): number => sorted[place] ?? NaN;
  return sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of each point the trials that share the most parameters with it; the mean over the points. */
function estimateOf(points: readonly Parameters[], past: readonly PastTrial[]): Estimate | null {
  if (past.length === 0 || points.length === 0) return null;
  const used = new Set<PastTrial>();
  const seconds: number[] = [];
  const joules: number[] = [];
  let shared = Infinity;
  let parameters = 0;
  for (const point of points) {
    const texts = Object.entries(point).map(([name, value]) => [name, canonicalJson(value)] as const);
    const scores = past.map((trial) => texts.filter(([name, text]) => trial.texts.get(name) === text).length);
    const most = Math.max(...scores);
    const alike = past.filter((_, index) => scores[index] === most);
    for (const trial of alike) used.add(trial);
    seconds.push(mean(alike.map((trial) => trial.seconds)));
    const read = alike.flatMap((trial) => trial.joules ?? []);
    if (read.length > 0) joules.push(mean(read));
    if (most < shared) {
      shared = most;
      parameters = texts.length;
    }
  }
  return {
    seconds: mean(seconds),
    joules: joules.length === 0 ? null : mean(joules),
    trials: used.size,
    shared,
    parameters,
  };
}
