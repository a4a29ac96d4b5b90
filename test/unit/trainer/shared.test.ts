/** A device that several attempts have: its joules are divided among them, and every one is counted once. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IdleWatts } from '../../../services/trainer/power/idle.js';
import { MeterMemory } from '../../../services/trainer/power/memory.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { ProcessorSource, raplPower } from '../../../services/trainer/power/processor.js';
import { unread, type PowerSource } from '../../../services/trainer/power/source.js';

/** 50 W more with each second. */
const wattsAt = (ms: number): number => 100 + ms / 20;
const joulesBetween = (fromMs: number, toMs: number): number =>
  (100 * (toMs - fromMs)) / 1000 + (toMs ** 2 - fromMs ** 2) / 40_000;

const shared = [{ id: 'gpu', share: 1, isShared: true }];
const between = (beginMonotonicMs: number, endMonotonicMs: number) => ({ beginMonotonicMs, endMonotonicMs });

let nowMs: number;
let root: string;
const gpu = (counter: boolean): PowerSource => ({
  devices: [{ id: 'gpu', model: 'X' }],
  counterMethod: 'nvml-counter',
  powerMethod: 'nvml-power',
  read: () => [
    { ...unread('gpu'), counterJoules: counter ? joulesBetween(0, nowMs) : null, watts: wattsAt(nowMs) },
  ],
  close: () => undefined,
});
const open = (source: PowerSource, memory?: MeterMemory): PowerMeter =>
  new PowerMeter({
    sources: [source],
    periodMs: 1e9,
    noSourceReason: 'none',
    estimateWatts: null,
    clock: () => nowMs,
    ...(memory === undefined ? {} : { memory }),
  });
/** Samples as the timer does, which does not know when attempts begin and end. */
function pass(meter: PowerMeter, untilMs: number): void {
  for (let next = Math.floor(nowMs / 200) * 200 + 200; next <= untilMs; next += 200) {
    nowMs = next;
    meter.sample();
  }
  nowMs = untilMs;
}

beforeEach(async () => {
  nowMs = 0;
  root = await mkdtemp(join(tmpdir(), 'wattsweep-shared-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe.each([true, false])('a GPU with an energy counter: %s', (counter) => {
  it('is divided evenly at each moment; what nobody had is nobody’s', () => {
    const meter = open(gpu(counter));
    const use = new IdleWatts(meter, () => nowMs);
    // a: 1.13 s to 9.07 s; b: 3.41 s to 6.33 s; c: 5 s to 12.5 s.
    pass(meter, 1_130);
    use.begin(shared);
    pass(meter, 3_410);
    use.begin(shared);
    pass(meter, 5_000);
    use.begin(shared);
    pass(meter, 6_330);
    use.end(shared);
    pass(meter, 9_070);
    use.end(shared);
    pass(meter, 12_500);
    use.end(shared);
    pass(meter, 14_000);
    const energy = (from: number, to: number) => meter.energyBetween(shared, between(from, to));
    const [a, b, c] = [energy(1_130, 9_070), energy(3_410, 6_330), energy(5_000, 12_500)];
    const near = (joules: number | undefined, wanted: number): void =>
      expect(joules! / wanted).toBeCloseTo(1, 3);
    const half = joulesBetween(3_410, 5_000) / 2;
    const third = joulesBetween(5_000, 6_330) / 3;
    const later = joulesBetween(6_330, 9_070) / 2;
    near(a.joules, joulesBetween(1_130, 3_410) + half + third + later);
    near(b.joules, half + third);
    near(c.joules, third + later + joulesBetween(9_070, 12_500));
    near(a.joules! + b.joules! + c.joules!, joulesBetween(1_130, 12_500));
    // The device itself is counted whole.
    near(meter.energyBetween([{ id: 'gpu', share: 1 }], between(0, 14_000)).joules, joulesBetween(0, 14_000));
    // Marked: seconds alone, with another, and with two others.
    expect(a.share).toBeCloseTo((2.28 + 1.59 / 2 + 1.33 / 3 + 2.74 / 2) / 7.94, 6);
    expect(energy(9_200, 12_400)).not.toHaveProperty('share');
    expect(energy(5_100, 6_100).share).toBeCloseTo(1 / 3, 9);
    expect(a).toMatchObject({ method: counter ? 'nvml-counter' : 'nvml-power', absentReason: '' });
    meter.close();
  });
});

describe('a service that is started again', () => {
  it('divides the time between among those that ran', () => {
    const memory = () => new MeterMemory({ path: join(root, 'power.jsonl'), isNeeded: () => true });
    const first = open(gpu(true), memory());
    const use = new IdleWatts(first, () => nowMs);
    use.begin(shared);
    pass(first, 3_300);
    use.begin(shared);
    pass(first, 3_500);
    first.close();
    nowMs = 20_000;
    const second = open(gpu(true), memory());
    new IdleWatts(second, () => nowMs).adopt([...shared, ...shared]);
    pass(second, 22_000);
    const long = second.energyBetween(shared, between(3_300, 22_000));
    // Its beginning lies between two notes on the disk.
    expect(long.joules! / (joulesBetween(3_300, 22_000) / 2)).toBeCloseTo(1, 2);
    expect(long.share).toBeCloseTo(0.5, 2);
    second.close();
  });

  it('finds the counter of the processors that has begun anew before and meanwhile', async () => {
    const zone = join(root, 'rapl', 'intel-rapl:0');
    await mkdir(zone, { recursive: true });
    await writeFile(join(zone, 'name'), 'package-0\n');
    await writeFile(join(zone, 'max_energy_range_uj'), '1000000000\n');
    const show = (joules: number) => writeFile(join(zone, 'energy_uj'), `${String((joules % 1000) * 1e6)}\n`);
    const source = () => new ProcessorSource(raplPower(join(root, 'rapl')));
    const memory = () =>
      new MeterMemory({ path: join(root, 'power.jsonl'), isNeeded: () => true, periodMs: 1 });
    await show(900);
    const first = open(source(), memory());
    await show(1_400);
    nowMs = 5_000;
    first.sample();
    first.close();
    await show(2_100);
    nowMs = 12_000;
    const second = open(source(), memory());
    const energy = second.energyBetween([{ id: 'cpu', share: 1 }], between(0, 12_000));
    expect(energy).toMatchObject({ method: 'rapl', absentReason: '' });
    expect(energy.joules).toBeCloseTo(1_200, 6);
    second.close();
  });
});
