/**
 * Devices that are not on this box and whose power a recipe states itself (a replay of what was measured elsewhere), one
 * a slot at most. Their energy is booked under the recipe's own method and never meets the meter's.
 */
import type { PowerMethod } from '../../../proto/energy.js';
import type { AttemptKey as WireKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { DeviceSample } from '../../../proto/gen/wattsweep/v1/facts.js';
import { recipes } from '../../../proto/recipes.js';

/** What an attempt of such a recipe has stated so far, for all epochs in its spool. */
export interface StatedEnergy {
  readonly method: PowerMethod;
  readonly seconds: number;
  /** Null when an epoch came without. */
  readonly joules: number | null;
}

/** Nothing yet; null for a recipe whose attempts the meter reads. */
export function statedEnergyOf(recipe: string): StatedEnergy | null {
  const method = recipes.get(recipe)?.energyMethod;
  return method === undefined ? null : { method, seconds: 0, joules: 0 };
}

/** An attempt that computes on no device of this box. */
export interface StatedDevice {
  readonly key: WireKey;
  readonly method: PowerMethod;
  readonly model: string;
  readonly watts: number | null;
}

interface Entry extends StatedDevice {
  readonly isRunning: boolean;
  /** Of all attempts on this slot since the service started. */
  readonly joules: number;
}

export class StatedDevices {
  readonly #bySlot = new Map<string, Entry>();

  begin(slotId: string, device: StatedDevice): void {
    this.#bySlot.set(slotId, { ...device, isRunning: true, joules: this.#bySlot.get(slotId)?.joules ?? 0 });
  }

  add(slotId: string, joules: number): void {
    const entry = this.#bySlot.get(slotId);
    if (entry !== undefined) this.#bySlot.set(slotId, { ...entry, joules: entry.joules + joules });
  }

  end(slotId: string): void {
    const entry = this.#bySlot.get(slotId);
    if (entry !== undefined) this.#bySlot.set(slotId, { ...entry, isRunning: false });
  }

  /** Whether the attempt on the slot is of such a recipe: then no device of the box belongs to it. */
  isRunning(slotId: string): boolean {
    return this.#bySlot.get(slotId)?.isRunning === true;
  }

  samples(): DeviceSample[] {
    return [...this.#bySlot].map(([slotId, { key, method, model, watts, joules, isRunning }]) => ({
      device: `replay-${slotId}`,
      model,
      watts: isRunning ? (watts ?? undefined) : undefined,
      joules,
      method,
      key: isRunning ? key : undefined,
      utilization: undefined,
      memoryUsedBytes: undefined,
      temperatureCelsius: undefined,
      clockHertz: undefined,
      memoryClockHertz: undefined,
      throttling: undefined,
      powerLimitWatts: undefined,
    }));
  }
}
