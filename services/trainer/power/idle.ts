/**
 * Who has the devices: watts while nothing trains on them, so that a trial's joules can be told gross and net, and how many
 * attempts share one. The watts are measured in the pause before an attempt, once the device has come to rest; without a
 * pause the last one counts.
 */
import type { MeteredDevice, PowerMeter } from './meter.js';

/** After an attempt a device takes a while to lower its clocks. */
const SETTLE_MS = 5_000;
const SHORTEST_MS = 5_000;
const LONGEST_MS = 60_000;

interface Device {
  /** Attempts that hold it. */
  holders: number;
  restsSinceMs: number;
  watts: number | null;
}

export class IdleWatts {
  readonly #devices = new Map<string, Device>();
  readonly #startedMs: number;

  constructor(
    private readonly meter: Pick<PowerMeter, 'energyBetween' | 'setHolders'>,
    private readonly clock: () => number,
  ) {
    this.#startedMs = clock();
  }

  #device(id: string): Device {
    let device = this.#devices.get(id);
    if (device === undefined)
      this.#devices.set(id, (device = { holders: 0, restsSinceMs: this.#startedMs, watts: null }));
    return device;
  }

  /** An attempt takes the devices. Watts of them at rest, whoever shares them; null while they are not known. */
  begin(metered: readonly MeteredDevice[]): number | null {
    let sum: number | null = 0;
    for (const { id } of metered) {
      const device = this.#device(id);
      if (device.holders === 0) device.watts = this.#measure(id, device) ?? device.watts;
      this.#hold(id, device, 1);
      sum = sum === null || device.watts === null ? null : sum + device.watts;
    }
    return metered.length === 0 ? null : sum;
  }

  #hold(id: string, device: Device, more: 1 | -1): void {
    device.holders = Math.max(0, device.holders + more);
    this.meter.setHolders(id, device.holders);
  }

  #measure(id: string, { restsSinceMs }: Device): number | null {
    const endMonotonicMs = this.clock();
    const beginMonotonicMs = Math.max(restsSinceMs + SETTLE_MS, endMonotonicMs - LONGEST_MS);
    if (endMonotonicMs - beginMonotonicMs < SHORTEST_MS) return null;
    const energy = this.meter.energyBetween([{ id, share: 1 }], { beginMonotonicMs, endMonotonicMs });
    return energy.method === 'estimate' ? null : (energy.meanWatts ?? null);
  }

  /** The attempt has left them. */
  end(metered: readonly MeteredDevice[]): void {
    for (const { id } of metered) {
      const device = this.#device(id);
      this.#hold(id, device, -1);
      device.restsSinceMs = this.clock();
    }
  }

  /** An attempt of an earlier service has them. */
  adopt(metered: readonly MeteredDevice[]): void {
    for (const { id } of metered) this.#hold(id, this.#device(id), 1);
  }
}
