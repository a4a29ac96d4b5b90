/**
 * What an attempt does to the devices of its slot before it begins and after it has gone: who has them, their memory, their
 * power limits. Its end is told when they are as they were before it.
 */
import { WattsweepError } from '../../../proto/errors.js';
import { bootId, isAlive } from '../host/process.js';
import type { IdleWatts } from '../power/idle.js';
import { limitRequest, type PowerLimits } from '../power/limits.js';
import type { DeviceMemory } from '../slots/device-memory.js';
import type { SlotInfo } from '../slots/inventory.js';
import type { Attempt } from './attempt.js';
import type { AcceptedAttempt } from './record.js';

export interface DevicesOptions {
  readonly idle: IdleWatts;
  readonly memory: DeviceMemory;
  readonly powerLimits: Pick<PowerLimits, 'apply' | 'restore' | 'restoreAllBut'>;
}

const isShared = ({ metered }: Pick<SlotInfo, 'metered'>): boolean =>
  metered.some((device) => device.isShared === true);

export class AttemptDevices {
  constructor(private readonly options: DevicesOptions) {}

  /** Throws SLOT_BUSY while a GPU of the slot has not been freed. */
  assertFree({ slotId, device }: SlotInfo): void {
    const problem = this.options.memory.problemOf(device.uuids);
    if (problem !== null) throw new WattsweepError('SLOT_BUSY', `Slot ${slotId} waits: ${problem}.`);
  }

  /** An attempt takes the devices; what they were like before it. */
  take({ metered, device }: SlotInfo): Pick<AcceptedAttempt, 'idleWatts' | 'memoryBefore'> {
    const idleWatts = this.options.idle.begin(metered);
    return {
      ...(idleWatts === null ? {} : { idleWatts }),
      ...(device.uuids.length === 0 ? {} : { memoryBefore: this.options.memory.begin(device.uuids) }),
    };
  }

  /** An attempt that an earlier service has accepted has them. */
  adopt({ metered, memoryBefore = {} }: AcceptedAttempt): void {
    this.options.idle.adopt(metered);
    this.options.memory.adopt(memoryBefore);
  }

  /** What attempts have changed that do not run is put back. */
  restoreAllBut(running: readonly Attempt[]): Promise<void> {
    return this.options.powerLimits.restoreAllBut(new Set(running.map(({ id }) => id)));
  }

  /** Makes them what the attempt asks for. Throws POWER_LIMIT_NOT_OFFERED, PARAMETER_REFUSED. */
  async prepare({ id, accepted }: Attempt): Promise<void> {
    const limit = limitRequest(id, accepted);
    if (limit !== null) await this.options.powerLimits.apply(limit);
  }

  /** No process of the attempt is left, but for a runner that stays: resolves when they are as before. */
  async leave({ id, accepted, run }: Attempt): Promise<void> {
    const { memory, powerLimits } = this.options;
    await powerLimits.restore(id);
    const isKept = run !== null && run.bootId === bootId() && isAlive(run);
    if (!isShared(accepted) && !isKept) await memory.freed(accepted.spec.device.uuids);
  }

  /** The attempt has them no more. */
  end({ metered }: Pick<AcceptedAttempt, 'metered'>): void {
    this.options.idle.end(metered);
  }
}

/** How an attempt ends that could not be started. */
export function endBefore(error: unknown): {
  readonly class: 'refused' | 'crashed';
  readonly code: string;
  readonly message: string;
} {
  const message = error instanceof Error ? error.message : String(error);
  const isRefused =
    error instanceof WattsweepError &&
    (error.code === 'PARAMETER_REFUSED' || error.code === 'POWER_LIMIT_NOT_OFFERED');
  return isRefused
    ? { class: 'refused', code: error.code, message }
    : { class: 'crashed', code: 'ATTEMPT_CRASHED', message };
}
