/**
 * The replay recipe: tells the epochs of a recorded training run, one after another, at the recorded pace times
 * `speed`. It computes nothing and says so: seconds, watts and joules are those that were published, of the device that
 * was measured then, under an energy method of their own.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunnerLine } from '../../../protocol/runner.js';
import { completed, type AttemptContext, type RunRecipe } from '../recipe.js';
import { completeParameters } from '../validate.js';
import { replay } from './recipe.js';
import { findRecording, loadTrace, type Recording, type Wanted } from './trace.js';

/** A model of its own: what was measured elsewhere is never averaged with what this box measures. */
export const REPLAYED_DEVICE = 'Tesla V100 (replayed)';

const EPOCH_FILE = 'epoch';

export const runReplay: RunRecipe = async (attempt, context) => {
  const { speed, ...wanted } = completeParameters(replay, attempt.parameters) as unknown as Wanted & {
    readonly speed: number;
  };
  const { run, secondsPerEpoch, watts, targetEpoch } = recordingOf(wanted, attempt.repeat);
  const resumedEpoch = attempt.resumeFrom === null ? 0 : readEpoch(attempt.resumeFrom);
  const told = new Together(context);
  told.add({
    type: 'started',
    device: { kind: 'gpu', name: REPLAYED_DEVICE },
    engine: { name: 'replay', trace: 'Zeus, NSDI 2023' },
    trainableParameters: null,
    stepsPerEpoch: null,
    resumedEpoch,
    watts,
  });
  const beginMs = performance.now();
  // The command to begin was read just now.
  breathedMs = beginMs;
  for (let epoch = resumedEpoch + 1; epoch <= attempt.maxEpochs; epoch++) {
    await until(beginMs + ((epoch - resumedEpoch) * secondsPerEpoch * 1000) / speed, context, told);
    const request = context.stopRequested();
    if (request !== null) {
      told.flush();
      if (request !== 'cancel' && epoch > 1) writeCheckpoint(attempt.checkpointDir, epoch - 1, context);
      return { class: 'stopped', code: '', message: `stopped after epoch ${epoch - 1}` };
    }
    const isReached = targetEpoch !== null && epoch >= targetEpoch;
    told.add({
      type: 'epoch',
      epoch,
      step: 0,
      metrics: { target_reached: isReached ? 1 : 0, recorded_run: run },
      trainSeconds: secondsPerEpoch,
      evaluationSeconds: null,
      dataWaitSeconds: null,
      samplesPerSecond: null,
      trainWindow: null,
      evaluationWindow: null,
      trainJoules: secondsPerEpoch * watts,
    });
    // What came later is not in the trace.
    if (isReached) break;
  }
  told.flush();
  return completed;
};

type Line = Exclude<RunnerLine, { type: 'end' }>;

/** Most lines that are told together. */
const MOST_TOGETHER = 100;

/** Lines of the same moment, told in one piece. */
class Together {
  #lines: Line[] = [];

  constructor(private readonly context: AttemptContext) {}

  add(line: Line): void {
    this.#lines.push(line);
    if (this.#lines.length >= MOST_TOGETHER) this.flush();
  }

  /** To be called before each wait. */
  flush(): void {
    if (this.#lines.length === 0) return;
    this.context.report(...this.#lines);
    this.#lines = [];
  }
}

/** Searching the trace takes longer than a short replay: what has been found is kept for the next attempt. */
const found = new Map<string, Recording>();
const MAX_FOUND = 1_000;

function recordingOf(wanted: Wanted, repeat: number): Recording {
  const key = JSON.stringify([wanted, repeat]);
  const recording = found.get(key) ?? findRecording(loadTrace(), wanted, repeat);
  if (found.size < MAX_FOUND) found.set(key, recording);
  return recording;
}

/** How long a fast replay goes on before commands are read. */
const BREATH_MS = 2;
let breathedMs = -Infinity;

/** Waits for a moment of `performance.now()`, or for a request to stop. */
async function until(atMs: number, context: AttemptContext, told: Together): Promise<void> {
  const nowMs = performance.now();
  const leftMs = atMs - nowMs;
  if (leftMs < 1) {
    if (nowMs - breathedMs < BREATH_MS) return;
    breathedMs = nowMs;
    told.flush();
    await context.breathe();
    return;
  }
  told.flush();
  const waiting = new AbortController();
  await Promise.race([
    sleep(leftMs, undefined, { signal: waiting.signal }).catch(() => undefined),
    context.stopped,
  ]);
  waiting.abort();
}

function writeCheckpoint(folder: string, epoch: number, context: AttemptContext): void {
  const path = join(folder, `epoch-${epoch}`);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, EPOCH_FILE), `${epoch}\n`);
  context.report({ type: 'checkpoint', epoch, path });
}

const readEpoch = (folder: string): number => Number(readFileSync(join(folder, EPOCH_FILE), 'utf8'));
