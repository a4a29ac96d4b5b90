/**
 * A made-up sweep that looks like a real one, for tests and for looking at reports: accuracies that climb, wobble while
 * the rate is high and jump where it drops; watts and seconds as a graphics card might use them. Nothing was trained.
 */
import type { Decision } from '../../services/coordinator/core/events.js';
import type { SweepState } from '../../services/coordinator/core/state.js';
import { stopDecision, sweepState, type TrialOutline } from './sweep-state.js';

/** Mulberry32: small, seeded, the same everywhere. */
function randomFrom(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const EPOCHS = 60;
const DROPS = [30, 45];
const RUNG = 20;

const secondsOf = new Map([
  [32, 27],
  [64, 22],
  [128, 20.5],
]);
const wattsOf = new Map([
  [32, 70],
  [64, 97],
  [128, 114],
]);

function curve(random: () => number, batch: number, optimizer: string, shift: number): number[] {
  const ceiling =
    0.9255 +
    (batch === 32 ? -0.001 : batch === 128 ? 0.002 : 0.0015) +
    (optimizer === 'adamw' ? 0.003 : 0) +
    (shift === 0.07 ? 0.0015 : 0) +
    (random() - 0.5) * 0.003;
  return Array.from({ length: EPOCHS }, (_, i) => {
    const epoch = i + 1;
    const drops = DROPS.filter((drop) => epoch > drop).length;
    const gap = [0.055, 0.006, 0.0005][drops] ?? 0;
    const noise = [0.05, 0.0018, 0.0008][drops] ?? 0;
    const climb = 0.5 * Math.exp(-epoch / 5);
    return Math.min(0.999, ceiling - gap - climb - noise * random() ** 2);
  });
}

/** Batch size, optimizer and shift swept with ASHA; `watts: false` for boxes without a meter. */
export function sampleSweep(options: { readonly seed?: number; readonly watts?: boolean } = {}): SweepState {
  const { seed = 1, watts = true } = options;
  const random = randomFrom(seed);
  const atRung: number[] = [];
  const outlines: TrialOutline[] = [];
  for (const batch of [128, 32, 64]) {
    for (const optimizer of ['adam', 'adamw']) {
      for (const shift of [0.1, 0.07]) {
        const values = curve(random, batch, optimizer, shift);
        const value = values[RUNG - 1] ?? 0;
        atRung.push(value);
        const better = atRung.filter((other) => other > value).length;
        const n = atRung.length;
        const stops = better >= Math.max(1, Math.ceil(n / 1.6));
        const decision: Decision = stopDecision({
          epoch: RUNG,
          rung: RUNG,
          value,
          rank: better + 1,
          n,
          threshold: [...atRung].sort((a, b) => b - a)[Math.max(1, Math.ceil(n / 1.6)) - 1] ?? 0,
          reason: `rung ${RUNG}: value ${value.toFixed(4)} is rank ${better + 1} of ${n}`,
        });
        outlines.push({
          parameters: { batch_size: batch, optimizer, shift, depth: 56 },
          values: stops ? values.slice(0, RUNG) : values,
          seconds: (secondsOf.get(batch) ?? 20) * (1 + (random() - 0.5) * 0.04),
          watts: watts ? (wattsOf.get(batch) ?? 100) * (1 + (random() - 0.5) * 0.04) : null,
          gpuUtilization: watts ? 0.5 + batch / 400 : null,
          devices: ['NVIDIA GeForce RTX 4060 Ti'],
          ...(stops ? { state: 'stopped', decisions: [decision], reason: decision.reason } : {}),
        });
      }
    }
  }
  outlines.push({
    parameters: { batch_size: 128, optimizer: 'sgd', shift: 0.1, depth: 56 },
    values: [0.31, 0.22, NaN],
    state: 'diverged',
    seconds: 20,
    watts: watts ? 110 : null,
    reason: 'val_accuracy is NaN at epoch 3',
    devices: ['NVIDIA GeForce RTX 4060 Ti'],
  });
  outlines.push({
    parameters: { batch_size: 0, optimizer: 'sgd', shift: 0.1, depth: 56 },
    values: [],
    state: 'failed',
    code: 'PARAMETER_REFUSED',
    reason: 'batch_size must be at least 1',
    devices: [],
  });
  return sweepState({
    spec: {
      name: 'batch-size-study',
      maxEpochs: EPOCHS,
      levels: [0.91, 0.92, 0.925, 0.93],
      objective: {
        metric: 'val_accuracy',
        goal: 'maximize',
        target: null,
        holdEpochs: 5,
        holdTolerance: 0.002,
      },
      sweep: [
        { name: 'batch_size', domain: { kind: 'list', values: [32, 64, 128] } },
        { name: 'shift', domain: { kind: 'list', values: [0.07, 0.1] } },
      ],
      cases: [[{ name: 'optimizer', domain: { kind: 'list', values: ['adam', 'adamw', 'sgd'] } }]],
      stopping: { rule: 'asha', firstRung: RUNG, eta: 3, window: 1, compareWithin: [], brackets: 1 },
    },
    trials: outlines,
  });
}
