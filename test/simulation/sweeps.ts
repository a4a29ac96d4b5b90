/**
 * Which sweeps a run has: drawn from the seed, so that many seeds meet every search with every stopping rule, budget,
 * limit and number of repeats. And how its trials fare, which no fault changes: their curves and their mishaps.
 */
import { AttemptEndClass } from '../../proto/gen/wattsweep/v1/attempt.js';
import type { StartAttemptRequest } from '../../proto/gen/wattsweep/v1/trainer.js';
import type {
  Axes,
  Parameters,
  SearchSpec,
  SingleRuleSpec,
  StoppingSpec,
  SweepSpec,
} from '../../services/coordinator/core/index.js';
import { sweepSpec } from '../support/core.js';
import { randomOf, type Random } from './random.js';

export interface PlannedSweep {
  readonly sweepId: string;
  readonly spec: SweepSpec;
  /** Milliseconds since the run began. */
  readonly submitAt: number;
}

const plainAsha = {
  rule: 'asha',
  firstRung: 1,
  eta: 2,
  window: 1,
  compareWithin: [],
  brackets: 1,
} as const;

/** One or two grids with simple rules: what the first seeds ran, kept for those that once failed. */
export function drawPlainSweeps(random: Random): readonly PlannedSweep[] {
  const rules: readonly StoppingSpec[] = [
    plainAsha,
    { rule: 'patience', patience: 2, minDelta: 0.01, startEpoch: 1 },
    { rule: 'none' },
  ];
  return Array.from({ length: random.whole(1, 2) }, (_, i) => {
    const values = Array.from({ length: random.whole(3, 14) }, (_value, x) => x);
    const spec = sweepSpec({
      name: `sweep${i}`,
      maxEpochs: random.whole(2, 6),
      sweep: [{ name: 'x', domain: { kind: 'list', values } }],
      stopping: random.pick(rules),
      seed: random.whole(1, 1_000),
      maxParallel: random.chance(0.3) ? random.whole(1, 3) : null,
    });
    return { sweepId: `sweep${i}`, spec, submitAt: 0 };
  });
}

/** @param gpus GPUs of the box that is there always */
export function drawSweeps(random: Random, gpus: number): readonly PlannedSweep[] {
  const sweeps: PlannedSweep[] = [];
  for (let i = random.whole(1, 3); i > 0; i -= 1) {
    const earlier = sweeps.at(-1)?.sweepId ?? null;
    const submitAt = random.chance(0.3) ? Math.round(random.between(0, 60_000)) : 0;
    sweeps.push({ sweepId: `sweep${sweeps.length}`, spec: drawSpec(random, earlier, gpus), submitAt });
  }
  return sweeps;
}

/** @param earlier a sweep that a search may start warm from; null for none */
export function drawSpec(random: Random, earlier: string | null, gpus = 0): SweepSpec {
  const maxEpochs = random.whole(1, 9);
  const isGrouped = random.chance(0.3);
  const { axes, search } = drawSearch(random, earlier, isGrouped);
  const stopping = drawStopping(random, isGrouped);
  // Blocks are whole only where every point runs.
  const isBlocked = stopping.rule === 'none' && search.method !== 'tpe' && random.chance(0.4);
  const repeats = isBlocked || random.chance(0.25) ? random.whole(2, 3) : 1;
  const target = random.chance(0.2) ? random.between(0.6, 0.9) : null;
  return sweepSpec({
    name: 'drawn',
    maxEpochs,
    objective: {
      metric: 'val_accuracy',
      goal: random.chance(0.75) ? 'maximize' : 'minimize',
      target,
      holdEpochs: random.whole(0, 2),
      holdTolerance: 0.01,
    },
    sweep: axes,
    search,
    stopping,
    repeats,
    seed: random.whole(1, 1_000),
    // A box draws 100 W, and an epoch takes seconds.
    budget: {
      energyWh: random.chance(0.12) ? random.between(0.2, 4) : null,
      hours: random.chance(0.08) ? random.between(0.002, 0.03) : null,
    },
    ...(random.chance(0.15)
      ? {
          trialLimits: {
            maxSeconds: random.chance(0.5) ? random.between(2, 12) : null,
            maxEnergyWh: random.chance(0.5) ? random.between(0.05, 0.4) : null,
          },
        }
      : {}),
    maxParallel: random.chance(0.3) ? random.whole(1, 3) : null,
    resources: { gpus: gpus > 0 && random.chance(0.4) ? random.whole(1, gpus) : null, device: null },
    ...(random.chance(0.2) ? { retries: { crashed: random.whole(0, 3), lost: 1, outOfMemory: 1 } } : {}),
    ...(isBlocked ? { placement: 'blocked' as const } : {}),
  });
}

function drawSearch(
  random: Random,
  earlier: string | null,
  isGrouped: boolean,
): { readonly axes: Axes; readonly search: SearchSpec } {
  const group: Axes = isGrouped ? [{ name: 'group', domain: { kind: 'list', values: ['a', 'b'] } }] : [];
  const count = random.whole(3, 12);
  const whole: Axes = [
    { name: 'x', domain: { kind: 'list', values: Array.from({ length: count }, (_, x) => x) } },
    ...(isGrouped ? group : []),
  ];
  const range = { kind: 'range', min: 0.001, max: 1, scale: 'log', integer: false, count: null } as const;
  const continuous: Axes = [{ name: 'x', domain: range }, ...group];
  const point = (x: number): Parameters => ({ x, ...(isGrouped ? { group: random.pick(['a', 'b']) } : {}) });
  const enqueued = random.chance(0.25)
    ? { enqueue: [point(0.5), point(0.25)].slice(random.whole(0, 1)) }
    : {};
  const drawn = { trials: random.whole(4, 14), caseWeights: [1], ...enqueued };
  switch (random.pick(['grid', 'grid', 'random', 'sobol', 'tpe', 'tpe', 'list', 'few'] as const)) {
    case 'grid':
      return { axes: whole, search: { method: 'grid', ...enqueued } };
    case 'random':
      return { axes: continuous, search: { method: 'random', ...drawn } };
    case 'sobol':
      return {
        axes: continuous,
        search: { method: 'sobol', scramble: random.pick(['owen', 'none']), ...drawn },
      };
    case 'tpe': {
      const warmStart = earlier !== null && random.chance(0.6) ? { sweepId: earlier, results: [] } : null;
      const model = { startup: random.whole(2, 5), candidates: 4, gamma: 0.25, warmStart };
      return { axes: continuous, search: { method: 'tpe', ...model, ...drawn } };
    }
    case 'list':
      return {
        axes: [],
        search: { method: 'list', points: Array.from({ length: count }, (_, x) => point(x)), ...enqueued },
      };
    // A space with fewer points than are asked for.
    case 'few':
      return {
        axes: whole,
        search: { method: random.pick(['random', 'sobol']), scramble: 'owen', ...drawn, trials: 40 },
      };
  }
}

function drawStopping(random: Random, isGrouped: boolean): StoppingSpec {
  const asha = (mode: 'stop' | 'promote'): SingleRuleSpec => ({
    rule: 'asha',
    firstRung: random.whole(1, 2),
    eta: random.whole(2, 3),
    window: random.whole(1, 2),
    compareWithin: isGrouped ? ['group'] : [],
    brackets: random.chance(0.2) ? 2 : 1,
    ...(mode === 'promote' ? { mode } : {}),
  });
  const single = (): SingleRuleSpec => {
    switch (random.pick(['asha', 'median', 'patience', 'threshold'] as const)) {
      case 'asha':
        return asha('stop');
      case 'median':
        return { rule: 'median', grace: random.whole(0, 2), minTrials: random.whole(1, 3) };
      case 'patience':
        return {
          rule: 'patience',
          patience: random.whole(0, 2),
          minDelta: 0.01,
          startEpoch: random.whole(1, 2),
        };
      case 'threshold':
        return { rule: 'threshold', bound: random.between(0.1, 0.6), fromEpoch: random.whole(1, 3) };
    }
  };
  switch (random.pick(['single', 'single', 'promote', 'hyperband', 'composite', 'none'] as const)) {
    case 'single':
      return single();
    case 'promote':
      return asha('promote');
    case 'hyperband':
      return { rule: 'hyperband', eta: random.whole(2, 3) };
    case 'composite':
      return {
        rule: 'composite',
        rules: [single(), single()],
      };
    case 'none':
      return { rule: 'none' };
  }
}

/** A curve that rises, and now and then is no number any more. */
export function objectiveOf(
  seed: number,
  { key, parametersJson, seed: repeat }: StartAttemptRequest,
  epoch: number,
): number {
  const name = `${key?.sweepId} ${parametersJson} ${repeat}`;
  const trial = randomOf(seed, name);
  const best = trial.between(0.5, 0.95);
  const divergesAt = trial.chance(0.1) ? trial.whole(1, 4) : Infinity;
  const noise = randomOf(seed, `${name} ${epoch}`).between(-0.02, 0.02);
  return epoch >= divergesAt ? NaN : best * (1 - Math.exp(-0.7 * epoch)) + noise;
}

export function mishapOf(seed: number, { key }: StartAttemptRequest): AttemptEndClass | null {
  const luck = randomOf(seed, `mishap ${key?.sweepId} ${key?.trialId} ${key?.attempt}`).next();
  if (luck < 0.08) return AttemptEndClass.CRASHED;
  return luck < 0.1 ? AttemptEndClass.OUT_OF_MEMORY : null;
}
