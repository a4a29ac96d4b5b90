/** A scripted minute of power, and what the facts of an attempt in it say. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Energy } from '../../../proto/gen/wattsweep/v1/facts.js';
import { ended, epoch, type FactContext } from '../../../services/trainer/attempts/facts.js';
import type { MeterMemory } from '../../../services/trainer/power/memory.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import type { PowerSource } from '../../../services/trainer/power/source.js';

/** Watts at a second, and the joules of a stretch. */
export interface Curve {
  readonly watts: (second: number) => number;
  readonly joules: (from: number, to: number) => number;
}

export const constant = (watts: number): Curve => ({
  watts: () => watts,
  joules: (from, to) => watts * (to - from),
});
export const steps = (low: number, high: number, at: number): Curve => ({
  watts: (second) => (second < at ? low : high),
  joules: (from, to) =>
    low * Math.max(0, Math.min(to, at) - from) + high * Math.max(0, to - Math.max(from, at)),
});
export const ramp = (begin: number, perSecond: number): Curve => ({
  watts: (second) => begin + perSecond * second,
  joules: (from, to) => begin * (to - from) + (perSecond * (to ** 2 - from ** 2)) / 2,
});
export const wave = (mean: number, swing: number, period: number): Curve => {
  const turn = (2 * Math.PI) / period;
  return {
    watts: (second) => mean + swing * Math.sin(turn * second),
    joules: (from, to) => mean * (to - from) - (swing / turn) * (Math.cos(turn * to) - Math.cos(turn * from)),
  };
};

export const BEGIN_MS = 50_000;
export const SECONDS = 60;
/** Time between two changes of power, and between two samples. */
export const STEP_MS = 50;
export const SAMPLE_MS = 200;
/** Training of each epoch, then its evaluation: 7.3 s and 2.1 s, with 0.6 s between two epochs. */
export const EPOCHS = Array.from({ length: 6 }, (_unused, index) => ({
  epoch: index + 1,
  train: { from: index * 10, to: index * 10 + 7.3 },
  evaluation: { from: index * 10 + 7.3, to: index * 10 + 9.4 },
}));

/** What a test steps: the clock, a folder of its own, and what the meter has complained of. */
export const stage: { nowMs: number; root: string; readonly problems: string[] } = {
  nowMs: BEGIN_MS,
  root: '',
  problems: [],
};
let meter: PowerMeter | null = null;

/** A stage for each test of the file that calls it. */
export function useStage(): void {
  beforeEach(async () => {
    stage.nowMs = BEGIN_MS;
    stage.problems.length = 0;
    stage.root = await mkdtemp(join(tmpdir(), 'wattsweep-curves-'));
  });
  afterEach(async () => {
    meter?.close();
    await rm(stage.root, { recursive: true, force: true });
  });
}

export const openMeter = (sources: readonly PowerSource[], memory?: MeterMemory): PowerMeter =>
  (meter = new PowerMeter({
    sources,
    periodMs: 1e9,
    noSourceReason: 'none',
    estimateWatts: null,
    clock: () => stage.nowMs,
    onProblem: (device, reason) => stage.problems.push(`${device}: ${reason}`),
    ...(memory === undefined ? {} : { memory }),
  }));
export const secondNow = (): number => (stage.nowMs - BEGIN_MS) / 1000;

/** Lets a minute pass. `before` prepares what the devices show at a moment. */
export async function runMinute(
  at: PowerMeter,
  before: (second: number) => void | Promise<void>,
  stepMs = SAMPLE_MS,
): Promise<void> {
  for (let passed = stepMs; passed <= SECONDS * 1000; passed += stepMs) {
    stage.nowMs = BEGIN_MS + passed;
    await before(secondNow());
    if (passed % SAMPLE_MS === 0) at.sample();
  }
}

export const window = ({ from, to }: { readonly from: number; readonly to: number }) => ({
  beginMonotonicMs: BEGIN_MS + from * 1000,
  endMonotonicMs: BEGIN_MS + to * 1000,
});

/** What the facts of an attempt say: one whole minute, and six epochs in it. */
export function factsOf(
  at: PowerMeter,
  devices: readonly string[],
  share = 1,
  idleWatts: number | null = null,
) {
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
  const record = { atUnixMs: 0, monotonicMs: stage.nowMs };
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

export function expectJoules(energy: Energy, joules: number, method: string): void {
  expect(energy.method).toBe(method);
  expect(energy.joules! / joules).toBeGreaterThan(0.99);
  expect(energy.joules! / joules).toBeLessThan(1.01);
}
/** Attempt and epochs, training and evaluation. */
export function expectCurve(facts: ReturnType<typeof factsOf>, { joules }: Curve, method: string): void {
  expectJoules(facts.attempt, joules(0, SECONDS), method);
  for (const [index, { train, evaluation }] of EPOCHS.entries()) {
    expectJoules(facts.epochs[index]!.train, joules(train.from, train.to), method);
    expectJoules(facts.epochs[index]!.evaluation, joules(evaluation.from, evaluation.to), method);
  }
}
