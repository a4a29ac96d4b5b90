/** Energy over a restart of the service, and above the idle watts. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IdleWatts } from '../../../services/trainer/power/idle.js';
import { MeterMemory } from '../../../services/trainer/power/memory.js';
import { ZERO } from '../../../services/trainer/power/series.js';
import { unread, type PowerSource } from '../../../services/trainer/power/source.js';
import {
  BEGIN_MS,
  type Curve,
  SAMPLE_MS,
  SECONDS,
  STEP_MS,
  constant,
  expectCurve,
  expectJoules,
  factsOf,
  openMeter,
  secondNow,
  stage,
  steps,
  useStage,
} from './curves.js';

useStage();

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
    const path = join(stage.root, 'power.jsonl');
    rmSync(path, { force: true });
    stage.nowMs = BEGIN_MS;
    const memory = () => new MeterMemory({ path, isNeeded: () => true });
    let current = openMeter([source()], memory());
    for (let passed = STEP_MS; passed <= SECONDS * 1000; passed += STEP_MS) {
      stage.nowMs = BEGIN_MS + passed;
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
    const path = join(stage.root, 'power.jsonl');
    let isNeeded = true;
    const memory = () =>
      new MeterMemory({ path, isNeeded: () => isNeeded, periodMs: 1_000, maxBytes: 2_000 });
    const note = (at: MeterMemory, ms: number): void =>
      at.note(ms, () => [
        ['gpu', { atMs: ms, counterJoules: ms, holders: 2, sum: { ...ZERO, counterJoules: ms } }],
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
      sum: { ...ZERO, counterJoules: 100_000 },
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
