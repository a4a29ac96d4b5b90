/**
 * Seconds and joules of epochs. An unread quantity is null, never 0, and a sum is null unless every part was read.
 * A program that reports no evaluation apart has timed it within its epoch, so training stands for the whole.
 */
import type { EpochRecord } from '../../core/events.js';

/** Seconds of training and evaluation; null when training was not timed. */
export function epochSeconds(record: EpochRecord): number | null {
  return record.trainSeconds === null ? null : record.trainSeconds + (record.evaluationSeconds ?? 0);
}

/** Joules of training and evaluation; null unless both were read (evaluation only where there was any). */
export function epochJoules(record: EpochRecord): number | null {
  if (record.train.joules === null) return null;
  if (record.evaluation.joules !== null) return record.train.joules + record.evaluation.joules;
  return (record.evaluationSeconds ?? 0) > 0 ? null : record.train.joules;
}

/** The sum; null when a part is, or when there is none. */
export function sumOrNull(parts: readonly (number | null)[]): number | null {
  if (parts.length === 0) return null;
  let sum = 0;
  for (const part of parts) {
    if (part === null) return null;
    sum += part;
  }
  return sum;
}

/** Costs of the epochs that a trial reported, in order. One that left epochs out reports what they cost with the next. */
export interface Costs {
  /** 1-based, rising. */
  readonly epochs: readonly number[];
  readonly seconds: readonly (number | null)[];
  readonly joules: readonly (number | null)[];
}

/** What epochs 1..`epoch` cost; null unless all of it was read. */
export const costTo = (costs: Costs, axis: 'seconds' | 'joules', epoch: number): number | null =>
  sumOrNull(costs[axis].filter((_, i) => (costs.epochs[i] ?? Infinity) <= epoch));

/** Energy over time, in watts, over the epochs for which both were read; null when there are none. */
export function meanWatts({ seconds, joules }: Costs): number | null {
  let time = 0;
  let energy = 0;
  seconds.forEach((s, i) => {
    const j = joules[i] ?? null;
    if (s === null || j === null) return;
    time += s;
    energy += j;
  });
  return time > 0 ? energy / time : null;
}

/** GPU utilisation, 0 to 1, weighted by the epochs' seconds; null when nothing read it. */
export function meanUtilization(records: readonly EpochRecord[]): number | null {
  let weight = 0;
  let sum = 0;
  for (const record of records) {
    if (record.gpuUtilization === null) continue;
    const seconds = epochSeconds(record) ?? 1;
    weight += seconds;
    sum += seconds * record.gpuUtilization;
  }
  return weight > 0 ? sum / weight : null;
}

/** Every method that read energy in these epochs, in order of appearance. */
export function powerMethods(records: readonly EpochRecord[]): readonly string[] {
  const methods = new Set<string>();
  for (const { train, evaluation } of records) {
    for (const energy of [train, evaluation]) {
      if (energy.joules !== null && energy.method !== '') methods.add(energy.method);
    }
  }
  return [...methods];
}
