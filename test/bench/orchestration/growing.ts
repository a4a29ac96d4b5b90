/** How the cost of a trial and of a report grows with their number, and what the first point of a huge grid costs. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decide, initialState } from '../../../services/coordinator/core/index.js';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { trainer } from '../../support/core.js';
import type { Milestone } from './growth.js';

export interface Growth {
  readonly method: 'grid' | 'random';
  readonly milestones: readonly Milestone[];
}

const PROGRAM = fileURLToPath(new URL('growth.ts', import.meta.url));
const WITHIN_MS = 600_000;

export async function growth(trials: number): Promise<readonly Growth[]> {
  const all: Growth[] = [];
  for (const method of ['grid', 'random'] as const) {
    const args = ['--expose-gc', '--import', 'tsx', PROGRAM, method, String(trials)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: WITHIN_MS });
    all.push({ method, milestones: JSON.parse(stdout) as Milestone[] });
  }
  return all;
}

/** Processor microseconds of a trial, its reports included, or of a report, its share of the trial included. */
export const costOf = (milestone: Milestone, what: 'trials' | 'reports'): number =>
  (1e6 * milestone.processorSeconds) / milestone[what];

export interface FirstPoint {
  readonly points: number;
  /** From the sweep file's text to the assignment of its first trial. */
  readonly milliseconds: number;
}

const MILLION = `name: million
recipe: resnet-cifar10
objective: { metric: val_accuracy, goal: maximize }
max_epochs: 1
sweep:
  lr_peak: { min: 0.001, max: 1, count: 1000 }
  weight_decay: { min: 0.0001, max: 0.1, count: 1000 }
`;

/** Once: what a user waits for, nothing of it compiled or cached. */
export function firstPoint(): FirstPoint {
  const state = initialState();
  const at = Date.now();
  const settings = { retries: { crashed: 2, lost: 5, preempted: 10 } };
  decide(state, {
    type: 'lead',
    ledgerId: 'bench',
    termId: 'bench-term',
    coordinatorId: 'bench',
    settings,
    at,
  });
  decide(state, { type: 'trainer_seen', trainer: trainer('box'), at });
  const begin = performance.now();
  const { spec } = parseSweepFile(MILLION);
  const { actions } = decide(state, {
    type: 'submit',
    sweepId: 'million',
    spec,
    source: MILLION,
    requestId: '',
    at,
  });
  const milliseconds = performance.now() - begin;
  if (!actions.some(({ type }) => type === 'start_attempt')) throw new Error('no trial was assigned');
  return { points: state.sweeps.get('million')?.points ?? 0, milliseconds };
}
