/**
 * The power meter of a box. Sources read devices (NVML, nvidia-smi, RAPL, hwmon); the meter samples them on one timer,
 * keeps cumulative series, and answers how many joules a stretch of time took. It lives in the service: a runner blocks
 * for seconds at a time and may die.
 *
 * No reading is null with a reason, never 0, and never a guess: an estimate is a source of its own that somebody asked for.
 */
import type { PowerMethod, ThrottleReason } from '../../../proto/energy.js';

/** Id of the host's processors among the metered devices; GPUs have their UUID. */
export const CPU_DEVICE = 'cpu';

/** What one look at one device gave. A quantity that could not be read is null. */
export interface Reading {
  readonly device: string;
  /** Joules on a counter that only rises, but where it begins anew. */
  readonly counterJoules: number | null;
  /** Joules at which the counter begins anew; absent: a fall means that it was set back. */
  readonly counterRangeJoules?: number;
  readonly watts: number | null;
  /** 0 to 1. */
  readonly utilization: number | null;
  readonly memoryUsedBytes: number | null;
  readonly temperatureCelsius: number | null;
  /** Clock of the processors of a GPU, and of its memory. */
  readonly clockHertz: number | null;
  readonly memoryClockHertz: number | null;
  /** What keeps its clocks down now, of `proto/energy.ts`; empty when nothing does. */
  readonly throttledBy: readonly ThrottleReason[] | null;
  /** Watts that it may draw, by what its driver enforces. */
  readonly powerLimitWatts: number | null;
  /** Sentences on what this device never tells, `temperature: not supported by this GPU`; absent when it tells all. */
  readonly missing?: readonly string[];
  /** Why neither counter nor watts could be read; null when one was. */
  readonly problem: string | null;
}

/** Something that reads the power of some devices. */
export interface PowerSource {
  readonly devices: readonly { readonly id: string; readonly model: string }[];
  /** Name of the method when the counter, or the watts, of this source are used. */
  readonly counterMethod: PowerMethod;
  readonly powerMethod: PowerMethod;
  /** One reading a device, quickly; never throws. `slowToo`: also what changes slowly (memory, temperature, clocks). */
  read(slowToo: boolean): readonly Reading[];
  close(): void;
}

/** What changes slowly, and is read seldom. */
export type Slow = Pick<
  Reading,
  | 'memoryUsedBytes'
  | 'temperatureCelsius'
  | 'clockHertz'
  | 'memoryClockHertz'
  | 'throttledBy'
  | 'powerLimitWatts'
>;

export const NOTHING_SLOW: Slow = {
  memoryUsedBytes: null,
  temperatureCelsius: null,
  clockHertz: null,
  memoryClockHertz: null,
  throttledBy: null,
  powerLimitWatts: null,
};

/** A reading of which nothing has been read. */
export const unread = (device: string): Reading => ({
  device,
  counterJoules: null,
  watts: null,
  utilization: null,
  ...NOTHING_SLOW,
  problem: null,
});
