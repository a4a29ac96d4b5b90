/**
 * What one device has used since the meter started, as quantities that only rise: joules by counter, joules by
 * integrated power, utilisation times seconds, and beside each the seconds for which it could not be told; and what each of
 * the attempts that share it has used. The joules of a stretch are a difference of two look-ups, whatever its length.
 */

/** Values at one moment. */
export interface Cumulative {
  readonly counterJoules: number;
  readonly counterGapSeconds: number;
  readonly powerJoules: number;
  readonly powerGapSeconds: number;
  readonly utilizationSeconds: number;
  readonly utilizationGapSeconds: number;
  /** The joules, and the seconds, divided at each moment among the attempts that held the device then. */
  readonly counterJoulesEach: number;
  readonly powerJoulesEach: number;
  readonly secondsEach: number;
  /** Readings. */
  readonly samples: number;
}

/** The columns of a series. */
export const CUMULATIVE = [
  'counterJoules',
  'counterGapSeconds',
  'powerJoules',
  'powerGapSeconds',
  'utilizationSeconds',
  'utilizationGapSeconds',
  'counterJoulesEach',
  'powerJoulesEach',
  'secondsEach',
  'samples',
] as const satisfies readonly (keyof Cumulative)[];

const WIDTH = CUMULATIVE.length + 1;

export const ZERO: Cumulative = {
  counterJoules: 0,
  counterGapSeconds: 0,
  powerJoules: 0,
  powerGapSeconds: 0,
  utilizationSeconds: 0,
  utilizationGapSeconds: 0,
  counterJoulesEach: 0,
  powerJoulesEach: 0,
  secondsEach: 0,
  samples: 0,
};

/** The newest `capacity` samples, in the order of their times. */
class Ring {
  readonly #data: Float64Array;
  #first = 0;
  #length = 0;

  constructor(private readonly capacity: number) {
    this.#data = new Float64Array(capacity * WIDTH);
  }

  push(atMs: number, values: Cumulative): void {
    const slot = (this.#first + this.#length) % this.capacity;
    if (this.#length < this.capacity) this.#length += 1;
    else this.#first = (this.#first + 1) % this.capacity;
    this.#data[slot * WIDTH] = atMs;
    CUMULATIVE.forEach((column, index) => (this.#data[slot * WIDTH + 1 + index] = values[column]));
  }

  #row(index: number): number {
    return ((this.#first + index) % this.capacity) * WIDTH;
  }

  get length(): number {
    return this.#length;
  }

  timeAt(index: number): number {
    return this.#data[this.#row(index)] ?? NaN;
  }

  get oldestMs(): number {
    return this.#length === 0 ? Infinity : this.timeAt(0);
  }

  valuesAt(index: number): Cumulative {
    const row = this.#row(index);
    return Object.fromEntries(
      CUMULATIVE.map((column, offset) => [column, this.#data[row + 1 + offset] ?? NaN]),
    ) as unknown as Cumulative;
  }

  /** Index of the last sample at or before `atMs`; -1 when there is none. */
  before(atMs: number): number {
    let low = -1;
    let high = this.#length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.timeAt(middle) <= atMs) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Every sample of the last minutes, and one in a while of the last days: the edges of a long stretch bear it. */
export class DeviceSeries {
  readonly #fine: Ring;
  readonly #coarse: Ring;
  #lastCoarseMs = -Infinity;

  constructor(
    fineSamples: number,
    private readonly coarsePeriodMs: number,
    coarseSamples: number,
  ) {
    this.#fine = new Ring(fineSamples);
    this.#coarse = new Ring(coarseSamples);
  }

  push(atMs: number, values: Cumulative): void {
    this.#fine.push(atMs, values);
    if (atMs - this.#lastCoarseMs < this.coarsePeriodMs) return;
    this.#coarse.push(atMs, values);
    this.#lastCoarseMs = atMs;
  }

  get newestMs(): number {
    return this.#fine.length === 0 ? -Infinity : this.#fine.timeAt(this.#fine.length - 1);
  }

  /** Values at a time, interpolated; before the first sample and after the last one the gaps grow, the rest stands. */
  at(atMs: number): Cumulative {
    const ring = atMs >= this.#fine.oldestMs ? this.#fine : this.#coarse;
    if (ring.length === 0) return ZERO;
    const index = ring.before(atMs);
    if (index === -1) return withGap(ring.valuesAt(0), (atMs - ring.timeAt(0)) / 1000);
    const left = ring.valuesAt(index);
    const leftMs = ring.timeAt(index);
    // The coarse samples end earlier than the fine ones begin by up to one period: bridge the two.
    const [right, rightMs] =
      index + 1 < ring.length
        ? [ring.valuesAt(index + 1), ring.timeAt(index + 1)]
        : ring === this.#coarse && this.#fine.length > 0
          ? [this.#fine.valuesAt(0), this.#fine.timeAt(0)]
          : [null, leftMs];
    if (right === null || rightMs <= leftMs) return withGap(left, (atMs - leftMs) / 1000);
    const share = (atMs - leftMs) / (rightMs - leftMs);
    return Object.fromEntries(
      CUMULATIVE.map((column) => [column, left[column] + share * (right[column] - left[column])]),
    ) as unknown as Cumulative;
  }
}

const withGap = (values: Cumulative, seconds: number): Cumulative => ({
  ...values,
  counterGapSeconds: values.counterGapSeconds + seconds,
  powerGapSeconds: values.powerGapSeconds + seconds,
  utilizationGapSeconds: values.utilizationGapSeconds + seconds,
});
