/**
 * GPUs through `nvidia-smi`, where NVML itself cannot be loaded: one child process that prints a line a GPU and period.
 * Its columns are CSV, because the XML's names change with the driver.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { promisify } from 'node:util';
import { throttledBy, type ThrottleReason } from '../../../proto/energy.js';
import { LineSplitter } from '../host/lines.js';
import { monotonicMs } from '../host/clock.js';
import { unread, type PowerSource, type Reading } from './source.js';

const run = promisify(execFile);

const PERIOD_MS = 500;
/** A line older than this says nothing about now. */
const STALE_MS = 3_000;
const QUERY = [
  'uuid',
  'name',
  'power.draw',
  'utilization.gpu',
  'memory.used',
  'memory.total',
  'temperature.gpu',
];
/** Not known to every nvidia-smi, which refuses the whole query then. */
const FURTHER = ['clocks.sm', 'clocks.mem', 'enforced.power.limit', 'clocks_throttle_reasons.active'];
const MIB = 2 ** 20;
const MHZ = 1e6;
const LIST_TIMEOUT_MS = 10_000;

export interface SmiGpu {
  readonly id: string;
  readonly model: string;
  readonly memoryBytes: number | null;
  readonly reading: Reading;
}

export interface SmiGpus {
  readonly gpus: readonly SmiGpu[];
  /** What may be asked of this nvidia-smi. */
  readonly columns: readonly string[];
}

/** Values such as `[N/A]` and `[Not Supported]` are null. */
const number = (text: string | undefined): number | null => {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
};
const percent = (value: number | null): number | null => (value === null ? null : value / 100);
const scaled = (value: number | null, factor: number): number | null =>
  value === null ? null : value * factor;

/** One line of the query, or null when it is none. */
export function parseSmiLine(line: string): SmiGpu | null {
  const fields = line.split(',').map((field) => field.trim());
  const [uuid, name, power, utilization, used, total, temperature, clock, memoryClock, limit, throttling] =
    fields;
  const isWhole = fields.length === QUERY.length || fields.length === QUERY.length + FURTHER.length;
  if (!isWhole || uuid?.startsWith('GPU-') !== true) return null;
  const watts = number(power);
  const missing = missingOf(fields);
  return {
    id: uuid,
    model: name ?? 'NVIDIA GPU',
    memoryBytes: scaled(number(total), MIB),
    reading: {
      device: uuid,
      counterJoules: null,
      watts,
      utilization: percent(number(utilization)),
      memoryUsedBytes: scaled(number(used), MIB),
      temperatureCelsius: number(temperature),
      clockHertz: scaled(number(clock), MHZ),
      memoryClockHertz: scaled(number(memoryClock), MHZ),
      throttledBy: reasons(throttling),
      powerLimitWatts: number(limit),
      ...(missing.length === 0 ? {} : { missing }),
      problem: watts === null ? `nvidia-smi gives no power for this GPU (${String(power)})` : null,
    },
  };
}

/** What a line says that the GPU does not tell; power has a reason of its own. */
const missingOf = (fields: readonly string[]): readonly string[] =>
  [...QUERY, ...FURTHER].flatMap((column, index) => {
    const text = fields[index];
    const isTold = text === undefined || !text.startsWith('[') || column === 'power.draw';
    return isTold ? [] : [`${column}: nvidia-smi says ${text}`];
  });

function reasons(text: string | undefined): readonly ThrottleReason[] | null {
  return text !== undefined && /^0x[0-9a-f]+$/i.test(text) ? throttledBy(BigInt(text)) : null;
}

const queryArguments = (columns: readonly string[]): string[] => [
  `--query-gpu=${columns.join(',')}`,
  '--format=csv,noheader,nounits',
];

/** The GPUs that nvidia-smi lists; none where there is no nvidia-smi or no GPU. */
export async function listSmiGpus(program = 'nvidia-smi'): Promise<SmiGpus> {
  for (const columns of [[...QUERY, ...FURTHER], QUERY]) {
    try {
      const { stdout } = await run(program, queryArguments(columns), { timeout: LIST_TIMEOUT_MS });
      return { gpus: stdout.split('\n').flatMap((line) => parseSmiLine(line) ?? []), columns };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') break;
    }
  }
  return { gpus: [], columns: QUERY };
}

/** Gives lines to `onLine` until the function that it returns is called. */
export type SmiFeed = (onLine: (line: string) => void) => () => void;

/** Runs the program, and again when it ends. */
export const smiFeed =
  (program: string, columns: readonly string[]): SmiFeed =>
  (onLine) => {
    let child: ChildProcess | null = null;
    let closed = false;
    const start = (): void => {
      const started = spawn(program, [...queryArguments(columns), '-lms', String(PERIOD_MS)], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      child = started;
      const lines = new LineSplitter(onLine, 4096);
      started.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
      started.on('error', () => undefined);
      started.on('close', () => {
        if (!closed) setTimeout(() => closed || start(), STALE_MS).unref();
      });
    };
    start();
    return () => {
      closed = true;
      child?.kill();
    };
  };

export class NvidiaSmiSource implements PowerSource {
  readonly counterMethod = 'nvidia-smi';
  readonly powerMethod = 'nvidia-smi';
  readonly #latest = new Map<string, { readonly reading: Reading; readonly atMs: number }>();
  readonly #stop: () => void;

  /**
   * @param feed Gives the lines of the program, until its result is called
   * @param clock Monotonic, in milliseconds
   */
  constructor(
    readonly devices: readonly SmiGpu[],
    feed: SmiFeed,
    private readonly clock: () => number = monotonicMs,
  ) {
    this.#stop = feed((line) => {
      const gpu = parseSmiLine(line);
      if (gpu !== null) this.#latest.set(gpu.id, { reading: gpu.reading, atMs: this.clock() });
    });
  }

  read(): readonly Reading[] {
    const now = this.clock();
    return this.devices.map((gpu) => {
      const latest = this.#latest.get(gpu.id);
      if (latest !== undefined && now - latest.atMs < STALE_MS) return latest.reading;
      return { ...unread(gpu.id), problem: 'nvidia-smi has not answered' };
    });
  }

  close(): void {
    this.#stop();
  }
}
