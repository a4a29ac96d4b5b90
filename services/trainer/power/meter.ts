/** The power meter: one for a box, sampling every device on one timer. See source.ts for what this folder is about. */
import type { PowerMethod } from '../../../proto/energy.js';
import type { Energy } from '../../../proto/gen/wattsweep/v1/facts.js';
import { monotonicMs } from '../host/clock.js';
import type { TimeWindow } from '../protocol/runner.js';
import type { MeterMemory, Remembered } from './memory.js';
import type { PowerSource, Reading } from './source.js';
import { DeviceTrack } from './track.js';

/** A device as an attempt holds it. */
export interface MeteredDevice {
  /** GPU UUID, or `cpu`. */
  readonly id: string;
  /** Part of the device's energy that is this trainer's: below 1 where several trainers have it. */
  readonly share: number;
  /** Slots of this trainer share it: at each moment its energy is divided among the attempts that have it then. */
  readonly isShared?: boolean;
}

export interface MeterOptions {
  readonly sources: readonly PowerSource[];
  /** @default 200 */
  readonly periodMs?: number;
  /** Why no source reads anything, for the absent readings. */
  readonly noSourceReason: string;
  /** Watts to assume of a device that nothing reads; null for none. */
  readonly estimateWatts: number | null;
  /** Told once a device and reason when a device, or something of it, cannot be read. */
  readonly onProblem?: (device: string, reason: string) => void;
  /** What an earlier service knew, and where the next one will look. @default nothing is remembered */
  readonly memory?: MeterMemory;
  /** @default the host's monotonic clock; tests step their own. */
  readonly clock?: () => number;
}

/** One device now, for telemetry. */
export interface DeviceNow extends Reading {
  readonly model: string;
  readonly joulesSinceStart: number | null;
  readonly method: PowerMethod | '';
}

const DEFAULT_PERIOD_MS = 200;
/** Memory, temperature and load change slowly and cost more to read. */
const SLOW_PERIOD_MS = 1_000;
/** A stretch counts as measured when so much of it was read; the rest is scaled up. */
const LEAST_COVERAGE = 0.99;

type DeviceEnergy =
  | {
      readonly joules: number;
      readonly method: PowerMethod;
      /** Part of the device that it is, 0 to 1. */
      readonly part: number;
      readonly coverage?: number;
      readonly samplesPerSecond?: number;
      readonly disagreement?: number | null;
    }
  | { readonly reason: string; readonly coverage?: number };

/** Part of the seconds for which there was a reading. */
const covered = (gapSeconds: number, seconds: number): number =>
  Math.min(1, Math.max(0, 1 - gapSeconds / seconds));

/** How well several devices together were read: as well as the worst of them. */
class Quality {
  #coverage = 1;
  #samplesPerSecond: number | null = null;
  #disagreement: number | null = null;

  add(part: DeviceEnergy): void {
    this.#coverage = Math.min(this.#coverage, part.coverage ?? ('reason' in part ? 0 : 1));
    if ('reason' in part) return;
    const { samplesPerSecond = null, disagreement = null } = part;
    if (samplesPerSecond !== null)
      this.#samplesPerSecond = Math.min(this.#samplesPerSecond ?? Infinity, samplesPerSecond);
    if (disagreement !== null) this.#disagreement = Math.max(this.#disagreement ?? 0, disagreement);
  }

  facts(): Pick<Energy, 'coverage' | 'samplesPerSecond' | 'disagreement'> {
    return {
      ...(this.#coverage > 0 && this.#coverage < WHOLE ? { coverage: this.#coverage } : {}),
      ...(this.#samplesPerSecond === null ? {} : { samplesPerSecond: this.#samplesPerSecond }),
      ...(this.#disagreement === null ? {} : { disagreement: this.#disagreement }),
    };
  }
}

/** More is all of it, but for rounding. */
const WHOLE = 1 - 1e-9;

export class PowerMeter {
  readonly #tracks = new Map<
    string,
    { readonly track: DeviceTrack; readonly source: PowerSource; readonly model: string }
  >();
  readonly #said = new Set<string>();
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #startedMs: number;
  #lastSlowMs = -Infinity;
  #lastMs = -Infinity;
  #closed = false;
  #holdersChanged = false;

  constructor(private readonly options: MeterOptions) {
    this.#clock = options.clock ?? monotonicMs;
    this.#startedMs = this.#clock();
    for (const source of options.sources)
      for (const device of source.devices)
        if (!this.#tracks.has(device.id))
          this.#tracks.set(device.id, { track: new DeviceTrack(), source, model: device.model });
    for (const [id, remembered] of options.memory?.load() ?? []) {
      this.#tracks.get(id)?.track.restore(remembered);
      this.#startedMs = Math.min(this.#startedMs, remembered[0]?.atMs ?? Infinity);
    }
    this.sample();
    this.#timer = setInterval(() => this.sample(), options.periodMs ?? DEFAULT_PERIOD_MS);
  }

  /** Reads every device once. The timer does it; tests with a clock of their own do it themselves. */
  sample(): void {
    if (this.#closed) return;
    // The beginning: every reading below is of this moment or later.
    this.#lastMs = this.#clock();
    const slowToo = this.#lastMs - this.#lastSlowMs >= SLOW_PERIOD_MS;
    for (const source of this.options.sources) {
      const readings = source.read(slowToo);
      const atMs = this.#clock();
      for (const reading of readings) {
        const entry = this.#tracks.get(reading.device);
        if (entry?.source !== source) continue;
        entry.track.push(atMs, reading);
        if (reading.problem !== null) this.#sayOnce(reading.device, reading.problem);
        for (const sentence of reading.missing ?? []) this.#sayOnce(reading.device, sentence);
        if (entry.track.counterResets > 0)
          this.#sayOnce(
            reading.device,
            'its energy counter went backwards (driver reload); integrated power bridges it',
          );
      }
    }
    if (slowToo) this.#lastSlowMs = this.#lastMs;
    const remembered = (): (readonly [string, Remembered])[] =>
      [...this.#tracks].flatMap(([id, { track }]) =>
        track.remembered === null ? [] : [[id, track.remembered] as const],
      );
    this.options.memory?.note(this.#lastMs, remembered, this.#holdersChanged);
    this.#holdersChanged = false;
  }

  /** From now on so many attempts have the device, among which its energy is divided where slots share it. */
  setHolders(id: string, holders: number): void {
    const isNew = this.#tracks.get(id)?.track.setHolders(Math.max(1, holders), this.#clock());
    this.#holdersChanged ||= isNew === true;
  }

  #sayOnce(device: string, reason: string): void {
    if (this.#said.has(`${device} ${reason}`)) return;
    this.#said.add(`${device} ${reason}`);
    this.options.onProblem?.(device, reason);
  }

  /** Samples now unless there is a sample at or after `atMs`, so that a stretch which ends there can be read in full. */
  sampleAfter(atMs: number): void {
    if (this.#lastMs < atMs) this.sample();
  }

  /** What would read the device now; empty when nothing does. */
  methodOf(device: string): PowerMethod | '' {
    const entry = this.#tracks.get(device);
    const latest = entry?.track.latest;
    if (entry !== undefined && latest !== undefined && latest !== null) {
      if (latest.counterJoules !== null) return entry.source.counterMethod;
      if (latest.watts !== null) return entry.source.powerMethod;
    }
    return this.options.estimateWatts === null ? '' : 'estimate';
  }

  /** Joules and mean watts of the devices together over a stretch of time, or why there is no reading. */
  energyBetween(devices: readonly MeteredDevice[], window: TimeWindow): Energy {
    const seconds = (window.endMonotonicMs - window.beginMonotonicMs) / 1000;
    if (!(seconds > 0)) return absent('the stretch of time is empty');
    if (devices.length === 0) return absent('no device');
    let joules = 0;
    let parts = 0;
    let method: PowerMethod | null = null;
    const quality = new Quality();
    for (const device of devices) {
      const part = this.#deviceEnergy(device, window, seconds);
      quality.add(part);
      if ('reason' in part) return { ...absent(part.reason), ...quality.facts() };
      joules += part.joules * device.share;
      parts += part.part * device.share;
      // Of several, the weaker method names the whole: a counter beside an integral is an integral.
      method = method === null || part.method !== 'nvml-counter' ? part.method : method;
    }
    const share = parts / devices.length;
    return {
      joules,
      meanWatts: joules / seconds,
      method: method ?? '',
      absentReason: '',
      ...quality.facts(),
      ...(share < WHOLE ? { share } : {}),
    };
  }

  #deviceEnergy({ id, isShared = false }: MeteredDevice, window: TimeWindow, seconds: number): DeviceEnergy {
    const entry = this.#tracks.get(id);
    const { estimateWatts } = this.options;
    const estimateOf = (part: number): DeviceEnergy | null =>
      estimateWatts === null ? null : { joules: estimateWatts * seconds * part, method: 'estimate', part };
    if (entry === undefined) return estimateOf(1) ?? { reason: this.options.noSourceReason };
    const from = entry.track.series.at(window.beginMonotonicMs);
    const to = entry.track.series.at(window.endMonotonicMs);
    const part = isShared ? Math.min(1, (to.secondsEach - from.secondsEach) / seconds) : 1;
    const counterJoules = isShared
      ? to.counterJoulesEach - from.counterJoulesEach
      : to.counterJoules - from.counterJoules;
    const powerJoules = isShared
      ? to.powerJoulesEach - from.powerJoulesEach
      : to.powerJoules - from.powerJoules;
    const counterCovered = covered(to.counterGapSeconds - from.counterGapSeconds, seconds);
    const powerCovered = covered(to.powerGapSeconds - from.powerGapSeconds, seconds);
    const counter = counterJoules / counterCovered;
    const power = powerJoules / powerCovered;
    const samplesPerSecond = (to.samples - from.samples) / seconds;
    if (counterCovered >= LEAST_COVERAGE) {
      const disagreement =
        powerCovered >= LEAST_COVERAGE && counter > 0 ? Math.abs(power - counter) / counter : null;
      const { counterMethod: method } = entry.source;
      return { joules: counter, method, part, coverage: counterCovered, samplesPerSecond, disagreement };
    }
    if (powerCovered >= LEAST_COVERAGE) {
      const { powerMethod: method } = entry.source;
      return { joules: power, method, part, coverage: powerCovered, samplesPerSecond, disagreement: null };
    }
    const estimate = estimateOf(part);
    if (estimate !== null) return estimate;
    const coverage = Math.max(counterCovered, powerCovered);
    const problem = entry.track.latest?.problem ?? null;
    const reason =
      problem ??
      (window.beginMonotonicMs < this.#startedMs
        ? 'the power meter did not run during the whole of it'
        : 'the device could not be read during the whole of it');
    return { reason, coverage };
  }

  /** Mean utilisation of the devices over a stretch, 0 to 1, or null when it was not read for most of it. */
  utilizationBetween(devices: readonly MeteredDevice[], window: TimeWindow): number | null {
    const seconds = (window.endMonotonicMs - window.beginMonotonicMs) / 1000;
    if (!(seconds > 0) || devices.length === 0) return null;
    let sum = 0;
    for (const { id } of devices) {
      const series = this.#tracks.get(id)?.track.series;
      if (series === undefined) return null;
      const from = series.at(window.beginMonotonicMs);
      const to = series.at(window.endMonotonicMs);
      const covered = seconds - (to.utilizationGapSeconds - from.utilizationGapSeconds);
      if (covered < seconds / 2) return null;
      sum += (to.utilizationSeconds - from.utilizationSeconds) / covered;
    }
    return Math.min(1, sum / devices.length);
  }

  /** Bytes of the device's memory in use, read now; null when they cannot be. */
  memoryUsedBytes(id: string): number | null {
    const readings = this.#tracks.get(id)?.source.read(true) ?? [];
    return readings.find(({ device }) => device === id)?.memoryUsedBytes ?? null;
  }

  /** The latest reading of every device. */
  now(): readonly DeviceNow[] {
    return [...this.#tracks].flatMap(([id, { track, model }]) => {
      const reading = track.latest;
      if (reading === null) return [];
      const method = this.methodOf(id);
      const watts = method === 'estimate' ? this.options.estimateWatts : reading.watts;
      return [
        {
          ...reading,
          watts: watts ?? track.wattsByCounter,
          model,
          joulesSinceStart: track.joulesSinceStart,
          method,
        },
      ];
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    for (const source of this.options.sources) source.close();
  }
}

const absent = (reason: string): Energy => ({
  joules: undefined,
  meanWatts: undefined,
  method: '',
  absentReason: reason,
});
