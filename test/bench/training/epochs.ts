/**
 * Whole epochs: augmentation, training, validation, telemetry and a checkpoint, by our runner as a trainer starts it and by
 * Keras' `fit` with ImageDataGenerator and ModelCheckpoint. The first epoch of each, in which graphs are made, is left out.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cifar10Folder } from '../../../services/trainer/runner/engine.js';
import { RunnerProcess, attemptOf } from '../../integration/engine/harness.js';
import { kerasPython } from '../../parity/keras.js';
import type { Cell } from './contender.js';

/** Of one epoch. Processor time is summed over threads. */
export interface EpochTime {
  readonly wallSeconds: number;
  readonly processorSeconds: number;
  /** Share of the training time that waited for data; null where that is not told. */
  readonly dataWait: number | null;
}

export interface Sizes {
  readonly images: number;
  readonly validationImages: number;
  readonly threads: number;
}

/** After the first, which is not counted. */
const EPOCHS = 2;

type Moment = Pick<EpochTime, 'wallSeconds' | 'processorSeconds'>;

/** Times between moments at the ends of epochs. */
const between = (moments: readonly Moment[], dataWaits: readonly (number | null)[]): EpochTime[] =>
  moments.slice(1).map((moment, index) => ({
    wallSeconds: moment.wallSeconds - (moments[index]?.wallSeconds ?? NaN),
    processorSeconds: moment.processorSeconds - (moments[index]?.processorSeconds ?? NaN),
    dataWait: dataWaits[index + 1] ?? null,
  }));

/** Ticks of a hundredth of a second (Linux). */
const TICKS_A_SECOND = 100;

function processorSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return NaN;
  }
}

const settingsOf = ({ depth, batch }: Cell, { images, validationImages }: Sizes) => ({
  depth,
  batch_size: batch,
  train_images: images,
  validation_images: validationImages,
});

async function ours(cell: Cell, sizes: Sizes, precision: string): Promise<EpochTime[]> {
  const checkpointDir = mkdtempSync(join(tmpdir(), 'wattsweep-epochs-'));
  const device = { kind: 'cpu', uuids: [], model: 'CPU', threads: sizes.threads } as const;
  const runner = new RunnerProcess();
  try {
    const parameters = { ...settingsOf(cell, sizes), precision };
    runner.run(attemptOf(parameters, { maxEpochs: EPOCHS + 1, checkpointDir, device }));
    const moments: Moment[] = [];
    for (let epoch = 1; epoch <= EPOCHS + 1; epoch++) {
      await runner.line('checkpoint', epoch);
      moments.push({
        wallSeconds: performance.now() / 1000,
        processorSeconds: processorSeconds(runner.pid),
      });
    }
    const waits = runner
      .of('epoch')
      .map((epoch) => (epoch.dataWaitSeconds ?? NaN) / (epoch.trainSeconds ?? NaN));
    return between(moments, waits);
  } finally {
    runner.endInput();
    await runner.exited;
    rmSync(checkpointDir, { recursive: true });
  }
}

async function keras(cell: Cell, sizes: Sizes, stepsPerExecution: number): Promise<EpochTime[]> {
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-epochs-'));
  const script = fileURLToPath(new URL('./keras_epochs.py', import.meta.url));
  const given = {
    ...settingsOf(cell, sizes),
    steps_per_execution: stepsPerExecution,
    epochs: EPOCHS + 1,
    data: cifar10Folder(),
    checkpoint: join(folder, 'last.keras'),
  };
  const child = spawn(kerasPython(), ['-B', script, JSON.stringify(given)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  const moments: Moment[] = [];
  for await (const line of createInterface({ input: child.stdout })) moments.push(JSON.parse(line) as Moment);
  await exited;
  rmSync(folder, { recursive: true });
  if (moments.length !== EPOCHS + 1) throw new Error('Keras ended: run keras_epochs.py by hand to see why');
  return between(moments, []);
}

export interface EpochContender {
  readonly name: string;
  readonly isPeer: boolean;
  readonly measure: (cell: Cell, sizes: Sizes) => Promise<EpochTime[]>;
}

export const epochContenders: readonly EpochContender[] = [
  ...[1, 8].map((steps) => ({
    name: `Keras fit with its generator, steps_per_execution ${steps}`,
    isPeer: true,
    measure: (cell: Cell, sizes: Sizes) => keras(cell, sizes, steps),
  })),
  ...['float32', 'bfloat16'].map((precision) => ({
    name: `ours, ${precision}`,
    isPeer: false,
    measure: (cell: Cell, sizes: Sizes) => ours(cell, sizes, precision),
  })),
];
