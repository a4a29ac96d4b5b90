/**
 * GPUs of AMD and Intel as the kernel shows them: who they are, and from hwmon what they draw. Only those that somebody
 * asked for: nearly every machine has one that drives its screen and trains nothing.
 *
 * Sources: Linux drivers/gpu/drm/amd/pm/amdgpu_pm.c, Documentation/gpu/amdgpu/thermal.rst, and
 * Documentation/ABI/testing/sysfs-driver-intel-{i915,xe}-hwmon.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { list, number, readProblem, text } from './kernel-files.js';
import { unread, type PowerSource, type Reading } from './source.js';

export type SysfsVendor = 'amd' | 'intel';

export interface SysfsGpu {
  /** `GPU-` and its unique id, as AMD's own tools name it, else `PCI-` and its address. */
  readonly id: string;
  readonly model: string;
  readonly memoryBytes: number | null;
  readonly vendor: SysfsVendor;
  /** Among those of its vendor in bus order, from 0: how its vendor's libraries count. */
  readonly index: number;
  /** Its folder, and that of its sensors; null without any. */
  readonly dir: string;
  readonly sensors: string | null;
}

const PCI_IDS: Readonly<Record<string, SysfsVendor>> = { '0x1002': 'amd', '0x8086': 'intel' };
const NAMES: Readonly<Record<SysfsVendor, string>> = { amd: 'AMD', intel: 'Intel' };
const MICRO = 1e-6;
const MILLI = 1e-3;

/** GPUs of these vendors in bus order; of Intel those with sensors of their own, which those in a processor have not. */
export function sysfsGpus(vendors: ReadonlySet<string>, root = '/sys'): readonly SysfsGpu[] {
  const found = list(join(root, 'class/drm'))
    .filter((name) => /^card\d+$/.test(name))
    .flatMap((name) => {
      const dir = join(root, 'class/drm', name, 'device');
      const vendor = PCI_IDS[text(join(dir, 'vendor')) ?? ''];
      if (vendor === undefined || !vendors.has(vendor)) return [];
      const [hwmon] = list(join(dir, 'hwmon'));
      const sensors = hwmon === undefined ? null : join(dir, 'hwmon', hwmon);
      const isOwn = vendor === 'amd' || (sensors !== null && text(join(sensors, 'energy1_input')) !== null);
      const address = /^PCI_SLOT_NAME=(\S+)$/m.exec(text(join(dir, 'uevent')) ?? '')?.[1] ?? name;
      return isOwn ? [{ dir, vendor, sensors, address }] : [];
    })
    .sort((a, b) => (a.address < b.address ? -1 : 1));
  return found.map((gpu) => ({
    dir: gpu.dir,
    vendor: gpu.vendor,
    sensors: gpu.sensors,
    index: found.filter(({ vendor }) => vendor === gpu.vendor).indexOf(gpu),
    id: idOf(gpu.dir, gpu.address),
    model:
      text(join(gpu.dir, 'product_name')) ??
      `${NAMES[gpu.vendor]} GPU ${text(join(gpu.dir, 'device')) ?? ''}`.trim(),
    memoryBytes: number(join(gpu.dir, 'mem_info_vram_total')),
  }));
}

function idOf(dir: string, address: string): string {
  const unique = text(join(dir, 'unique_id'));
  return unique !== null && /^[0-9a-f]{16}$/.test(unique) && !/^0+$/.test(unique)
    ? `GPU-${unique}`
    : `PCI-${address}`;
}

export class SysfsGpuSource implements PowerSource {
  readonly counterMethod = 'hwmon';
  readonly powerMethod = 'hwmon';
  readonly #slow = new Map<string, Partial<Reading>>();

  constructor(readonly devices: readonly SysfsGpu[]) {}

  read(slowToo: boolean): readonly Reading[] {
    return this.devices.map((gpu) => {
      if (slowToo) this.#slow.set(gpu.id, readSlow(gpu));
      const counterJoules = sensor(gpu, ['energy1_input'], MICRO);
      const watts = sensor(gpu, ['power1_average', 'power1_input'], MICRO);
      return {
        ...unread(gpu.id),
        ...this.#slow.get(gpu.id),
        counterJoules,
        watts,
        utilization: number(join(gpu.dir, 'gpu_busy_percent'), 0.01),
        problem: counterJoules === null && watts === null ? problemOf(gpu) : null,
      };
    });
  }

  close(): void {
    // Nothing is held open.
  }
}

/** The first of the sensors that gives a number: newer chips have one of two. */
function sensor({ sensors }: SysfsGpu, names: readonly string[], factor: number): number | null {
  for (const name of sensors === null ? [] : names) {
    const value = number(join(sensors ?? '', name), factor);
    if (value !== null) return value;
  }
  return null;
}

function readSlow(gpu: SysfsGpu): Partial<Reading> {
  const told = {
    memoryUsedBytes: number(join(gpu.dir, 'mem_info_vram_used')),
    temperatureCelsius: sensor(gpu, ['temp1_input', 'temp2_input'], MILLI),
    clockHertz: sensor(gpu, ['freq1_input'], 1),
    memoryClockHertz: sensor(gpu, ['freq2_input'], 1),
    powerLimitWatts: sensor(gpu, ['power1_cap', 'power1_max'], MICRO),
  };
  const missing = Object.entries({
    memory: told.memoryUsedBytes,
    temperature: told.temperatureCelsius,
    clock: told.clockHertz,
    'memory clock': told.memoryClockHertz,
    'power limit': told.powerLimitWatts,
  }).flatMap(([what, value]) => (value === null ? [`${what}: the driver shows none`] : []));
  return missing.length === 0 ? told : { ...told, missing };
}

function problemOf({ sensors, dir }: SysfsGpu): string {
  if (sensors === null) return `the driver shows no sensors in ${dir}`;
  for (const name of ['energy1_input', 'power1_average', 'power1_input']) {
    try {
      readFileSync(join(sensors, name));
      return readProblem(join(sensors, name), null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') return readProblem(join(sensors, name), error);
    }
  }
  return `${sensors} shows neither energy nor power`;
}
