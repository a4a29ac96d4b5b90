/**
 * Memory of the GPUs between attempts: a GPU takes the next attempt when it has no more in use than before the last one.
 * What a driver frees a moment after its process has gone is waited for; while more stays in use, the slot is busy.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface DeviceMemoryOptions {
  /** Bytes in use now, by UUID; null when they cannot be read. */
  readonly used: (device: string) => number | null;
  /** @default the host's monotonic clock */
  readonly clock?: () => number;
  /** How long an end waits for it. @default 2000 */
  readonly waitMs?: number;
}

/** Other programs of the box, a desktop for one, take some more now and then. */
const ALLOWANCE_BYTES = 512 * 2 ** 20;
const WAIT_MS = 2_000;
const POLL_MS = 50;
/** Then it is not ours, whoever has it: the GPU is offered with what is left. */
const GIVE_UP_MS = 5 * 60_000;

interface Held {
  readonly sinceMs: number;
  readonly before: number;
}

export class DeviceMemory {
  /** Bytes in use before the first attempt of the runner that is there. */
  readonly #before = new Map<string, number>();
  readonly #held = new Map<string, Held>();
  readonly #clock: () => number;

  constructor(private readonly options: DeviceMemoryOptions) {
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** An attempt takes the GPUs. Bytes in use before it, as far as they are known, to be kept with it. */
  begin(devices: readonly string[]): Readonly<Record<string, number>> {
    for (const device of devices) {
      const used = this.#before.has(device) ? null : this.options.used(device);
      if (used !== null) this.#before.set(device, used);
    }
    return Object.fromEntries(
      devices.flatMap((device) => {
        const before = this.#before.get(device);
        return before === undefined ? [] : [[device, before]];
      }),
    );
  }

  /** An attempt of an earlier service has them. */
  adopt(before: Readonly<Record<string, number>>): void {
    for (const [device, bytes] of Object.entries(before)) this.#before.set(device, bytes);
  }

  /** No process of the attempt is left on the GPUs. Resolves when their memory is free, or after a while. */
  async freed(devices: readonly string[]): Promise<void> {
    const deadlineMs = this.#clock() + (this.options.waitMs ?? WAIT_MS);
    for (const device of devices) {
      const before = this.#before.get(device);
      if (before === undefined) continue;
      while (this.#isHeld(device, before) && this.#clock() < deadlineMs) await sleep(POLL_MS);
      if (this.#isHeld(device, before)) this.#held.set(device, { sinceMs: this.#clock(), before });
      this.#before.delete(device);
    }
  }

  #isHeld(device: string, before: number): boolean {
    const used = this.options.used(device);
    return used !== null && used > before + ALLOWANCE_BYTES;
  }

  /** Why none of these GPUs takes an attempt now, in a sentence; null when they do. */
  problemOf(devices: readonly string[]): string | null {
    for (const device of devices) {
      const held = this.#held.get(device);
      if (held === undefined) continue;
      if (this.#isHeld(device, held.before) && this.#clock() - held.sinceMs < GIVE_UP_MS)
        return `${device} has more memory in use than before its last attempt, though no process of that is left`;
      this.#held.delete(device);
    }
    return null;
  }
}
