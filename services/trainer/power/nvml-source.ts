/** GPUs through NVML: the energy counter where the GPU has one, instant power beside it. */
import type { Reading, PowerSource } from './source.js';
import { nvmlText, type Nvml, type NvmlResult } from './nvml.js';

const NOT_SUPPORTED = 3;

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
  readonly #unsupported = new Set<string>();
  readonly #slow = new Map<string, Pick<Reading, 'memoryUsedBytes' | 'temperatureCelsius'>>();

  constructor(private readonly nvml: Nvml) {
    this.devices = nvmlGpus(nvml);
  }

  read(slowToo: boolean): readonly Reading[] {
    return this.devices.map((gpu) => this.#readOne(gpu, slowToo));
  }

  #readOne(gpu: Gpu, slowToo: boolean): Reading {
    const energy = this.#try(gpu, 'energy', () => this.nvml.energyJoules(gpu.handle));
    let power = this.#try(gpu, 'instant', () => this.nvml.instantWatts(gpu.handle));
    if (!power.ok) power = this.#try(gpu, 'power', () => this.nvml.powerWatts(gpu.handle));
    const utilization = this.#try(gpu, 'utilization', () => this.nvml.utilization(gpu.handle));
    if (slowToo) {
      const memory = this.#try(gpu, 'memory', () => this.nvml.memoryBytes(gpu.handle));
      const temperature = this.#try(gpu, 'temperature', () => this.nvml.temperatureCelsius(gpu.handle));
      this.#slow.set(gpu.id, {
        memoryUsedBytes: memory.ok ? memory.value.used : null,
        temperatureCelsius: valueOrNull(temperature),
      });
    }
    const slow = this.#slow.get(gpu.id) ?? { memoryUsedBytes: null, temperatureCelsius: null };
    return {
      device: gpu.id,
      counterJoules: valueOrNull(energy),
      watts: valueOrNull(power),
      utilization: valueOrNull(utilization),
      ...slow,
      problem: energy.ok || power.ok ? null : `NVML: ${nvmlText(power.code)}`,
    };
  }

  #try<T>(gpu: Gpu, call: string, read: () => NvmlResult<T>): NvmlResult<T> {
    const name = `${call} ${gpu.id}`;
    if (this.#unsupported.has(name)) return { ok: false, code: NOT_SUPPORTED };
    const result = read();
    if (!result.ok && result.code === NOT_SUPPORTED) this.#unsupported.add(name);
    return result;
  }

  close(): void {
    this.nvml.close();
  }
}

const valueOrNull = <T>(result: NvmlResult<T>): T | null => (result.ok ? result.value : null);
