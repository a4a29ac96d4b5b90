/** A sweep under `up`: submitted (or taken up again after an interruption), shown, reported. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExitCode, WattsweepError } from '../../proto/errors.js';
import { TrainerState } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { Coordinator } from '../../client/coordinator.js';
import { formatSeconds } from '../format.js';
import { sweepJson, trialJson } from '../json.js';
import { liveView } from '../live.js';
import { note, print, printJson, warn } from '../output.js';
import { deliverReport } from '../report-files.js';
import type { SweepFile } from '../sweep-file.js';
import { type SweepView, hasEnded } from '../sweep-view.js';
import { isAway, watchToEnd } from '../watching.js';
import type { UpOptions } from './services.js';

export interface SweepRunOptions {
  readonly overrides: readonly string[];
  /** Also where an interrupted sweep of that name waits. */
  readonly anew: boolean;
  readonly smoke: boolean;
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
    const sweepId = await submitOrGoOn(coordinator, file, up.dataDir, options);
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

/** What this folder ran last: an interrupted `up SWEEP` typed again goes on instead of starting anew. */
interface LastSweep {
  readonly sweepId: string;
  readonly digest: string;
  /** Of the sweep. Absent in files of versions that did not write it. */
  readonly name?: string;
}

async function submitOrGoOn(
  coordinator: Coordinator,
  { yaml, spec: { name } }: SweepFile,
  dataDir: string,
  { overrides, anew, smoke }: Pick<SweepRunOptions, 'overrides' | 'anew' | 'smoke'>,
): Promise<string> {
  const path = join(dataDir, 'last-sweep.json');
  const digest = createHash('sha256')
    .update(JSON.stringify([yaml, overrides]))
    .digest('hex');
  const last = readLast(path);
  const isSame = last !== null && (last.digest === digest || last.name === name);
  if (isSame && (await isUnfinished(coordinator, last.sweepId))) {
    const { sweepId } = last;
    if (!anew) {
      note(`going on with ${sweepId}, which was interrupted`);
      if (last.digest !== digest) await sayWhatChanged(coordinator, { sweepId, yaml, overrides });
      return sweepId;
    }
    note(`${sweepId} is unfinished and shares the slots; \`wattsweep stop ${sweepId}\` ends it`);
  }
  const requestId = crypto.randomUUID();
  const accepted = await coordinator.submit({ yaml, overrides, requestId, smoke });
  for (const warning of accepted.warnings) warn(warning);
  writeFileSync(path, JSON.stringify({ sweepId: accepted.sweepId, digest, name } satisfies LastSweep));
  return accepted.sweepId;
}

async function sayWhatChanged(
  coordinator: Coordinator,
  request: { readonly sweepId: string; readonly yaml: string; readonly overrides: readonly string[] },
): Promise<void> {
  const differences = await coordinator.compare(request);
  if (differences.length === 0) return;
  warn(`the file has changed since ${request.sweepId} was submitted, and what is recorded holds:`);
  for (const difference of differences) note(`  ${difference}`);
  note(
    'To run the file as it is now, add --new. Points, repeats and epochs can be added by `wattsweep extend`.',
  );
}

function readLast(path: string): LastSweep | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LastSweep;
  } catch {
    return null;
  }
}

async function isUnfinished(coordinator: Coordinator, sweepId: string): Promise<boolean> {
  try {
    const { sweep } = await coordinator.get(sweepId);
    return sweep !== undefined && !hasEnded(sweep);
  } catch (error) {
    if (error instanceof WattsweepError && error.code === 'SWEEP_NOT_FOUND') return false;
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
