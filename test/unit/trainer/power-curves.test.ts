/** Scripted power: what the meter says of attempts and epochs is within 1 % of the integral, or null with a reason. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Energy } from '../../../proto/gen/wattsweep/v1/facts.js';
import { ended, epoch, type FactContext } from '../../../services/trainer/attempts/facts.js';
import { IdleWatts } from '../../../services/trainer/power/idle.js';
import { MeterMemory } from '../../../services/trainer/power/memory.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { NvidiaSmiSource, parseSmiLine } from '../../../services/trainer/power/nvidia-smi.js';
import { NvmlSource } from '../../../services/trainer/power/nvml-source.js';
import { Nvml } from '../../../services/trainer/power/nvml.js';
import { hwmonPower, ProcessorSource, raplPower } from '../../../services/trainer/power/processor.js';
import { unread, type PowerSource } from '../../../services/trainer/power/source.js';
import { buildFakeNvml } from '../../support/fake-nvml.js';

/** Watts at a second, and the joules of a stretch. */
interface Curve {
  readonly watts: (second: number) => number;
  readonly joules: (from: number, to: number) => number;
}

const constant = (watts: number): Curve => ({
  watts: () => watts,
  joules: (from, to) => watts * (to - from),
});
const steps = (low: number, high: number, at: number): Curve => ({
  watts: (second) => (second < at ? low : high),
  joules: (from, to) =>
    low * Math.max(0, Math.min(to, at) - from) + high * Math.max(0, to - Math.max(from, at)),
});
const ramp = (begin: number, perSecond: number): Curve => ({
  watts: (second) => begin + perSecond * second,
  joules: (from, to) => begin * (to - from) + (perSecond * (to ** 2 - from ** 2)) / 2,
});
const wave = (mean: number, swing: number, period: number): Curve => {
  const turn = (2 * Math.PI) / period;
  return {
    watts: (second) => mean + swing * Math.sin(turn * second),
    joules: (from, to) => mean * (to - from) - (swing / turn) * (Math.cos(turn * to) - Math.cos(turn * from)),
  };
};

const BEGIN_MS = 50_000;
const SECONDS = 60;
/** Time between two changes of power, and between two samples. */
const STEP_MS = 50;
const SAMPLE_MS = 200;
/** Training of each epoch, then its evaluation: 7.3 s and 2.1 s, with 0.6 s between two epochs. */
const EPOCHS = Array.from({ length: 6 }, (_unused, index) => ({
  epoch: index + 1,
  train: { from: index * 10, to: index * 10 + 7.3 },
  evaluation: { from: index * 10 + 7.3, to: index * 10 + 9.4 },
}));

let nowMs = BEGIN_MS;
let meter: PowerMeter | null = null;
let root: string;
const problems: string[] = [];
beforeEach(async () => {
  nowMs = BEGIN_MS;
  problems.length = 0;
  root = await mkdtemp(join(tmpdir(), 'wattsweep-curves-'));
});
afterEach(async () => {
  meter?.close();
  await rm(root, { recursive: true, force: true });
});

const openMeter = (sources: readonly PowerSource[], memory?: MeterMemory): PowerMeter =>
  (meter = new PowerMeter({
    sources,
    periodMs: 1e9,
    noSourceReason: 'none',
    estimateWatts: null,
    clock: () => nowMs,
    onProblem: (device, reason) => problems.push(`${device}: ${reason}`),
    ...(memory === undefined ? {} : { memory }),
  }));
const secondNow = (): number => (nowMs - BEGIN_MS) / 1000;

/** Lets a minute pass. `before` prepares what the devices show at a moment. */
async function runMinute(
  at: PowerMeter,
  before: (second: number) => void | Promise<void>,
  stepMs = SAMPLE_MS,
): Promise<void> {
  for (let passed = stepMs; passed <= SECONDS * 1000; passed += stepMs) {
    nowMs = BEGIN_MS + passed;
    await before(secondNow());
    if (passed % SAMPLE_MS === 0) at.sample();
  }
}

const window = ({ from, to }: { readonly from: number; readonly to: number }) => ({
  beginMonotonicMs: BEGIN_MS + from * 1000,
  endMonotonicMs: BEGIN_MS + to * 1000,
});

/** What the facts of an attempt say: one whole minute, and six epochs in it. */
function factsOf(at: PowerMeter, devices: readonly string[], share = 1, idleWatts: number | null = null) {
  const context: FactContext = {
    key: { sweepId: 's', trialId: 't', attempt: 1, termId: '' },
    metered: devices.map((id) => ({ id, share })),
    meter: at,
    sameBoot: true,
    startedMonotonicMs: BEGIN_MS,
    previousMonotonicMs: null,
    idleWatts,
    stated: null,
  };
  const record = { atUnixMs: 0, monotonicMs: nowMs };
  const epochs = EPOCHS.map(({ epoch: number, train, evaluation }) => {
    const line = {
      type: 'epoch' as const,
      epoch: number,
      step: 0,
      metrics: {},
      trainSeconds: null,
      evaluationSeconds: null,
      dataWaitSeconds: null,
      samplesPerSecond: null,
      trainWindow: window(train),
      evaluationWindow: window(evaluation),
    };
    const { trainEnergy, evaluationEnergy } = epoch(line, { ...record, line }, context)!.value;
    return { train: trainEnergy!, evaluation: evaluationEnergy! };
  });
  const line = { type: 'end' as const, class: 'completed' as const, code: '', message: '' };
  const fact = ended(line, { ...record, line }, context);
  if (fact?.$case !== 'ended') throw new Error('no end');
  return { epochs, attempt: fact.value.energy! };
}

function expectJoules(energy: Energy, joules: number, method: string): void {
  expect(energy.method).toBe(method);
  expect(energy.joules! / joules).toBeGreaterThan(0.99);
  expect(energy.joules! / joules).toBeLessThan(1.01);
}
/** Attempt and epochs, training and evaluation. */
function expectCurve(facts: ReturnType<typeof factsOf>, { joules }: Curve, method: string): void {
  expectJoules(facts.attempt, joules(0, SECONDS), method);
  for (const [index, { train, evaluation }] of EPOCHS.entries()) {
    expectJoules(facts.epochs[index]!.train, joules(train.from, train.to), method);
    expectJoules(facts.epochs[index]!.evaluation, joules(evaluation.from, evaluation.to), method);
  }
}

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
    expect(problems).toEqual([
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
    const source = new NvidiaSmiSource(gpus, feed, () => nowMs);
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
    expect(problems).toHaveLength(2);
  });
});

describe('trees of the kernel', { timeout: 60_000 }, () => {
  const zone = async (name: string, label: string, range: number): Promise<string> => {
    await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, name, 'name'), `${label}\n`);
    await writeFile(join(root, name, 'max_energy_range_uj'), `${range}\n`);
    return join(root, name, 'energy_uj');
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
    const rapl = openMeter([new ProcessorSource(raplPower(root))]);
    await runMinute(rapl, show);
    const both = {
      watts: () => NaN,
      joules: (from: number, to: number) => curves.reduce((sum, { joules }) => sum + joules(from, to), 0),
    };
    const facts = factsOf(rapl, ['cpu']);
    expectCurve(facts, both, 'rapl');
    expect(problems).toEqual([]);
  });

  it('RAPL that only root may read: null, and what to do about it, once', async () => {
    const file = await zone('intel-rapl:0', 'package-0', 1e9);
    writeFileSync(file, '1\n');
    chmodSync(file, 0o400);
    chmodSync(root, 0o755);
    const isRoot = process.geteuid?.() === 0;
    let denied: PowerMeter;
    try {
      // Root may read everything.
      if (isRoot) process.seteuid!(65_534);
      else chmodSync(file, 0);
      denied = openMeter([new ProcessorSource(raplPower(root))]);
      await runMinute(denied, () => undefined);
    } finally {
      if (isRoot) process.seteuid!(0);
    }
    const { attempt, epochs } = factsOf(denied, ['cpu']);
    for (const energy of [attempt, epochs[0]!.train, epochs[5]!.evaluation]) {
      expect(energy.joules).toBeUndefined();
      expect(energy.absentReason).toContain(`sudo chmod a+r ${file}`);
    }
    expect(problems).toHaveLength(1);
  });

  it("hwmon: sockets' counters of AMD, and watts where there is no counter", async () => {
    await mkdir(join(root, 'hwmon1'));
    await writeFile(join(root, 'hwmon1', 'name'), 'amd_energy\n');
    const curve = steps(45, 160, 12.9);
    for (const [number, label] of [
      [1, 'Ecore000'],
      [2, 'Esocket0'],
      [3, 'Esocket1'],
    ] as const)
      await writeFile(join(root, 'hwmon1', `energy${number}_label`), `${label}\n`);
    const show = (second: number): void => {
      for (const number of [1, 2, 3])
        writeFileSync(
          join(root, 'hwmon1', `energy${number}_input`),
          `${Math.round(curve.joules(0, second) * 0.5e6)}\n`,
        );
    };
    show(0);
    const amd = openMeter([new ProcessorSource(hwmonPower(root))]);
    await runMinute(amd, show);
    expectCurve(factsOf(amd, ['cpu']), curve, 'hwmon');
    amd.close();

    await rm(join(root, 'hwmon1'), { recursive: true });
    await mkdir(join(root, 'hwmon0'));
    await writeFile(join(root, 'hwmon0', 'name'), 'zenpower\n');
    const power = ramp(30, 1.5);
    const file = join(root, 'hwmon0', 'power1_input');
    const showPower = (second: number): void =>
      writeFileSync(file, `${Math.round(power.watts(second) * 1e6)}\n`);
    nowMs = BEGIN_MS;
    showPower(0);
    const zen = openMeter([new ProcessorSource(hwmonPower(root))]);
    await runMinute(zen, showPower);
    expectCurve(factsOf(zen, ['cpu']), power, 'hwmon');
  });
});

describe('a service that is started again', () => {
  const device = (
    readings: () => { readonly joules: number | null; readonly watts: number | null },
  ): PowerSource => ({
    devices: [{ id: 'gpu', model: 'X' }],
    counterMethod: 'nvml-counter',
    powerMethod: 'nvml-power',
    read: () => [
      {
        ...unread('gpu'),
        counterJoules: readings().joules,
        watts: readings().watts,
      },
    ],
    close: () => undefined,
  });
  /** The service is away from second 20 to `until`; its meter does not see it. */
  function restarted(curve: Curve, away: { readonly until: number; readonly counter: boolean }) {
    const source = (): PowerSource =>
      device(() => ({
        joules: away.counter ? 1e6 + curve.joules(0, secondNow()) : null,
        watts: curve.watts(secondNow()),
      }));
    const path = join(root, 'power.jsonl');
    rmSync(path, { force: true });
    nowMs = BEGIN_MS;
    const memory = () => new MeterMemory({ path, isNeeded: () => true });
    let current = openMeter([source()], memory());
    for (let passed = STEP_MS; passed <= SECONDS * 1000; passed += STEP_MS) {
      nowMs = BEGIN_MS + passed;
      const second = secondNow();
      if (second === 20) current.close();
      if (second === away.until) current = openMeter([source()], memory());
      if (passed % SAMPLE_MS === 0 && (second < 20 || second > away.until)) current.sample();
    }
    return factsOf(current, ['gpu']);
  }

  it('loses no joule where there is an energy counter', () => {
    const curve = constant(120);
    const { attempt, epochs } = restarted(curve, { until: 33, counter: true });
    expectCurve({ attempt, epochs }, curve, 'nvml-counter');
    const stepped = restarted(steps(80, 240, 26), { until: 33, counter: true });
    // What was drawn meanwhile is in the attempt; when exactly, nobody saw.
    expectJoules(stepped.attempt, steps(80, 240, 26).joules(0, SECONDS), 'nvml-counter');
    expectJoules(stepped.epochs[4]!.train, 240 * 7.3, 'nvml-counter');
  });

  it('without one the time away is a gap: null with its coverage, never 0', () => {
    const { attempt, epochs } = restarted(constant(120), { until: 33, counter: false });
    expect(attempt.joules).toBeUndefined();
    // From the last note, at most ten seconds before it ended, to its return.
    expect(attempt.coverage).toBeGreaterThan(0.6);
    expect(attempt.coverage).toBeLessThan(0.79);
    expect(epochs[2]!.train).toMatchObject({ joules: undefined, method: '' });
    expectJoules(epochs[0]!.train, 120 * 7.3, 'nvml-power');
    expectJoules(epochs[4]!.train, 120 * 7.3, 'nvml-power');
  });

  it('forgets when nothing trains, after another start of the machine, and a broken file', () => {
    const path = join(root, 'power.jsonl');
    let isNeeded = true;
    const memory = () =>
      new MeterMemory({ path, isNeeded: () => isNeeded, periodMs: 1_000, maxBytes: 2_000 });
    const note = (at: MeterMemory, ms: number): void =>
      at.note(ms, () => [
        ['gpu', { atMs: ms, counterJoules: ms, holders: 2, sum: { ...ZERO_SUM, counterJoules: ms } }],
      ]);
    const first = memory();
    for (let ms = 0; ms <= 100_000; ms += 500) note(first, ms);
    const kept = memory().load().get('gpu')!;
    // Thinned, and the last one is there.
    expect(kept.length).toBeLessThan(40);
    expect(kept.at(-1)).toEqual({
      atMs: 100_000,
      counterJoules: 100_000,
      holders: 2,
      sum: { ...ZERO_SUM, counterJoules: 100_000 },
    });
    writeFileSync(
      path,
      `${JSON.stringify({ version: 2, bootId: 'another' })}\n[["gpu",1,1,1,1,1,1,1,1,1,1,1,1,1]]\n`,
    );
    expect(memory().load().size).toBe(0);
    const again = memory();
    note(again, 1_000);
    writeFileSync(path, '\n[["gpu",2', { flag: 'a' });
    expect(memory().load().get('gpu')).toHaveLength(1);
    isNeeded = false;
    note(again, 2_000);
    expect(memory().load().size).toBe(0);
  });
});

const ZERO_SUM = {
  counterJoules: 0,
  counterGapSeconds: 0,
  powerJoules: 0,
  powerGapSeconds: 0,
  utilizationSeconds: 0,
  utilizationGapSeconds: 0,
  counterJoulesEach: 0,
  powerJoulesEach: 0,
  secondsEach: 0,
  samples: 0,
};

describe('gross and net', () => {
  it('idle watts are those of the pause before an attempt, once the device rests', () => {
    const watts = (from: number): number => (from < 10_000 ? 30 : 55);
    const asked: [number, number][] = [];
    let now = 0;
    const held: number[] = [];
    const idle = new IdleWatts(
      {
        setHolders: (_id, holders) => held.push(holders),
        energyBetween: (_devices, { beginMonotonicMs, endMonotonicMs }) => {
          asked.push([beginMonotonicMs, endMonotonicMs]);
          return { joules: 1, meanWatts: watts(beginMonotonicMs), method: 'nvml-counter', absentReason: '' };
        },
      },
      () => now,
    );
    const gpu = [{ id: 'gpu', share: 0.5 }];
    now = 4_000;
    // Too short a look.
    expect(idle.begin(gpu)).toBeNull();
    idle.end(gpu);
    now = 14_000;
    expect(idle.begin(gpu)).toBe(30);
    expect(asked).toEqual([[9_000, 14_000]]);
    // Another attempt on the same device: it does not rest now.
    now = 60_000;
    expect(idle.begin(gpu)).toBe(30);
    idle.end(gpu);
    idle.end(gpu);
    now = 61_000;
    // No pause: what was known.
    expect(idle.begin(gpu)).toBe(30);
    idle.end(gpu);
    now = 200_000;
    expect(idle.begin(gpu)).toBe(55);
    expect(held).toEqual([1, 0, 1, 2, 1, 0, 1, 0, 1]);
    expect(asked.at(-1)).toEqual([140_000, 200_000]);
    expect(idle.begin([{ id: 'other', share: 1 }, ...gpu])).not.toBeNull();
    expect(idle.begin([])).toBeNull();
  });

  it('stand with the attempt', async () => {
    const at = openMeter([]);
    const { attempt, epochs } = factsOf(at, ['gpu'], 1, 42);
    expect(attempt.idleWatts).toBe(42);
    expect(epochs[0]!.train).not.toHaveProperty('idleWatts');
    await Promise.resolve();
  });
});
