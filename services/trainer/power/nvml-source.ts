/** GPUs through NVML: the energy counter where the GPU has one, instant power beside it. */
import { NOTHING_SLOW, type PowerSource, type Reading, type Slow } from './source.js';
import { nvmlText, type Nvml, type NvmlResult } from './nvml.js';

/** Not supported, and no such function in this library. */
const FOR_GOOD: ReadonlySet<number> = new Set([3, 13]);
/** A GPU without it has the averaged power. */
const INSTANT = 'instant power';

interface Missing {
  readonly device: string;
  readonly call: string;
  readonly code: number;
  readonly reason: string;
}

interface Gpu {
  readonly id: string;
  readonly model: string;
  readonly memoryBytes: number | null;
  readonly handle: bigint;
}

/** The GPUs that NVML lists; one that cannot be identified is left out. */
export function nvmlGpus(nvml: Nvml): readonly Gpu[] {
  const gpus: Gpu[] = [];
  for (let index = 0; index < nvml.count(); index++) {
    const handle = nvml.handle(index);
    if (!handle.ok) continue;
    const uuid = nvml.uuid(handle.value);
    if (!uuid.ok) continue;
    const name = nvml.name(handle.value);
    const memory = nvml.memoryBytes(handle.value);
    gpus.push({
      id: uuid.value,
      model: name.ok ? name.value : 'NVIDIA GPU',
      memoryBytes: memory.ok ? memory.value.total : null,
      handle: handle.value,
    });
  }
  return gpus;
}

export class NvmlSource implements PowerSource {
  readonly counterMethod = 'nvml-counter';
  readonly powerMethod = 'nvml-power';
  readonly devices: readonly Gpu[];
  /** Calls that a GPU has answered with "not supported" are not made again: they cost time at every sample. */
  readonly #unsupported = new Map<string, Missing>();
  readonly #slow = new Map<string, Slow>();

  constructor(readonly nvml: Nvml) {
    this.devices = nvmlGpus(nvml);
  }

  read(slowToo: boolean): readonly Reading[] {
    return this.devices.map((gpu) => this.#readOne(gpu, slowToo));
  }

  #readOne(gpu: Gpu, slowToo: boolean): Reading {
    const energy = this.#try(gpu, 'energy counter', () => this.nvml.energyJoules(gpu.handle));
    let power = this.#try(gpu, INSTANT, () => this.nvml.instantWatts(gpu.handle));
    if (!power.ok) power = this.#try(gpu, 'power', () => this.nvml.powerWatts(gpu.handle));
    const utilization = this.#try(gpu, 'utilisation', () => this.nvml.utilization(gpu.handle));
    if (slowToo) this.#slow.set(gpu.id, this.#readSlow(gpu));
    const missing = slowToo ? this.#missingOf(gpu) : [];
    return {
      device: gpu.id,
      counterJoules: valueOrNull(energy),
      watts: valueOrNull(power),
      utilization: valueOrNull(utilization),
      ...(this.#slow.get(gpu.id) ?? NOTHING_SLOW),
      ...(missing.length === 0 ? {} : { missing }),
      problem: energy.ok || power.ok ? null : `NVML: ${nvmlText(power.code)}`,
    };
  }

  #missingOf({ id }: Gpu): readonly string[] {
    return [...this.#unsupported.values()]
      .filter(({ device, call }) => device === id && call !== INSTANT)
      .map(({ call, reason }) => `${call}: ${reason}`);
  }

  #readSlow(gpu: Gpu): Slow {
    const { nvml } = this;
    const { handle } = gpu;
    const read = <T>(call: string, ask: () => NvmlResult<T>): T | null =>
      valueOrNull(this.#try(gpu, call, ask));
    return {
      memoryUsedBytes: read('memory', () => nvml.memoryBytes(handle))?.used ?? null,
      temperatureCelsius: read('temperature', () => nvml.temperatureCelsius(handle)),
      clockHertz: read('clock', () => nvml.clockHertz(handle, 'processors')),
      memoryClockHertz: read('memory clock', () => nvml.clockHertz(handle, 'memory')),
      throttledBy: read('throttle reasons', () => nvml.throttledBy(handle)),
      powerLimitWatts: read('power limit', () => nvml.enforcedLimitWatts(handle)),
    };
  }

  #try<T>(gpu: Gpu, call: string, read: () => NvmlResult<T>): NvmlResult<T> {
    const name = `${call} ${gpu.id}`;
    const known = this.#unsupported.get(name);
    if (known !== undefined) return { ok: false, code: known.code };
    const result = read();
    if (!result.ok && FOR_GOOD.has(result.code)) {
      const { code } = result;
      this.#unsupported.set(name, { device: gpu.id, call, code, reason: nvmlText(code) });
    }
    return result;
  }

  close(): void {
    this.nvml.close();
  }
}

const valueOrNull = <T>(result: NvmlResult<T>): T | null => (result.ok ? result.value : null);
