/** Scripted power: what the meter says of attempts and epochs is within 1 % of the integral, or null with a reason. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PowerMeter } from '../../../services/trainer/power/meter.js';
import { NvidiaSmiSource, parseSmiLine } from '../../../services/trainer/power/nvidia-smi.js';
import { NvmlSource } from '../../../services/trainer/power/nvml-source.js';
import { Nvml } from '../../../services/trainer/power/nvml.js';
import { hwmonPower, ProcessorSource, raplPower } from '../../../services/trainer/power/processor.js';
import { buildFakeNvml } from '../../support/fake-nvml.js';
import {
  BEGIN_MS,
  type Curve,
  SECONDS,
  STEP_MS,
  constant,
  expectCurve,
  expectJoules,
  factsOf,
  openMeter,
  ramp,
  runMinute,
  stage,
  steps,
  wave,
  useStage,
} from './curves.js';

useStage();

describe('eight GPUs through NVML', { timeout: 60_000 }, () => {
  it('each has its own curve; counters that go back, lost GPUs and fields that are not there are told', async () => {
    const curves = [
      constant(70),
      steps(50, 320, 23.7),
      ramp(40, 5),
      wave(200, 120, 4.3),
      // Its energy counter is set back after 25 s.
      ramp(300, -3),
      // No counter.
      wave(150, 60, 11),
      // No power.
      steps(250, 90, 41.2),
      // Lost after 30 s.
      constant(180),
    ];
    const fake = await buildFakeNvml({ gpus: 8, watts: curves.map(({ watts }) => watts(0)) });
    process.env.NVML_LIBRARY_PATH = fake.libraryPath;
    const opened = await Nvml.open();
    Reflect.deleteProperty(process.env, 'NVML_LIBRARY_PATH');
    if (!('nvml' in opened)) throw new Error(opened.reason);
    const at = (second: number): bigint => BigInt(Math.round(BEGIN_MS + second * 1000)) * 1_000_000n;
    await fake.setClock(at(0));
    await fake.set(5, { counter: false });
    await fake.set(6, { power: false });
    const source = new NvmlSource(opened.nvml);
    expect(source.devices.map(({ id }) => id)).toEqual(fake.gpus.map(({ uuid }) => uuid));
    const eight = openMeter([source]);
    let isReset = false;
    await runMinute(
      eight,
      async (second) => {
        // The middle of the step to come stands for the whole of it.
        const middle = second + STEP_MS / 2000;
        await fake.step(
          at(second),
          curves.map(({ watts }) => watts(middle)),
        );
        if (second >= 25 && !isReset) {
          isReset = true;
          await fake.resetCounter(4);
        }
        if (second >= 30 && !fake.gpus[7]!.lost) await fake.set(7, { lost: true });
      },
      STEP_MS,
    );
    const uuids = fake.gpus.map(({ uuid }) => uuid);
    const facts = uuids.map((uuid) => factsOf(eight, [uuid]));

    for (const gpu of [0, 1, 2, 3, 6]) expectCurve(facts[gpu]!, curves[gpu]!, 'nvml-counter');
    expectCurve(facts[5]!, curves[5]!, 'nvml-power');
    for (const gpu of [0, 1, 2, 3]) {
      expect(facts[gpu]!.attempt.samplesPerSecond).toBeCloseTo(5, 1);
      expect(facts[gpu]!.attempt.disagreement).toBeLessThan(0.02);
      expect(facts[gpu]!.attempt.coverage).toBeUndefined();
      // What is as it should be is not told again with every epoch.
      expect(facts[gpu]!.epochs[0]!.train).not.toHaveProperty('samplesPerSecond');
      expect(facts[gpu]!.epochs[0]!.train).not.toHaveProperty('disagreement');
    }
    for (const gpu of [5, 6]) expect(facts[gpu]!.attempt).not.toHaveProperty('disagreement');

    // Integrated power bridges the reset where it matters; what it does not touch keeps to the counter.
    const across = facts[4]!;
    expectJoules(across.attempt, curves[4]!.joules(0, SECONDS), 'nvml-counter');
    expect(across.attempt.coverage).toBeCloseTo(1 - 0.2 / SECONDS, 4);
    expectJoules(across.epochs[2]!.train, curves[4]!.joules(20, 27.3), 'nvml-power');
    for (const index of [0, 1, 3, 4, 5])
      expectJoules(
        across.epochs[index]!.train,
        curves[4]!.joules(index * 10, index * 10 + 7.3),
        'nvml-counter',
      );

    const lost = facts[7]!;
    for (const index of [0, 1, 2]) expectJoules(lost.epochs[index]!.train, 180 * 7.3, 'nvml-counter');
    for (const index of [3, 4, 5])
      expect(lost.epochs[index]!.train).toMatchObject({
        joules: undefined,
        method: '',
        absentReason: 'NVML: the GPU is lost',
      });
    expect(lost.attempt).toMatchObject({ joules: undefined, absentReason: 'NVML: the GPU is lost' });
    expect(lost.attempt.coverage).toBeCloseTo(0.5, 1);
    expect(stage.problems).toEqual([
      `${uuids[5]!}: energy counter: not supported by this GPU`,
      `${uuids[6]!}: power: not supported by this GPU`,
      `${uuids[4]!}: its energy counter went backwards (driver reload); integrated power bridges it`,
      `${uuids[7]!}: NVML: the GPU is lost`,
    ]);

    // Several GPUs of one attempt, and slots that share one.
    const four = factsOf(eight, uuids.slice(0, 4)).attempt;
    const sum = curves.slice(0, 4).reduce((all, { joules }) => all + joules(0, SECONDS), 0);
    expectJoules(four, sum, 'nvml-counter');
    expectJoules(factsOf(eight, uuids.slice(4, 6)).attempt, sumOf(curves.slice(4, 6)), 'nvml-power');
    expectJoules(factsOf(eight, [uuids[1]!], 0.25).attempt, curves[1]!.joules(0, 60) / 4, 'nvml-counter');
    expect(factsOf(eight, [uuids[0]!, uuids[7]!]).attempt.joules).toBeUndefined();
    await fake.remove();
  });
  const sumOf = (curves: readonly Curve[]): number =>
    curves.reduce((all, { joules }) => all + joules(0, SECONDS), 0);
});

describe('the text of nvidia-smi', () => {
  it('is integrated; a GPU without power, and one that falls silent, are null with the reason', async () => {
    const curves = [steps(60, 250, 31.1), ramp(50, 4)];
    const line = (gpu: number, power: string): string =>
      `GPU-${String(gpu)}, NVIDIA X, ${power}, 90, 1000, 8000, 55`;
    const gpus = [0, 1, 2].map((gpu) => parseSmiLine(line(gpu, '1.0'))!);
    let say: (text: string) => void = () => undefined;
    const feed = (onLine: (text: string) => void) => {
      say = onLine;
      return () => undefined;
    };
    const sayAll = (second: number): void => {
      for (const [gpu, { watts }] of curves.entries())
        if (gpu === 0 || second < 40) say(line(gpu, watts(second).toFixed(2)));
      say(line(2, '[N/A]'));
      say('No devices were found');
    };
    const source = new NvidiaSmiSource(gpus, feed, () => stage.nowMs);
    sayAll(0);
    const smi = openMeter([source]);
    await runMinute(smi, sayAll);
    expectCurve(factsOf(smi, ['GPU-0']), curves[0]!, 'nvidia-smi');
    const silent = factsOf(smi, ['GPU-1']);
    for (const index of [0, 1, 2, 3])
      expectJoules(
        silent.epochs[index]!.train,
        curves[1]!.joules(index * 10, index * 10 + 7.3),
        'nvidia-smi',
      );
    expect(silent.epochs[5]!.train).toMatchObject({
      joules: undefined,
      absentReason: 'nvidia-smi has not answered',
    });
    expect(silent.attempt.joules).toBeUndefined();
    const none = factsOf(smi, ['GPU-2']).attempt;
    expect(none).toMatchObject({
      joules: undefined,
      absentReason: 'nvidia-smi gives no power for this GPU ([N/A])',
    });
    expect(stage.problems).toHaveLength(2);
  });
});

describe('trees of the kernel', { timeout: 60_000 }, () => {
  const zone = async (name: string, label: string, range: number): Promise<string> => {
    await mkdir(join(stage.root, name), { recursive: true });
    await writeFile(join(stage.root, name, 'name'), `${label}\n`);
    await writeFile(join(stage.root, name, 'max_energy_range_uj'), `${range}\n`);
    return join(stage.root, name, 'energy_uj');
  };

  it('RAPL: two packages whose counters wrap again and again; core and psys are not added', async () => {
    const curves = [wave(80, 30, 7), ramp(20, 1)];
    // 300 J: more than any package draws between two samples, and less than an epoch.
    const range = 300e6;
    const files = [
      await zone('intel-rapl:0', 'package-0', range),
      await zone('intel-rapl:1', 'package-1', range),
    ];
    const others = [await zone('intel-rapl:0:0', 'core', range), await zone('intel-rapl:2', 'psys', range)];
    const show = (second: number): void => {
      files.forEach((file, index) => {
        const microjoules = 250e6 + curves[index]!.joules(0, second) * 1e6;
        writeFileSync(file, `${Math.floor(microjoules % range)}\n`);
      });
      for (const other of others) writeFileSync(other, `${second * 1e9}\n`);
    };
    show(0);
    const rapl = openMeter([new ProcessorSource(raplPower(stage.root))]);
    await runMinute(rapl, show);
    const both = {
      watts: () => NaN,
      joules: (from: number, to: number) => curves.reduce((sum, { joules }) => sum + joules(from, to), 0),
    };
    const facts = factsOf(rapl, ['cpu']);
    expectCurve(facts, both, 'rapl');
    expect(stage.problems).toEqual([]);
  });

  it('RAPL that only stage.root may read: null, and what to do about it, once', async () => {
    const file = await zone('intel-rapl:0', 'package-0', 1e9);
    writeFileSync(file, '1\n');
    chmodSync(file, 0o400);
    chmodSync(stage.root, 0o755);
    const isRoot = process.geteuid?.() === 0;
    let denied: PowerMeter;
    try {
      // Root may read everything.
      if (isRoot) process.seteuid!(65_534);
      else chmodSync(file, 0);
      denied = openMeter([new ProcessorSource(raplPower(stage.root))]);
      await runMinute(denied, () => undefined);
    } finally {
      if (isRoot) process.seteuid!(0);
    }
    const { attempt, epochs } = factsOf(denied, ['cpu']);
    for (const energy of [attempt, epochs[0]!.train, epochs[5]!.evaluation]) {
      expect(energy.joules).toBeUndefined();
      expect(energy.absentReason).toContain(`sudo chmod a+r ${file}`);
    }
    expect(stage.problems).toHaveLength(1);
  });

  it("hwmon: sockets' counters of AMD, and watts where there is no counter", async () => {
    await mkdir(join(stage.root, 'hwmon1'));
    await writeFile(join(stage.root, 'hwmon1', 'name'), 'amd_energy\n');
    const curve = steps(45, 160, 12.9);
    for (const [number, label] of [
      [1, 'Ecore000'],
      [2, 'Esocket0'],
      [3, 'Esocket1'],
    ] as const)
      await writeFile(join(stage.root, 'hwmon1', `energy${number}_label`), `${label}\n`);
    const show = (second: number): void => {
      for (const number of [1, 2, 3])
        writeFileSync(
          join(stage.root, 'hwmon1', `energy${number}_input`),
          `${Math.round(curve.joules(0, second) * 0.5e6)}\n`,
        );
    };
    show(0);
    const amd = openMeter([new ProcessorSource(hwmonPower(stage.root))]);
    await runMinute(amd, show);
    expectCurve(factsOf(amd, ['cpu']), curve, 'hwmon');
    amd.close();

    await rm(join(stage.root, 'hwmon1'), { recursive: true });
    await mkdir(join(stage.root, 'hwmon0'));
    await writeFile(join(stage.root, 'hwmon0', 'name'), 'zenpower\n');
    const power = ramp(30, 1.5);
    const file = join(stage.root, 'hwmon0', 'power1_input');
    const showPower = (second: number): void =>
      writeFileSync(file, `${Math.round(power.watts(second) * 1e6)}\n`);
    stage.nowMs = BEGIN_MS;
    showPower(0);
    const zen = openMeter([new ProcessorSource(hwmonPower(stage.root))]);
    await runMinute(zen, showPower);
    expectCurve(factsOf(zen, ['cpu']), power, 'hwmon');
  });
});
