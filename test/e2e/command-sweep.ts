/** Sweeps of `curve.mjs`: a Node start an attempt instead of a TensorFlow start. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Ledger } from './ledger.js';
import { type Sandbox, root } from './support.js';

export const allowCurve = ['--allow-command', process.execPath];

export interface CurveSweep {
  readonly trials: number;
  readonly epochs: number;
  readonly epochSeconds: number;
  /** Whether it goes on from its checkpoint. @default false */
  readonly resumes?: boolean;
}

const logOf = (box: Sandbox): string => join(box.dir, 'trained.jsonl');

/** Programs train no further than epoch 2 until the function that is returned is called. */
export function holdTraining(box: Sandbox): () => void {
  writeFileSync(`${logOf(box)}.hold`, '');
  return () => rmSync(`${logOf(box)}.hold`);
}

/** @returns the sweep file. */
export function writeCurveSweep(
  box: Sandbox,
  { trials, epochs, epochSeconds, resumes = false }: CurveSweep,
): string {
  const program = [process.execPath, join(root, 'test/fixtures/programs/curve.mjs')];
  const path = join(box.dir, 'sweep.yaml');
  const rates = Array.from({ length: trials }, (_, i) => i + 1);
  writeFileSync(
    path,
    [
      'name: curve',
      `command: ${JSON.stringify([...program, logOf(box), String(epochSeconds), '{lr}', ...(resumes ? ['resume'] : [])])}`,
      'objective: { metric: score, goal: maximize }',
      `max_epochs: ${epochs}`,
      `sweep: { lr: ${JSON.stringify(rates)} }`,
    ].join('\n'),
  );
  return path;
}

export interface TrainedEpoch {
  readonly trial: string;
  readonly pid: number;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What the programs themselves say that they trained, whoever heard of it. */
export function trainedEpochs(box: Sandbox): TrainedEpoch[] {
  try {
    const lines = readFileSync(logOf(box), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line) as TrainedEpoch);
  } catch {
    return [];
  }
}

/** Every trial ended once, as a success, with each of its epochs accepted once. */
export function expectWhole(ledger: Ledger, trials: number, epochs: number): void {
  expect(ledger.of('trial_created')).toHaveLength(trials);
  const ended = ledger.of('trial_ended');
  expect(ended.filter((event) => event.state !== 'succeeded')).toEqual([]);
  expect([...ledger.count('trial_ended', (event) => event.trialId).values()]).toEqual(Array(trials).fill(1));
  const accepted = ledger.count('epoch_accepted', (event) => `${event.trialId} ${event.record.epoch}`);
  expect(accepted.size).toBe(trials * epochs);
  expect(new Set(accepted.values())).toEqual(new Set([1]));
  expect(ledger.of('sweep_ended').map((event) => event.state)).toEqual(['completed']);
}
