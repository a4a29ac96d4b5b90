/** A sweep under `up`: submitted or taken up again (`submission.ts`), shown, reported. */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExitCode } from '../../proto/errors.js';
import { TrainerState } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { Coordinator } from '../../client/coordinator.js';
import { shipping, type Packed } from '../code/ship.js';
import { formatSeconds } from '../format.js';
import { sweepJson, trialJson } from '../json.js';
import { liveView } from '../live.js';
import { note, print, printJson, warn } from '../output.js';
import { deliverReport } from '../report-files.js';
import type { SweepFile } from '../sweep-file.js';
import { type SweepView, hasEnded } from '../sweep-view.js';
import { isAway, watchToEnd } from '../watching.js';
import type { UpOptions } from './services.js';
import { submitOrGoOn, type SubmissionOptions } from './submission.js';

export interface SweepRunOptions extends SubmissionOptions {
  /** The code that it ships; null for none. */
  readonly packed: Packed | null;
  readonly reportDir: string;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** While a live table stands, others' words go through it; null ends that. */
  readonly saysThrough: (say: ((text: string) => void) | null) => void;
}

const TRAINERS_WITHIN_MS = 20_000;

/** @returns the exit code. */
export async function runSweep(
  file: SweepFile,
  up: UpOptions,
  grpcAddress: string,
  options: SweepRunOptions,
): Promise<number> {
  const coordinator = new Coordinator({ address: grpcAddress, token: up.token });
  const begun = performance.now();
  try {
    await untilTrainersJoined(coordinator, up.trainers.length, options.signal);
    const shipped = shipping(coordinator, options.packed);
    const sweepId = await submitOrGoOn(shipped, file, up.dataDir, options);
    const live = liveView();
    options.saysThrough((text) => live.say(text));
    const view = await watchToEnd(coordinator, sweepId, { live, signal: options.signal });
    options.saysThrough(null);
    if (view.sweep === null || !hasEnded(view.sweep)) {
      note(`${sweepId} is unfinished; the same command goes on with it`);
      return ExitCode.interrupted;
    }
    return await finish(coordinator, sweepId, view, (performance.now() - begun) / 1000, options);
  } finally {
    options.saysThrough(null);
    coordinator.close();
  }
}

async function untilTrainersJoined(
  coordinator: Coordinator,
  wanted: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + TRAINERS_WITHIN_MS;
  let alive = 0;
  while (alive < wanted && performance.now() < deadline && !signal.aborted) {
    alive = await aliveTrainers(coordinator);
    if (alive < wanted) await sleep(100);
  }
  if (alive < wanted && !signal.aborted) warn(`${alive} of ${wanted} trainers have joined so far`);
}

/** 0 while the coordinator has not yet won its term. */
async function aliveTrainers(coordinator: Coordinator): Promise<number> {
  try {
    const { trainers } = await coordinator.trainers();
    return trainers.filter((trainer) => trainer.state === TrainerState.ALIVE).length;
  } catch (error) {
    if (isAway(error)) return 0;
    throw error;
  }
}

async function finish(
  coordinator: Coordinator,
  sweepId: string,
  view: SweepView,
  seconds: number,
  options: SweepRunOptions,
): Promise<number> {
  const files = await deliverReport(await coordinator.report(sweepId), resolve(options.reportDir, sweepId), {
    printMarkdown: !options.json,
  });
  const succeeded = view.sweep?.trialsByState['succeeded'] ?? 0;
  if (options.json) {
    printJson({
      sweep: view.sweep === null ? null : sweepJson(view.sweep),
      trials: [...view.trials.values()].map(trialJson),
      report: files,
      seconds,
    });
  } else {
    print('');
    for (const file of files) print(file);
  }
  note(`${sweepId} took ${formatSeconds(seconds)}`);
  if (succeeded > 0) return ExitCode.ok;
  note('no trial succeeded; `wattsweep explain TRIAL` says why');
  return ExitCode.noResult;
}
