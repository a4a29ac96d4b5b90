/** Turns the readings of one device into its cumulative series: counter differences, trapezoids, and gaps. */
import { DeviceSeries, ZERO, type Cumulative } from './series.js';
import type { Remembered } from './memory.js';
import { unread, type Reading } from './source.js';

/** Two readings further apart than this say nothing about the time between them, a counter's excepted. */
const MAX_STEP_SECONDS = 2;

const COUNTER_SPAN_MS = 1_000;

const FINE_SAMPLES = 12_000;
const COARSE_PERIOD_MS = 20_000;
const COARSE_SAMPLES = 30_240;

export class DeviceTrack {
  readonly series = new DeviceSeries(FINE_SAMPLES, COARSE_PERIOD_MS, COARSE_SAMPLES);
  #latest: { readonly atMs: number; readonly reading: Reading } | null = null;
  #sum: Cumulative = ZERO;
  /** Times that the energy counter went backwards. */
  counterResets = 0;

  get latest(): Reading | null {
    return this.#latest?.reading ?? null;
  }

  /** Joules since the meter started by the best method that has seen all of it, or null. */
  get joulesSinceStart(): number | null {
    if (this.#latest === null) return null;
    if (this.#latest.reading.counterJoules !== null && this.#sum.counterGapSeconds === 0)
      return this.#sum.counterJoules;
    return this.#latest.reading.watts === null ? null : this.#sum.powerJoules;
  }

  /** Watts that the energy counter has shown over the last second or so, where there is no reading of power itself. */
  get wattsByCounter(): number | null {
    const newest = this.series.newestMs;
    const to = this.series.at(newest);
    const from = this.series.at(newest - COUNTER_SPAN_MS);
    const gapSeconds = to.counterGapSeconds - from.counterGapSeconds;
    if (this.#latest === null || this.#latest.reading.counterJoules === null || gapSeconds > 0) return null;
    return (to.counterJoules - from.counterJoules) / (COUNTER_SPAN_MS / 1000);
  }

  /** Goes on where an earlier service was. */
  restore(remembered: readonly Remembered[]): void {
    for (const { atMs, sum } of remembered) this.series.push(atMs, sum);
    const last = remembered.at(-1);
    if (last === undefined) return;
    this.#sum = last.sum;
    this.#latest = { atMs: last.atMs, reading: { ...unread(''), counterJoules: last.counterJoules } };
  }

  /** As it is to be remembered; null before the first reading. */
  get remembered(): Remembered | null {
    const latest = this.#latest;
    if (latest === null) return null;
    return { atMs: latest.atMs, counterJoules: latest.reading.counterJoules, sum: this.#sum };
  }

  push(atMs: number, reading: Reading): void {
    const before = this.#latest;
    if (before !== null) this.#advance(before.reading, reading, (atMs - before.atMs) / 1000);
    this.#latest = { atMs, reading };
    this.series.push(atMs, this.#sum);
  }

  #advance(from: Reading, to: Reading, seconds: number): void {
    const rise =
      from.counterJoules === null || to.counterJoules === null ? null : to.counterJoules - from.counterJoules;
    if (rise !== null && rise < 0) this.counterResets += 1;
    const counter = rise !== null && rise >= 0 ? rise : null;
    const power = trapezoid(from.watts, to.watts, seconds);
    const utilization = trapezoid(from.utilization, to.utilization, seconds);
    const s = this.#sum;
    this.#sum = {
      counterJoules: s.counterJoules + (counter ?? 0),
      counterGapSeconds: s.counterGapSeconds + (counter === null ? seconds : 0),
      powerJoules: s.powerJoules + (power ?? 0),
      powerGapSeconds: s.powerGapSeconds + (power === null ? seconds : 0),
      utilizationSeconds: s.utilizationSeconds + (utilization ?? 0),
      utilizationGapSeconds: s.utilizationGapSeconds + (utilization === null ? seconds : 0),
      samples: s.samples + 1,
    };
  }
}

const trapezoid = (from: number | null, to: number | null, seconds: number): number | null =>
  from === null || to === null || seconds > MAX_STEP_SECONDS ? null : ((from + to) / 2) * seconds;
