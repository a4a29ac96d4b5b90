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
  /** Attempts that held it at the last reading, and what has changed since. */
  #holders = 1;
  #changes: { readonly atMs: number; readonly holders: number }[] = [];
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

  /** From `atMs` on, which is now, so many attempts have it: from 1. False when that is nothing new. */
  setHolders(holders: number, atMs: number): boolean {
    if (holders === (this.#changes.at(-1)?.holders ?? this.#holders)) return false;
    if (this.#latest === null) this.#holders = holders;
    else this.#changes.push({ atMs, holders });
    return true;
  }

  /** Goes on where an earlier service was. */
  restore(remembered: readonly Remembered[]): void {
    for (const { atMs, sum } of remembered) this.series.push(atMs, sum);
    const last = remembered.at(-1);
    if (last === undefined) return;
    this.#sum = last.sum;
    this.#holders = last.holders;
    this.#latest = { atMs: last.atMs, reading: { ...unread(''), counterJoules: last.counterJoules } };
  }

  /** As it is to be remembered; null before the first reading. */
  get remembered(): Remembered | null {
    const latest = this.#latest;
    if (latest === null) return null;
    const { counterJoules } = latest.reading;
    return { atMs: latest.atMs, counterJoules, holders: this.#holders, sum: this.#sum };
  }

  push(atMs: number, reading: Reading): void {
    const before = this.#latest;
    if (before !== null) {
      const step = this.#step(before.reading, reading, (atMs - before.atMs) / 1000);
      this.#advance(step, before.atMs, atMs);
    }
    this.#latest = { atMs, reading };
    this.series.push(atMs, this.#sum);
  }

  /** What has risen from one reading to the next; null: it cannot be told. */
  #step(from: Reading, to: Reading, seconds: number): Step {
    const rise =
      from.counterJoules === null || to.counterJoules === null
        ? null
        : risen(to.counterJoules - from.counterJoules, to.counterRangeJoules ?? null);
    if (rise !== null && rise < 0) this.counterResets += 1;
    return {
      seconds,
      counterJoules: rise !== null && rise >= 0 ? rise : null,
      powerJoules: trapezoid(from.watts, to.watts, seconds),
      utilizationSeconds: trapezoid(from.utilization, to.utilization, seconds),
    };
  }

  /** Books a step; where the holders have changed in it, each part as if all of it had gone evenly. */
  #advance(step: Step, fromMs: number, toMs: number): void {
    let sinceMs = fromMs;
    let left = 1;
    for (const { atMs, holders } of this.#changes) {
      const untilMs = Math.min(toMs, Math.max(sinceMs, atMs));
      if (untilMs > sinceMs) {
        const part = (untilMs - sinceMs) / (toMs - fromMs);
        this.#book(step, part);
        this.series.push(untilMs, this.#sum);
        left -= part;
        sinceMs = untilMs;
      }
      this.#holders = holders;
    }
    this.#changes = [];
    this.#book(step, Math.max(0, left));
  }

  #book({ seconds, counterJoules, powerJoules, utilizationSeconds }: Step, part: number): void {
    const s = this.#sum;
    const each = part / this.#holders;
    const gap = (value: number | null): number => (value === null ? seconds * part : 0);
    this.#sum = {
      counterJoules: s.counterJoules + (counterJoules ?? 0) * part,
      counterGapSeconds: s.counterGapSeconds + gap(counterJoules),
      powerJoules: s.powerJoules + (powerJoules ?? 0) * part,
      powerGapSeconds: s.powerGapSeconds + gap(powerJoules),
      utilizationSeconds: s.utilizationSeconds + (utilizationSeconds ?? 0) * part,
      utilizationGapSeconds: s.utilizationGapSeconds + gap(utilizationSeconds),
      counterJoulesEach: s.counterJoulesEach + (counterJoules ?? 0) * each,
      powerJoulesEach: s.powerJoulesEach + (powerJoules ?? 0) * each,
      secondsEach: s.secondsEach + seconds * each,
      samples: s.samples + part,
    };
  }
}

/** Between two readings. */
interface Step {
  readonly seconds: number;
  readonly counterJoules: number | null;
  readonly powerJoules: number | null;
  readonly utilizationSeconds: number | null;
}

/** A counter that has begun anew, once in a while, has gone on. Several of one range may be added up in it. */
const risen = (difference: number, range: number | null): number =>
  difference >= 0 || range === null ? difference : difference + range * Math.ceil(-difference / range);

const trapezoid = (from: number | null, to: number | null, seconds: number): number | null =>
  from === null || to === null || seconds > MAX_STEP_SECONDS ? null : ((from + to) / 2) * seconds;
