/** NVIDIA's management library through FFI: the C calls that inventory and meter need, with typed results. */
import { throttledBy, type ThrottleReason } from '../../../proto/energy.js';
import type { ForeignLibrary } from './koffi.js';
import { loadKoffi } from './koffi.js';

const OK = 0;
const NAME_BYTES = 96;
const UUID_BYTES = 96;
const VERSION_BYTES = 80;
/** NVML_FI_DEV_POWER_INSTANT: unlike nvmlDeviceGetPowerUsage it is not averaged over a second on newer GPUs. */
const FIELD_POWER_INSTANT = 186;
const FIELD_VALUE_BYTES = 40;

/** nvmlReturn_t, in words (nvml.h). */
const RETURN_TEXT: ReadonlyMap<number, string> = new Map([
  [1, 'NVML is not initialised'],
  [3, 'not supported by this GPU'],
  [4, 'no permission'],
  [6, 'not found'],
  [9, 'the NVIDIA driver is not loaded'],
  [10, 'time-out'],
  [13, 'this driver does not know it'],
  [15, 'the GPU is lost'],
  [16, 'the GPU must be reset'],
  [18, 'driver and library versions differ (reboot after a driver update)'],
  [21, 'no data'],
]);

export const nvmlText = (code: number): string => RETURN_TEXT.get(code) ?? `NVML error ${String(code)}`;

/** A value, or the NVML return code that stands for its absence. */
export type NvmlResult<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: number };

const SONAME = 'libnvidia-ml.so.1';
/** The bare `.so` is left out: it may be a stub that never initialises. */
const LIBRARY_PATHS = [
  SONAME,
  '/usr/lib/wsl/lib/libnvidia-ml.so.1',
  '/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1',
  '/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1',
  '/usr/lib64/libnvidia-ml.so.1',
];

type Text = (out: Buffer, length: number) => number;
type DeviceText = (device: bigint, out: Buffer, length: number) => number;
type Count = (out: Uint32Array) => number;
type Handle = (index: number, out: BigUint64Array) => number;
type Fields = (device: bigint, count: number, values: Buffer) => number;
type DeviceUlong = (device: bigint, out: BigUint64Array) => number;
type Temperature = (device: bigint, sensor: number, out: Uint32Array) => number;
type DeviceUint = (device: bigint, out: Uint32Array) => number;
type Clock = (device: bigint, type: number, out: Uint32Array) => number;
type Limits = (device: bigint, least: Uint32Array, most: Uint32Array) => number;
type SetLimit = (device: bigint, milliwatts: number) => number;
type Version = (out: Int32Array) => number;

/** Return code for a function that this library does not have. */
const FUNCTION_NOT_FOUND = 13;
const CLOCK_TYPES = { processors: 1, memory: 2 } as const;

/** Watts between which a GPU's power limit may be set. */
export interface PowerLimits {
  readonly least: number;
  readonly most: number;
}

export class Nvml {
  readonly #driverVersion: Text;
  readonly #count: Count;
  readonly #handle: Handle;
  readonly #name: DeviceText;
  readonly #uuid: DeviceText;
  readonly #power: DeviceUint;
  readonly #fields: Fields;
  readonly #energy: DeviceUlong;
  readonly #utilization: DeviceUint;
  readonly #memory: DeviceUlong;
  readonly #temperature: Temperature;
  readonly #clock: Clock;
  readonly #throttling: DeviceUlong;
  readonly #enforced: DeviceUint;
  readonly #limit: DeviceUint;
  readonly #limits: Limits;
  readonly #setLimit: SetLimit;
  readonly #libraryVersion: Text;
  readonly #cudaVersion: Version;
  readonly #shutdown: () => number;
  readonly #uint = new Uint32Array(2);
  readonly #ulong = new BigUint64Array(3);
  readonly #field = Buffer.alloc(FIELD_VALUE_BYTES);

  private constructor(
    private readonly library: ForeignLibrary,
    readonly path: string,
  ) {
    // Pointers travel as integers of their size: a handle is opaque, and outputs go into arrays made once.
    const bind = (prototype: string): unknown => library.func(`int ${prototype}`);
    this.#driverVersion = bind('nvmlSystemGetDriverVersion(uint8_t *out, uint32_t length)') as Text;
    this.#count = bind('nvmlDeviceGetCount_v2(uint32_t *out)') as Count;
    this.#handle = bind('nvmlDeviceGetHandleByIndex_v2(uint32_t index, uint64_t *out)') as Handle;
    this.#name = bind('nvmlDeviceGetName(uintptr_t device, uint8_t *out, uint32_t length)') as DeviceText;
    this.#uuid = bind('nvmlDeviceGetUUID(uintptr_t device, uint8_t *out, uint32_t length)') as DeviceText;
    this.#power = bind('nvmlDeviceGetPowerUsage(uintptr_t device, uint32_t *out)') as DeviceUint;
    this.#fields = bind('nvmlDeviceGetFieldValues(uintptr_t device, int count, uint8_t *values)') as Fields;
    this.#energy = bind(
      'nvmlDeviceGetTotalEnergyConsumption(uintptr_t device, uint64_t *out)',
    ) as DeviceUlong;
    this.#utilization = bind('nvmlDeviceGetUtilizationRates(uintptr_t device, uint32_t *out)') as DeviceUint;
    this.#memory = bind('nvmlDeviceGetMemoryInfo(uintptr_t device, uint64_t *out)') as DeviceUlong;
    this.#temperature = bind(
      'nvmlDeviceGetTemperature(uintptr_t device, int sensor, uint32_t *out)',
    ) as Temperature;
    // Not in every library: a GPU whose driver lacks one of them has one number less.
    const bindIfThere = (...prototypes: readonly string[]): unknown => {
      for (const prototype of prototypes)
        try {
          return bind(prototype);
        } catch {
          continue;
        }
      return () => FUNCTION_NOT_FOUND;
    };
    this.#clock = bindIfThere('nvmlDeviceGetClockInfo(uintptr_t device, int type, uint32_t *out)') as Clock;
    this.#throttling = bindIfThere(
      'nvmlDeviceGetCurrentClocksEventReasons(uintptr_t device, uint64_t *out)',
      'nvmlDeviceGetCurrentClocksThrottleReasons(uintptr_t device, uint64_t *out)',
    ) as DeviceUlong;
    this.#limit = bindIfThere(
      'nvmlDeviceGetPowerManagementLimit(uintptr_t device, uint32_t *out)',
    ) as DeviceUint;
    this.#enforced = bindIfThere(
      'nvmlDeviceGetEnforcedPowerLimit(uintptr_t device, uint32_t *out)',
    ) as DeviceUint;
    this.#limits = bindIfThere(
      'nvmlDeviceGetPowerManagementLimitConstraints(uintptr_t device, uint32_t *least, uint32_t *most)',
    ) as Limits;
    this.#setLimit = bindIfThere(
      'nvmlDeviceSetPowerManagementLimit(uintptr_t device, uint32_t milliwatts)',
    ) as SetLimit;
    this.#libraryVersion = bindIfThere('nvmlSystemGetNVMLVersion(uint8_t *out, uint32_t length)') as Text;
    this.#cudaVersion = bindIfThere('nvmlSystemGetCudaDriverVersion_v2(int32_t *out)') as Version;
    this.#shutdown = bind('nvmlShutdown()') as () => number;
  }

  /** Loads and initialises the library, or says in words why there is none. `$NVML_LIBRARY_PATH` comes first. */
  static async open(): Promise<{ readonly nvml: Nvml } | { readonly reason: string }> {
    const own = process.env.NVML_LIBRARY_PATH;
    const koffi = await loadKoffi();
    if (koffi === null) return { reason: 'the FFI library koffi cannot be loaded here' };
    const reasons: string[] = [];
    for (const path of own === undefined || own === '' ? LIBRARY_PATHS : [own]) {
      let library: ForeignLibrary;
      try {
        library = koffi.load(path);
      } catch {
        continue;
      }
      try {
        const code = (library.func('int nvmlInit_v2()') as () => number)();
        if (code === OK) return { nvml: new Nvml(library, path) };
        reasons.push(`${path}: ${nvmlText(code)}`);
      } catch (error) {
        reasons.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
      }
      library.unload();
    }
    return { reason: reasons[0] ?? `no NVIDIA driver (${own ?? SONAME} cannot be loaded)` };
  }

  close(): void {
    this.#shutdown();
  }

  /** Driver version, or null. */
  driverVersion(): string | null {
    const out = Buffer.alloc(VERSION_BYTES);
    return this.#driverVersion(out, VERSION_BYTES) === OK ? cString(out) : null;
  }

  /** Version of the library itself, or null. */
  libraryVersion(): string | null {
    const out = Buffer.alloc(VERSION_BYTES);
    return this.#libraryVersion(out, VERSION_BYTES) === OK ? cString(out) : null;
  }

  /** Newest CUDA that the driver runs, e.g. `12.4`, or null. */
  cudaVersion(): string | null {
    const out = new Int32Array(1);
    if (this.#cudaVersion(out) !== OK) return null;
    const version = out[0] ?? 0;
    return `${String(Math.floor(version / 1000))}.${String(Math.floor((version % 1000) / 10))}`;
  }

  count(): number {
    return this.#count(this.#uint) === OK ? (this.#uint[0] ?? 0) : 0;
  }

  handle(index: number): NvmlResult<bigint> {
    return result(this.#handle(index, this.#ulong), () => this.#ulong[0] ?? 0n);
  }

  name(device: bigint): NvmlResult<string> {
    const out = Buffer.alloc(NAME_BYTES);
    return result(this.#name(device, out, NAME_BYTES), () => cString(out));
  }

  uuid(device: bigint): NvmlResult<string> {
    const out = Buffer.alloc(UUID_BYTES);
    return result(this.#uuid(device, out, UUID_BYTES), () => cString(out));
  }

  /** Watts, as the driver averages them (over one second from Ampere on). */
  powerWatts(device: bigint): NvmlResult<number> {
    return result(this.#power(device, this.#uint), () => (this.#uint[0] ?? 0) / 1000);
  }

  /** Watts of this moment; older drivers do not know the field. */
  instantWatts(device: bigint): NvmlResult<number> {
    const field = this.#field.fill(0);
    field.writeUInt32LE(FIELD_POWER_INSTANT, 0);
    const code = this.#fields(device, 1, field);
    return result(code === OK ? field.readInt32LE(28) : code, () => field.readUInt32LE(32) / 1000);
  }

  /** Joules since the driver was loaded; from Volta on. */
  energyJoules(device: bigint): NvmlResult<number> {
    return result(this.#energy(device, this.#ulong), () => Number(this.#ulong[0]) / 1000);
  }

  /** 0 to 1, over the driver's last sampling period. */
  utilization(device: bigint): NvmlResult<number> {
    return result(this.#utilization(device, this.#uint), () => (this.#uint[0] ?? 0) / 100);
  }

  memoryBytes(device: bigint): NvmlResult<{ readonly total: number; readonly used: number }> {
    return result(this.#memory(device, this.#ulong), () => ({
      total: Number(this.#ulong[0]),
      used: Number(this.#ulong[2]),
    }));
  }

  temperatureCelsius(device: bigint): NvmlResult<number> {
    return result(this.#temperature(device, 0, this.#uint), () => this.#uint[0] ?? 0);
  }

  clockHertz(device: bigint, of: keyof typeof CLOCK_TYPES): NvmlResult<number> {
    return result(this.#clock(device, CLOCK_TYPES[of], this.#uint), () => (this.#uint[0] ?? 0) * 1e6);
  }

  throttledBy(device: bigint): NvmlResult<readonly ThrottleReason[]> {
    return result(this.#throttling(device, this.#ulong), () => throttledBy(this.#ulong[0] ?? 0n));
  }

  /** Watts that the driver enforces: the least of all limits. */
  enforcedLimitWatts(device: bigint): NvmlResult<number> {
    return result(this.#enforced(device, this.#uint), () => (this.#uint[0] ?? 0) / 1000);
  }

  /** Watts of the limit that may be set. */
  powerLimitWatts(device: bigint): NvmlResult<number> {
    return result(this.#limit(device, this.#uint), () => (this.#uint[0] ?? 0) / 1000);
  }

  powerLimits(device: bigint): NvmlResult<PowerLimits> {
    const most = new Uint32Array(1);
    return result(this.#limits(device, this.#uint, most), () => ({
      least: (this.#uint[0] ?? 0) / 1000,
      most: (most[0] ?? 0) / 1000,
    }));
  }

  /** Wants the right to administer the GPU (root). */
  setPowerLimitWatts(device: bigint, watts: number): NvmlResult<null> {
    return result(this.#setLimit(device, Math.round(watts * 1000)), () => null);
  }
}

const cString = (buffer: Buffer): string => {
  const end = buffer.indexOf(0);
  return buffer.toString('utf8', 0, end === -1 ? buffer.length : end);
};

const result = <T>(code: number, value: () => T): NvmlResult<T> =>
  code === OK ? { ok: true, value: value() } : { ok: false, code };
