import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Nvml } from '../../../services/trainer/power/nvml.js';
import { NvmlSource } from '../../../services/trainer/power/nvml-source.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { buildFakeNvml, type FakeNvml } from '../../support/fake-nvml.js';

const SECOND = 1_000_000_000n;

describe('GPUs through NVML', () => {
  let fake: FakeNvml;
  let nvml: Nvml;
  let meter: PowerMeter;
  let nowMs: number;
  const problems: string[] = [];

  /** Lets `seconds` pass on the library's clock and the meter's, with a sample each tenth. */
  const pass = async (seconds: number): Promise<void> => {
    for (let step = 0; step < Math.round(seconds * 10); step++) {
      nowMs += 100;
      await fake.setClock((BigInt(Math.round(nowMs)) * SECOND) / 1000n);
      meter.sample();
    }
  };
  const energy = (beginMs: number, endMs: number, gpus = [0]) =>
    meter.energyBetween(
      gpus.map((gpu) => ({ id: fake.gpus[gpu]!.uuid, share: 1 })),
      { beginMonotonicMs: beginMs, endMonotonicMs: endMs },
    );

  beforeAll(async () => {
    fake = await buildFakeNvml();
    process.env.NVML_LIBRARY_PATH = fake.libraryPath;
    const opened = await Nvml.open();
    if (!('nvml' in opened)) throw new Error(opened.reason);
    nvml = opened.nvml;
  });
  afterAll(async () => {
    Reflect.deleteProperty(process.env, 'NVML_LIBRARY_PATH');
    nvml.close();
    await fake.remove();
  });
  beforeEach(async () => {
    nowMs = 1_000;
    problems.length = 0;
    await fake.setClock(SECOND);
    for (const gpu of [0, 1])
      await fake.set(gpu, {
        watts: 100 * (gpu + 1),
        counter: true,
        power: true,
        lost: false,
        utilizationPercent: 90,
      });
    meter = new PowerMeter({
      sources: [new NvmlSource(nvml)],
      periodMs: 1e9,
      noSourceReason: 'none',
      estimateWatts: null,
      onProblem: (device, reason) => problems.push(`${device}: ${reason}`),
      clock: () => nowMs,
    });
  });
  afterEach(() => meter.close());

  it('identifies GPUs by UUID, model and memory', () => {
    expect(new NvmlSource(nvml).devices).toMatchObject([
      { id: fake.gpus[0]!.uuid, model: 'NVIDIA Fake 1000', memoryBytes: 16 * 2 ** 30 },
      { id: fake.gpus[1]!.uuid },
    ]);
    expect(nvml.driverVersion()).toBe('999.0-fake');
  });

  it('gives the joules of a stretch within 1 %, across a change of power, for one GPU and for both', async () => {
    await pass(10);
    await fake.setWatts(0, 300);
    await pass(10);
    const one = energy(5_000, 16_000);
    // 5 s to 11 s at 100 W, 11 s to 16 s at 300 W.
    expect(one.joules).toBeGreaterThan(2100 * 0.99);
    expect(one.joules).toBeLessThan(2100 * 1.01);
    expect(one.meanWatts).toBeCloseTo(one.joules! / 11, 6);
    expect(one.method).toBe('nvml-counter');
    const both = energy(5_000, 16_000, [0, 1]);
    expect(both.joules! / (2100 + 2200)).toBeCloseTo(1, 2);
  });

  it('integrates power where there is no counter', async () => {
    await fake.set(0, { counter: false });
    await pass(5);
    await fake.setWatts(0, 200);
    await pass(5);
    const reading = energy(2_000, 10_000);
    expect(reading.method).toBe('nvml-power');
    expect(reading.joules! / (4 * 100 + 4 * 200)).toBeCloseTo(1, 2);
  });

  it('bridges a counter that was set back by integrated power, and says so once', async () => {
    await pass(5);
    await fake.resetCounter(0);
    await pass(5);
    const across = energy(3_000, 9_000);
    expect(across.method).toBe('nvml-power');
    expect(across.joules! / 600).toBeCloseTo(1, 2);
    expect(energy(7_000, 9_000).method).toBe('nvml-counter');
    expect(problems.filter((text) => text.includes('backwards'))).toHaveLength(1);
  });

  it('gives null with the reason, never 0, for a GPU that is lost or has no reading', async () => {
    await pass(2);
    await fake.set(0, { lost: true });
    await pass(5);
    expect(energy(3_500, 7_000)).toEqual({
      joules: undefined,
      meanWatts: undefined,
      method: '',
      absentReason: 'NVML: the GPU is lost',
    });
    expect(energy(1_000, 7_000).coverage).toBeCloseTo(2 / 6, 1);
    expect(energy(1_000, 3_000).joules).toBeCloseTo(200, 0);
    expect(problems).toEqual([`${fake.gpus[0]!.uuid}: NVML: the GPU is lost`]);
    await fake.set(0, { lost: false, counter: false, power: false });
    await pass(3);
    expect(energy(8_500, 11_000).absentReason).toBe('NVML: not supported by this GPU');
    // One GPU of two without a reading: there is no sum.
    expect(energy(8_500, 11_000, [0, 1]).joules).toBeUndefined();
  });

  it('gives no energy for a stretch that began before the meter', async () => {
    await pass(5);
    expect(energy(-5_000, 4_000).absentReason).toBe('the power meter did not run during the whole of it');
  });

  it('averages utilisation over a stretch', async () => {
    await pass(5);
    await fake.set(0, { utilizationPercent: 50 });
    await pass(5);
    const mean = meter.utilizationBetween([{ id: fake.gpus[0]!.uuid, share: 1 }], {
      beginMonotonicMs: 1_000,
      endMonotonicMs: 11_000,
    });
    expect(mean).toBeCloseTo(0.7, 1);
  });

  it('tells clocks, throttling and power limit, and once what a GPU never tells', async () => {
    await fake.set(0, { clockMhz: 1110, throttling: 0x44 });
    await fake.set(1, { clocks: false, limit: false });
    await pass(3);
    const [first, second] = meter.now();
    expect(first).toMatchObject({
      clockHertz: 1.11e9,
      memoryClockHertz: 5e9,
      throttledBy: ['power_cap', 'hardware_thermal'],
      powerLimitWatts: 300,
    });
    const nothing = { clockHertz: null, memoryClockHertz: null, throttledBy: null, powerLimitWatts: null };
    expect(second).toMatchObject({ ...nothing, watts: 200, temperatureCelsius: 60 });
    expect(problems).toEqual(
      ['clock', 'memory clock', 'throttle reasons', 'power limit'].map(
        (what) => `${fake.gpus[1]!.uuid}: ${what}: not supported by this GPU`,
      ),
    );
    await fake.set(0, { throttling: 0 });
    await fake.set(1, { clocks: true, limit: true });
    await pass(1.1);
    expect(meter.now()[0]!.throttledBy).toEqual([]);
    expect(nvml.libraryVersion()).toBe('12.999.0');
    expect(nvml.cudaVersion()).toBe('12.4');
  });

  it('shows the devices for telemetry', async () => {
    await pass(2);
    expect(meter.now()).toMatchObject([
      { device: fake.gpus[0]!.uuid, watts: 100, method: 'nvml-counter', temperatureCelsius: 60 },
      { device: fake.gpus[1]!.uuid, watts: 200, utilization: 0.9, memoryUsedBytes: 2 * 2 ** 30 },
    ]);
    expect(meter.now()[0]!.joulesSinceStart).toBeCloseTo(200, 0);
  });
});
