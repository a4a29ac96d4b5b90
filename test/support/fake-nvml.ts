/**
 * Builds a `libnvidia-ml.so` with scripted GPUs (fake-nvml.c), so that watts can be tested where there is no GPU.
 * Point a trainer at it with `env`; change what its GPUs do while the trainer runs.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface FakeGpu {
  watts: number;
  /** 0 to 100. */
  utilizationPercent: number;
  memoryUsedBytes: number;
  memoryTotalBytes: number;
  temperatureCelsius: number;
  uuid: string;
  name: string;
  /** False: the GPU has no energy counter, as before Volta. */
  counter: boolean;
  /** False: the GPU has no power reading. */
  power: boolean;
  utilization: boolean;
  lost: boolean;
  /** False: nobody may set its power limit, as without root. */
  mayLimit: boolean;
  clocks: boolean;
  /** False: it has no power limit, as laptops have none. */
  limit: boolean;
  clockMhz: number;
  /** Bits of nvmlClocksEventReasons. */
  throttling: number;
}

export interface FakeNvml {
  readonly libraryPath: string;
  /** Environment for a trainer process: NVML_LIBRARY_PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly gpus: readonly Readonly<FakeGpu>[];
  /** The GPU draws `watts` from now on; its energy counter goes on from where it stands. */
  setWatts(gpu: number, watts: number): Promise<void>;
  /** Changes anything else of one GPU. */
  set(gpu: number, change: Partial<FakeGpu>): Promise<void>;
  /** Sets the energy counter back to 0, as a reload of the driver does. */
  resetCounter(gpu: number): Promise<void>;
  /** Watts of the power limit that the GPU has now. */
  limitWatts(gpu: number): number;
  /** Joules on the energy counter now. */
  joules(gpu: number): number;
  /** Steps the library's clock by hand from now on, in nanoseconds; null returns to the host's monotonic clock. */
  setClock(nanoseconds: bigint | null): Promise<void>;
  /** Steps the clock, and changes the watts of the GPUs, with one write: `watts[i]` from now on. */
  step(nanoseconds: bigint, watts: readonly number[]): Promise<void>;
  remove(): Promise<void>;
}

interface State extends FakeGpu {
  baseMillijoules: number;
  baseNanoseconds: bigint;
}

/**
 * Compiles the library with gcc into a new temporary folder.
 *
 * @param options.gpus number of GPUs, 2 unless told otherwise
 * @param options.watts watts that each GPU draws at first, 100 and 200 for the first two
 */
export async function buildFakeNvml(
  options: { gpus?: number; watts?: readonly number[] } = {},
): Promise<FakeNvml> {
  const directory = await mkdtemp(join(tmpdir(), 'fake-nvml-'));
  const libraryPath = join(directory, 'libnvidia-ml.so.1');
  const stateFile = join(directory, 'state');
  let clock: bigint | null = null;
  const now = (): bigint => clock ?? process.hrtime.bigint();

  const states: State[] = Array.from({ length: options.gpus ?? 2 }, (_unused, index) => ({
    watts: options.watts?.[index] ?? 100 * (index + 1),
    utilizationPercent: 90,
    memoryUsedBytes: 2 * 2 ** 30,
    memoryTotalBytes: 16 * 2 ** 30,
    temperatureCelsius: 60,
    uuid: `GPU-fake0000-0000-0000-0000-00000000000${index.toString(16)}`,
    name: 'NVIDIA Fake 1000',
    counter: true,
    power: true,
    utilization: true,
    lost: false,
    mayLimit: true,
    clocks: true,
    limit: true,
    clockMhz: 1500,
    throttling: 0,
    baseMillijoules: 1_000_000,
    baseNanoseconds: now(),
  }));

  const millijoules = (state: State): number =>
    state.baseMillijoules + (state.watts * Number(now() - state.baseNanoseconds)) / 1e6;

  const write = async (): Promise<void> => {
    const lines = states.map((s) => {
      const lacks = [!s.counter, !s.power, !s.utilization, s.lost, !s.mayLimit, !s.clocks, !s.limit];
      const flags = lacks.reduce((bits, isSet, bit) => bits | (Number(isSet) << bit), 0);
      return `gpu ${String(s.watts)} ${String(s.baseMillijoules)} ${String(s.baseNanoseconds)} ${String(s.utilizationPercent)} ${String(s.memoryUsedBytes)} ${String(s.memoryTotalBytes)} ${String(s.temperatureCelsius)} ${String(flags)} ${String(s.clockMhz)} ${String(s.throttling)} ${s.uuid} ${s.name}`;
    });
    await writeFile(`${stateFile}.new`, [`clock ${String(clock ?? 0n)}`, ...lines, ''].join('\n'));
    await rename(`${stateFile}.new`, stateFile);
  };

  const state = (gpu: number): State => {
    const found = states[gpu];
    if (found === undefined) throw new RangeError(`no fake GPU ${String(gpu)}`);
    return found;
  };

  const rebase = (s: State): void => {
    s.baseMillijoules = millijoules(s);
    s.baseNanoseconds = now();
  };

  await write();
  const source = fileURLToPath(new URL('./fake-nvml.c', import.meta.url));
  await run('gcc', ['-O1', '-shared', '-fPIC', `-DSTATE_FILE="${stateFile}"`, '-o', libraryPath, source]);

  return {
    libraryPath,
    env: { NVML_LIBRARY_PATH: libraryPath },
    gpus: states,
    async setWatts(gpu, watts) {
      rebase(state(gpu));
      state(gpu).watts = watts;
      await write();
    },
    async set(gpu, change) {
      rebase(state(gpu));
      Object.assign(state(gpu), change);
      await write();
    },
    async resetCounter(gpu) {
      state(gpu).baseMillijoules = 0;
      state(gpu).baseNanoseconds = now();
      await write();
    },
    limitWatts: (gpu) => {
      const file = `${stateFile}.limit.${String(gpu)}`;
      return existsSync(file) ? Number(readFileSync(file, 'utf8')) / 1000 : 300;
    },
    joules: (gpu) => millijoules(state(gpu)) / 1000,
    async setClock(nanoseconds) {
      if (clock === null) for (const s of states) rebase(s);
      const before = states.map((s) => millijoules(s));
      const hadClock = clock !== null;
      clock = nanoseconds;
      if (!hadClock || nanoseconds === null)
        states.forEach((s, index) => {
          s.baseMillijoules = before[index] ?? 0;
          s.baseNanoseconds = now();
        });
      await write();
    },
    async step(nanoseconds, watts) {
      clock = nanoseconds;
      watts.forEach((value, gpu) => {
        rebase(state(gpu));
        state(gpu).watts = value;
      });
      await write();
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
