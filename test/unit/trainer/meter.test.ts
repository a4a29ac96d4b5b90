import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PowerMeter, type MeterOptions } from '../../../services/trainer/power/meter.js';
import {
  listSmiGpus,
  NvidiaSmiSource,
  parseSmiLine,
  smiFeed,
} from '../../../services/trainer/power/nvidia-smi.js';
import { readProblem } from '../../../services/trainer/power/kernel-files.js';
import { hwmonPower, ProcessorSource, raplPower } from '../../../services/trainer/power/processor.js';
import { unread, type PowerSource, type Reading } from '../../../services/trainer/power/source.js';

/** A source whose readings the test sets. */
function scripted(): PowerSource & { reading: Partial<Reading> } {
  const source = {
    devices: [{ id: 'gpu', model: 'Model' }],
    counterMethod: 'nvml-counter' as const,
    powerMethod: 'nvml-power' as const,
    reading: {} as Partial<Reading>,
    read: (): Reading[] => [
      {
        ...unread('gpu'),
        ...source.reading,
      },
    ],
    close: () => undefined,
  };
  return source;
}

let nowMs = 0;
const meterOf = (options: Partial<MeterOptions>): PowerMeter =>
  new PowerMeter({
    sources: [],
    periodMs: 1e9,
    noSourceReason: 'nothing reads the power of this box',
    estimateWatts: null,
    clock: () => nowMs,
    ...options,
  });
const between = (beginMonotonicMs: number, endMonotonicMs: number) => ({ beginMonotonicMs, endMonotonicMs });

beforeEach(() => {
  nowMs = 0;
});

describe('the power meter', () => {
  it('reads a stretch of days from its coarse samples', () => {
    const source = scripted();
    source.reading = { counterJoules: 0 };
    const meter = meterOf({ sources: [source] });
    // 30 hours at one sample a second: the fine samples reach back 3.3 hours. Power is 50 W, then 150 W.
    let joules = 0;
    for (let second = 1; second <= 108_000; second++) {
      nowMs = second * 1000;
      joules += second <= 54_000 ? 50 : 150;
      source.reading = { counterJoules: joules };
      meter.sample();
    }
    const whole = meter.energyBetween([{ id: 'gpu', share: 1 }], between(3_456, 107_654_321));
    expect(whole.joules! / (50 * (54_000 - 3.456) + 150 * (107_654.321 - 54_000))).toBeCloseTo(1, 4);
    const early = meter.energyBetween([{ id: 'gpu', share: 1 }], between(1_003_000, 1_013_000));
    expect(early.joules).toBeCloseTo(500, 3);
    meter.close();
  });

  it('says null where readings are missing for more than 1 % of a stretch', () => {
    const source = scripted();
    const meter = meterOf({ sources: [source] });
    source.reading = { watts: 100 };
    for (const ms of [1_000, 2_000, 3_000, 8_000, 9_000, 10_000]) {
      nowMs = ms;
      meter.sample();
    }
    const gpu = [{ id: 'gpu', share: 1 }];
    expect(meter.energyBetween(gpu, between(1_000, 3_000)).joules).toBeCloseTo(200);
    expect(meter.energyBetween(gpu, between(8_000, 10_000)).joules).toBeCloseTo(200);
    expect(meter.energyBetween(gpu, between(1_000, 10_000)).absentReason).toBe(
      'the device could not be read during the whole of it',
    );
    expect(meter.energyBetween(gpu, between(2_000, 2_000)).joules).toBeUndefined();
    meter.close();
  });

  it('gives a slot its share of a device', () => {
    const source = scripted();
    source.reading = { watts: 100 };
    const meter = meterOf({ sources: [source] });
    nowMs = 1_000;
    meter.sample();
    expect(meter.energyBetween([{ id: 'gpu', share: 0.25 }], between(0, 1_000))).toMatchObject({
      joules: 25,
      meanWatts: 25,
    });
    meter.close();
  });

  it('estimates only where it was asked to, and labels it', () => {
    const device = [{ id: 'cpu', share: 0.5 }];
    const none = meterOf({});
    expect(none.energyBetween(device, between(0, 1_000))).toEqual({
      joules: undefined,
      meanWatts: undefined,
      method: '',
      absentReason: 'nothing reads the power of this box',
    });
    expect(none.methodOf('cpu')).toBe('');
    const estimating = meterOf({ estimateWatts: 40 });
    expect(estimating.energyBetween(device, between(0, 1_000))).toEqual({
      joules: 20,
      meanWatts: 20,
      method: 'estimate',
      absentReason: '',
      share: 0.5,
    });
    expect(estimating.methodOf('cpu')).toBe('estimate');
  });

  it('samples at the end of a stretch that has just passed', () => {
    const source = scripted();
    source.reading = { watts: 100 };
    const meter = meterOf({ sources: [source] });
    nowMs = 400;
    meter.sampleAfter(400);
    expect(meter.energyBetween([{ id: 'gpu', share: 1 }], between(0, 400)).joules).toBeCloseTo(40);
    // A sample that is there already is not made again.
    nowMs = 450;
    meter.sampleAfter(400);
    expect(meter.energyBetween([{ id: 'gpu', share: 1 }], between(0, 450)).joules).toBeUndefined();
    meter.close();
  });

  it('samples again when a stretch ended while the devices were read', () => {
    const source = scripted();
    source.reading = { watts: 100 };
    // The second device answers slowly.
    const slow: PowerSource = {
      ...scripted(),
      devices: [],
      read: () => {
        nowMs += 50;
        return [];
      },
    };
    const meter = meterOf({ sources: [source, slow] });
    nowMs = 400;
    meter.sample();
    meter.sampleAfter(440);
    expect(meter.energyBetween([{ id: 'gpu', share: 1 }], between(0, 440)).joules).toBeCloseTo(44);
    meter.close();
  });

  it('tells watts by the counter where power itself is not read', () => {
    const source = scripted();
    source.reading = { counterJoules: 0 };
    const meter = meterOf({ sources: [source] });
    for (let tenth = 1; tenth <= 20; tenth++) {
      nowMs = tenth * 100;
      source.reading = { counterJoules: tenth * 7 };
      meter.sample();
    }
    expect(meter.now()[0]).toMatchObject({ watts: 70, method: 'nvml-counter', joulesSinceStart: 140 });
    meter.close();
  });
});

describe('processors', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'wattsweep-power-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const zone = async (name: string, label: string, microjoules: number, range = 1_000_000): Promise<void> => {
    await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, name, 'name'), `${label}\n`);
    await writeFile(join(root, name, 'energy_uj'), `${microjoules}\n`);
    await writeFile(join(root, name, 'max_energy_range_uj'), `${range}\n`);
  };

  it('sums the packages of RAPL and survives their wrap-around', async () => {
    await zone('intel-rapl:0', 'package-0', 900_000);
    await zone('intel-rapl:1', 'package-1', 100_000);
    await zone('intel-rapl:2', 'psys', 5_000_000);
    await zone('intel-rapl:0:0', 'core', 400_000);
    const meter = meterOf({ sources: [new ProcessorSource(raplPower(root))] });
    nowMs = 1_000;
    await zone('intel-rapl:0', 'package-0', 200_000);
    await zone('intel-rapl:1', 'package-1', 400_000);
    meter.sample();
    const energy = meter.energyBetween([{ id: 'cpu', share: 1 }], between(0, 1_000));
    expect(energy.joules).toBeCloseTo(0.6, 9);
    expect(energy.method).toBe('rapl');
    meter.close();
  });

  it('says why a counter cannot be read, and how to allow it', async () => {
    await zone('intel-rapl:0', 'package-0', 900_000);
    await rm(join(root, 'intel-rapl:0', 'energy_uj'));
    expect(raplPower(root)?.read().joules).toBeNull();
    expect(raplPower(root)?.read().problem).toContain('cannot be read');
    await writeFile(join(root, 'intel-rapl:0', 'energy_uj'), '\n');
    const empty = raplPower(root)?.read();
    expect(empty).toMatchObject({
      joules: null,
      problem: expect.stringContaining('holds no number') as string,
    });
    // Root may read everything, so the refusal itself is made up here.
    expect(readProblem('/x', Object.assign(new Error('denied'), { code: 'EACCES' }))).toContain(
      'chmod a+r /x',
    );
  });

  it('reads the sockets of amd_energy, and watts where hwmon has no counter', async () => {
    await mkdir(join(root, 'hwmon0'));
    await writeFile(join(root, 'hwmon0', 'name'), 'nvme\n');
    await mkdir(join(root, 'hwmon1'));
    await writeFile(join(root, 'hwmon1', 'name'), 'amd_energy\n');
    await writeFile(join(root, 'hwmon1', 'energy1_label'), 'Ecore000\n');
    await writeFile(join(root, 'hwmon1', 'energy1_input'), '111\n');
    await writeFile(join(root, 'hwmon1', 'energy9_label'), 'Esocket0\n');
    await writeFile(join(root, 'hwmon1', 'energy9_input'), '2500000\n');
    expect(hwmonPower(root)?.read()).toEqual({ joules: 2.5, watts: null, problem: null });
    await rm(join(root, 'hwmon1'), { recursive: true });
    await mkdir(join(root, 'hwmon2'));
    await writeFile(join(root, 'hwmon2', 'name'), 'zenpower\n');
    await writeFile(join(root, 'hwmon2', 'power1_input'), '42000000\n');
    expect(hwmonPower(root)?.read()).toEqual({ joules: null, watts: 42, problem: null });
    expect(hwmonPower(join(root, 'none'))).toBeNull();
  });

  it('has no reading, with the reason, where the machine shows no counter', () => {
    const meter = meterOf({ sources: [new ProcessorSource(null)] });
    nowMs = 1_000;
    meter.sample();
    const energy = meter.energyBetween([{ id: 'cpu', share: 1 }], between(0, 1_000));
    expect(energy.joules).toBeUndefined();
    expect(energy.absentReason).toContain('no energy counter');
    meter.close();
  });
});

describe('nvidia-smi', () => {
  it('reads its lines, with null for what a GPU does not support', () => {
    expect(parseSmiLine('GPU-1, NVIDIA X, 71.25, 35, 1024, 8192, 55')).toEqual({
      id: 'GPU-1',
      model: 'NVIDIA X',
      memoryBytes: 8192 * 2 ** 20,
      reading: {
        ...unread('GPU-1'),
        watts: 71.25,
        utilization: 0.35,
        memoryUsedBytes: 2 ** 30,
        temperatureCelsius: 55,
      },
    });
    expect(parseSmiLine('GPU-1, NVIDIA X, [N/A], [Not Supported], 1, 2, 55')?.reading).toMatchObject({
      watts: null,
      utilization: null,
      problem: 'nvidia-smi gives no power for this GPU ([N/A])',
    });
    const full = 'GPU-1, NVIDIA X, 71.25, 35, 1024, 8192, 55, 1410, 1215, 250.00, 0x0000000000000024';
    expect(parseSmiLine(full)?.reading).toMatchObject({
      clockHertz: 1.41e9,
      memoryClockHertz: 1.215e9,
      powerLimitWatts: 250,
      throttledBy: ['power_cap', 'thermal'],
    });
    const laptop = 'GPU-1, NVIDIA X, 71.25, 35, 1024, 8192, 55, 1410, 1215, [N/A], 0x0000000000000000';
    expect(parseSmiLine(laptop)?.reading).toMatchObject({
      powerLimitWatts: null,
      throttledBy: [],
      missing: ['enforced.power.limit: nvidia-smi says [N/A]'],
      problem: null,
    });
    expect(parseSmiLine('Failed to initialize NVML: Driver/library version mismatch')).toBeNull();
  });

  it('runs the program and integrates what it prints', async () => {
    const root = await mkdtemp(join(tmpdir(), 'wattsweep-smi-'));
    const program = join(root, 'nvidia-smi');
    await writeFile(
      program,
      `#!/bin/sh\ncase "$*" in *throttle*) exit 2;; esac\nline='GPU-1, NVIDIA X, 60.0, 50, 100, 8192, 55'\necho "$line"\ncase "$*" in *-lms*) while sleep 0.05; do echo "$line"; done;; esac\n`,
    );
    await chmod(program, 0o755);
    // An older one, which does not know all columns.
    const { gpus, columns } = await listSmiGpus(program);
    expect(gpus).toHaveLength(1);
    expect((await listSmiGpus(join(root, 'absent'))).gpus).toEqual([]);
    const source = new NvidiaSmiSource(gpus, smiFeed(program, columns));
    const meter = new PowerMeter({
      sources: [source],
      periodMs: 20,
      noSourceReason: '',
      estimateWatts: null,
    });
    await expect.poll(() => source.read()[0]!.watts, { timeout: 5_000 }).toBe(60);
    const begin = Number(process.hrtime.bigint()) / 1e6 + 50;
    await new Promise((resolve) => setTimeout(resolve, 450));
    meter.sampleAfter(begin + 300);
    const energy = meter.energyBetween([{ id: 'GPU-1', share: 1 }], between(begin, begin + 300));
    expect(energy.joules).toBeCloseTo(18, 1);
    expect(energy.method).toBe('nvidia-smi');
    meter.close();
    await rm(root, { recursive: true, force: true });
  });
});
