/** How well a trial's energy was read, and what of it is above the devices' rest. */
import { extent } from './extent.js';
import type { AttemptState } from '../../core/state.js';

export interface Metering {
  /** Least part of an attempt for which there was a reading, 0 to 1; null when no attempt told. */
  readonly coverage: number | null;
  /** Readings a second, of the attempt with the fewest; null when no attempt told. */
  readonly samplesPerSecond: number | null;
  /** Largest difference between energy counter and integrated power of an attempt, relative to the counter; null: not both. */
  readonly disagreement: number | null;
  /** Watts of its devices while nothing trained on them, as its last attempt found them; null: not known. */
  readonly idleWatts: number | null;
  /** Least part of the devices' energy that an attempt was booked, 0 to 1: attempts shared them; null: it was all of it. */
  readonly share: number | null;
  /** Joules of its epochs above the idle watts; null unless both are known. */
  readonly netJoules: number | null;
}

const told = (values: readonly (number | undefined)[]): readonly number[] =>
  values.filter((value) => value !== undefined);
const least = (values: readonly number[]): number | null => (values.length === 0 ? null : extent(values)[0]);

/** @param joules of the trial's epochs @param seconds of them */
export function meteringOf(
  attempts: readonly Pick<AttemptState, 'end'>[],
  joules: number | null,
  seconds: number | null,
): Metering {
  const energies = attempts.flatMap(({ end }) => (end === null ? [] : [end.energy]));
  const read = energies.filter(({ samplesPerSecond }) => samplesPerSecond !== undefined);
  const idleWatts = told(energies.map((energy) => energy.idleWatts)).at(-1) ?? null;
  const disagreements = told(energies.map(({ disagreement }) => disagreement));
  return {
    coverage: least([
      ...read.map(({ coverage }) => coverage ?? 1),
      ...told(
        energies.map(({ samplesPerSecond, coverage }) =>
          samplesPerSecond === undefined ? coverage : undefined,
        ),
      ),
    ]),
    samplesPerSecond: least(told(read.map(({ samplesPerSecond }) => samplesPerSecond))),
    disagreement: disagreements.length === 0 ? null : extent(disagreements)[1],
    idleWatts,
    share: least(told(energies.map((energy) => energy.share))),
    netJoules:
      idleWatts === null || joules === null || seconds === null
        ? null
        : Math.max(0, joules - idleWatts * seconds),
  };
}
