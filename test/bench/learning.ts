/**
 * `npm run bench -- learning [--seeds 3] [--first 1] [--only 'bfloat16,Keras'] [--epochs 6] [--images 10000] [--depth 20] [--json]`: whether a network learns here
 * what it learns in Keras: validation accuracy after each epoch of ours in float32 and in bfloat16 and of real Keras, with
 * the same settings and several seeds each. Weights, order and shifts are drawn by each side itself. Takes about an hour
 * and a half of processor time; every run is printed when it ends, and `--first` and `--only` go on where one was cut off.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { cifar10Folder } from '../../services/trainer/runner/engine.js';
import { attemptOf, runAttempt } from '../integration/engine/harness.js';
import { kerasPython } from '../parity/keras.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '3' },
    first: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    epochs: { type: 'string', default: '6' },
    images: { type: 'string', default: '10000' },
    depth: { type: 'string', default: '20' },
  },
});
const [seeds, first, epochs] = [Number(options.seeds), Number(options.first), Number(options.epochs)];
const settings = {
  depth: Number(options.depth),
  batch_size: 32,
  lr_peak: 1e-3,
  l2: 1e-4,
  bn_momentum: 0.9,
  shift: 0.1,
  train_images: Number(options.images),
  validation_images: 2000,
};

type Curve = readonly number[];

async function ours(precision: string, seed: number): Promise<Curve> {
  const checkpointDir = mkdtempSync(join(tmpdir(), 'wattsweep-learning-'));
  const device = { kind: 'cpu', uuids: [], model: 'CPU', threads: 2 } as const;
  const more = { maxEpochs: epochs, seed, checkpointDir, device };
  const runner = await runAttempt(attemptOf({ ...settings, precision }, more));
  rmSync(checkpointDir, { recursive: true });
  if (runner.end.class !== 'completed') throw new Error(runner.end.message);
  return runner.of('epoch').map(({ metrics }) => metrics['val_accuracy'] ?? NaN);
}

async function keras(seed: number): Promise<Curve> {
  const script = fileURLToPath(new URL('./training/keras_learning.py', import.meta.url));
  const given = JSON.stringify({ ...settings, epochs, seed, data: cifar10Folder() });
  const child = spawn(kerasPython(), ['-B', script, given], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  const curve: number[] = [];
  for await (const line of createInterface({ input: child.stdout }))
    curve.push((JSON.parse(line) as { val_accuracy: number }).val_accuracy);
  await exited;
  if (curve.length !== epochs) throw new Error(`Keras ended after ${curve.length} epochs`);
  return curve;
}

const all: Readonly<Record<string, (seed: number) => Promise<Curve>>> = {
  'Keras, float32': keras,
  'ours, float32': (seed) => ours('float32', seed),
  'ours, bfloat16': (seed) => ours('bfloat16', seed),
};
const asked = options.only.split(',');
const contenders = Object.entries(all).filter(([name]) => asked.some((part) => name.includes(part)));

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const deviation = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, x) => sum + (x - mean(values)) ** 2, 0) / (values.length - 1));

const curves = new Map<string, Curve[]>(contenders.map(([name]) => [name, []]));
for (let seed = first; seed < first + seeds; seed++) {
  for (const [name, train] of contenders) {
    const curve = await train(seed);
    curves.get(name)?.push(curve);
    console.error(`seed ${seed}, ${name}: ${curve.map((value) => value.toFixed(4)).join(' ')}`);
  }
}
const after = Array.from({ length: epochs }, (_, epoch) => epoch);
const table = new Table({
  style: { head: [], border: [], compact: true },
  head: ['contender', ...after.map((epoch) => `after ${epoch + 1}`)],
});
for (const [name, runs] of curves) {
  const cells = after.map((epoch) => {
    const values = runs.map((curve) => curve[epoch] ?? NaN);
    return `${mean(values).toFixed(3)} +- ${deviation(values).toFixed(3)}`;
  });
  table.push([name, ...cells]);
  const last = runs.map((curve) => curve.at(-1) ?? NaN);
  const row = { name: `validation accuracy, ${name}`, ours: mean(last), unit: `after ${epochs} epochs` };
  if (options.json) console.log(JSON.stringify({ ...row, low: Math.min(...last), high: Math.max(...last) }));
}
if (!options.json) {
  console.log(table.toString());
  console.log(`mean and standard deviation of ${seeds} seeds; load average ${loadavg()[0]?.toFixed(1)}`);
}
