/** Who can read and set the power limit of a GPU: NVIDIA's library, or nvidia-smi where it cannot be loaded. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { NvmlSource } from './nvml-source.js';
import { nvmlText } from './nvml.js';

const run = promisify(execFile);

/** A GPU's limit now, and between which it may be set, in watts. */
export interface LimitFound {
  readonly watts: number;
  readonly least: number;
  readonly most: number;
}

export interface PowerLimiter {
  /** By UUID. A reason where the GPU has no limit, or nobody can tell. */
  look(device: string): Promise<LimitFound | { readonly reason: string }>;
  /** Null when it is set; else why not. */
  set(device: string, watts: number): Promise<string | null>;
  /** Null when this process has the right to set it; else why not. Changes nothing. */
  maySet(device: string): Promise<string | null>;
}

export function nvmlLimiter({ nvml, devices }: Pick<NvmlSource, 'nvml' | 'devices'>): PowerLimiter {
  const handleOf = (device: string): bigint | undefined => devices.find(({ id }) => id === device)?.handle;
  const absent = (device: string): string => `NVML does not list ${device}`;
  return {
    look(device) {
      const handle = handleOf(device);
      if (handle === undefined) return Promise.resolve({ reason: absent(device) });
      const now = nvml.powerLimitWatts(handle);
      const range = nvml.powerLimits(handle);
      return Promise.resolve(
        now.ok && range.ok
          ? { watts: now.value, ...range.value }
          : { reason: nvmlText(now.ok ? (range as { readonly code: number }).code : now.code) },
      );
    },
    set(device, watts) {
      const handle = handleOf(device);
      if (handle === undefined) return Promise.resolve(absent(device));
      const result = nvml.setPowerLimitWatts(handle, watts);
      return Promise.resolve(result.ok ? null : nvmlText(result.code));
    },
    maySet(device) {
      const handle = handleOf(device);
      if (handle === undefined) return Promise.resolve(absent(device));
      const now = nvml.powerLimitWatts(handle);
      // To what it is: only the driver knows who has the right.
      const result = now.ok ? nvml.setPowerLimitWatts(handle, now.value) : now;
      return Promise.resolve(result.ok ? null : nvmlText(result.code));
    },
  };
}

const TIMEOUT_MS = 10_000;
const LIMITS = ['power.limit', 'power.min_limit', 'power.max_limit'];

export function smiLimiter(program = 'nvidia-smi'): PowerLimiter {
  return {
    async look(device) {
      try {
        const query = ['-i', device, `--query-gpu=${LIMITS.join(',')}`, '--format=csv,noheader,nounits'];
        const { stdout } = await run(program, query, { timeout: TIMEOUT_MS });
        const [watts = NaN, least = NaN, most = NaN] = stdout.split(',').map(Number);
        return [watts, least, most].every(Number.isFinite)
          ? { watts, least, most }
          : { reason: `nvidia-smi says ${stdout.trim()}` };
      } catch (error) {
        return { reason: lastWords(error) };
      }
    },
    async set(device, watts) {
      try {
        await run(program, ['-i', device, '-pl', String(watts)], { timeout: TIMEOUT_MS });
        return null;
      } catch (error) {
        return lastWords(error);
      }
    },
    maySet: () => Promise.resolve(process.geteuid?.() === 0 ? null : 'nvidia-smi wants root'),
  };
}

/** What the program printed at its end, or why it did not run. */
function lastWords(error: unknown): string {
  const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
  const line = `${stdout}\n${stderr}`
    .split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .at(-1);
  return `nvidia-smi: ${line ?? String(error)}`;
}
