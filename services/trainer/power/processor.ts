/**
 * The host's processors: RAPL's energy counters, hwmon where RAPL is missing, load and memory beside them. One device
 * for the whole box: a counter belongs to a package, whatever runs on it.
 */
import { readFileSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { list, readProblem, text } from './kernel-files.js';
import { CPU_DEVICE, unread, type PowerSource, type Reading } from './source.js';

const MICRO = 1e-6;

export const cpuModel = (): string => cpus()[0]?.model.trim() ?? 'CPU';

/** What reads the energy of the processors: joules that only rise, watts, or the reason why there is neither. */
export interface ProcessorPower {
  readonly method: 'rapl' | 'hwmon';
  /** Joules at which its counter begins anew; absent when it does not, or does not say. */
  readonly rangeJoules?: number;
  read(): { readonly joules: number | null; readonly watts: number | null; readonly problem: string | null };
}

function problemOf(path: string): string {
  try {
    readFileSync(path);
    return readProblem(path, null);
  } catch (error) {
    return readProblem(path, error);
  }
}

/**
 * Sums the package zones of a powercap tree. Subzones (cores, memory controller) and psys overlap the packages and are
 * left out. (Linux Documentation/power/powercap/powercap.rst)
 */
export function raplPower(root = '/sys/class/powercap'): ProcessorPower | null {
  const zones = list(root)
    .filter(
      (name) =>
        /^intel-rapl:\d+$/.test(name) && text(join(root, name, 'name'))?.startsWith('package') === true,
    )
    .map((name) => ({
      path: join(root, name, 'energy_uj'),
      rangeMicrojoules: Number(text(join(root, name, 'max_energy_range_uj')) ?? NaN),
    }));
  if (zones.length === 0) return null;
  const ranges = new Set(zones.map(({ rangeMicrojoules }) => rangeMicrojoules));
  const [range = NaN] = ranges;
  // Packages of one machine are alike. Where they are not, or say no range, a fall is one that was set back.
  const rangeJoules = ranges.size === 1 && Number.isFinite(range) ? range * MICRO : undefined;
  return {
    method: 'rapl',
    ...(rangeJoules === undefined ? {} : { rangeJoules }),
    read() {
      let microjoules = 0;
      for (const zone of zones) {
        const value = Number(text(zone.path) ?? NaN);
        if (!Number.isFinite(value)) return { joules: null, watts: null, problem: problemOf(zone.path) };
        microjoules += value;
      }
      return { joules: microjoules * MICRO, watts: null, problem: null };
    },
  };
}

/** Drivers of hwmon that give the power of a whole processor. */
const HWMON_DRIVERS = new Set(['amd_energy', 'fam15h_power', 'zenpower']);

export function hwmonPower(root = '/sys/class/hwmon'): ProcessorPower | null {
  const dir = list(root).find((name) => HWMON_DRIVERS.has(text(join(root, name, 'name')) ?? ''));
  if (dir === undefined) return null;
  const files = list(join(root, dir));
  const sockets = files.filter(
    (file) =>
      /^energy\d+_input$/.test(file) &&
      text(join(root, dir, file.replace('_input', '_label')))?.startsWith('Esocket') === true,
  );
  const power = ['power1_average', 'power1_input'].find((file) => files.includes(file));
  if (sockets.length === 0 && power === undefined) return null;
  const sum = (names: readonly string[]): number =>
    names.reduce((total, file) => total + Number(text(join(root, dir, file)) ?? NaN), 0) * MICRO;
  return {
    method: 'hwmon',
    read() {
      const joules = sockets.length > 0 ? sum(sockets) : NaN;
      const watts = power === undefined ? NaN : sum([power]);
      const readable = Number.isFinite(joules) || Number.isFinite(watts);
      return {
        joules: Number.isFinite(joules) ? joules : null,
        watts: Number.isFinite(watts) ? watts : null,
        problem: readable ? null : problemOf(join(root, dir, sockets[0] ?? power ?? '')),
      };
    },
  };
}

export class ProcessorSource implements PowerSource {
  readonly counterMethod: 'rapl' | 'hwmon';
  readonly powerMethod: 'rapl' | 'hwmon';
  readonly devices = [{ id: CPU_DEVICE, model: cpuModel() }];
  #ticks: { readonly busy: number; readonly total: number } | null = null;
  #slow: Pick<Reading, 'utilization' | 'memoryUsedBytes'> = { utilization: null, memoryUsedBytes: null };

  constructor(private readonly power: ProcessorPower | null = raplPower() ?? hwmonPower()) {
    this.counterMethod = power?.method ?? 'rapl';
    this.powerMethod = power?.method ?? 'rapl';
  }

  read(slowToo: boolean): readonly Reading[] {
    if (slowToo) this.#slow = { utilization: this.#load(), memoryUsedBytes: totalmem() - freemem() };
    const { joules, watts, problem } = this.power?.read() ?? {
      joules: null,
      watts: null,
      problem: 'this machine shows no energy counter of its processors (RAPL, hwmon)',
    };
    return [
      {
        ...unread(CPU_DEVICE),
        counterJoules: joules,
        ...(this.power?.rangeJoules === undefined ? {} : { counterRangeJoules: this.power.rangeJoules }),
        watts,
        ...this.#slow,
        problem,
      },
    ];
  }

  /** Share of all cores' time since the last call that was not idle; null where there is no /proc. */
  #load(): number | null {
    const ticks = /^cpu +(.*)$/m
      .exec(text('/proc/stat') ?? '')?.[1]
      ?.split(' ')
      .map(Number);
    if (ticks === undefined) return null;
    // user nice system idle iowait irq softirq steal; guest time stands in user already. (proc(5))
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
    const busy = user + nice + system + irq + softirq + steal;
    const now = { busy, total: busy + idle + iowait };
    const before = this.#ticks;
    this.#ticks = now;
    return before === null || now.total <= before.total
      ? null
      : (now.busy - before.busy) / (now.total - before.total);
  }

  close(): void {
    // Nothing is held open.
  }
}
