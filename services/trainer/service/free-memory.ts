/**
 * Device memory that other programs of the box leave to a slot. Read until the first attempt runs there: an idle runner
 * keeps what it has allocated, so later readings would count our own. A value stands until it has changed by a sixteenth
 * of the device: each change of the record is an entry in the coordinator's ledger.
 */
import type { DeviceNow } from '../power/meter.js';
import type { SlotInfo } from '../slots/inventory.js';

interface WatchedSlot {
  readonly info: Pick<SlotInfo, 'slotId' | 'device' | 'memoryBytes' | 'sharedBy'>;
  readonly holder: object | null;
}

const STEP = 1 / 16;

export class FreeMemory {
  readonly #free = new Map<string, number>();
  /** Devices on which an attempt has run. */
  readonly #used = new Set<string>();

  constructor(private readonly devices: () => readonly Pick<DeviceNow, 'device' | 'memoryUsedBytes'>[]) {}

  /** Bytes by slot, as far as they are known. */
  look(slots: readonly WatchedSlot[]): ReadonlyMap<string, number> {
    const readings = new Map(this.devices().map(({ device, memoryUsedBytes }) => [device, memoryUsedBytes]));
    for (const { info, holder } of slots)
      if (holder !== null) for (const uuid of info.device.uuids) this.#used.add(uuid);
    for (const { info } of slots) {
      const [uuid] = info.device.uuids;
      const used = uuid === undefined ? null : (readings.get(uuid) ?? null);
      if (uuid === undefined || used === null || info.memoryBytes === null || this.#used.has(uuid)) continue;
      const free = Math.max(0, info.memoryBytes - used / (info.sharedBy ?? 1));
      const told = this.#free.get(info.slotId);
      if (told === undefined || Math.abs(free - told) >= info.memoryBytes * STEP)
        this.#free.set(info.slotId, free);
    }
    return this.#free;
  }
}
