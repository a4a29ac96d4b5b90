/**
 * Any program as a recipe. It gets its parameters as a JSON file (`WATTSWEEP_PARAMETERS_FILE`) and in the environment
 * (`WATTSWEEP_PARAMETER_<NAME>`), reports by printing flat JSON objects with an `epoch`, one a line, and is asked to stop by
 * SIGTERM. What else it prints goes to the attempt's log.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { LineSplitter } from '../../../host/lines.js';
import { boxFaultIn, isOutOfMemory } from '../../../protocol/last-words.js';
import type { AttemptSpec, RunnerLine } from '../../../protocol/runner.js';
import type { AttemptContext, AttemptEnd, RunRecipe } from '../recipe.js';
import { completed } from '../recipe.js';
import { parseReport } from './report.js';

/** From the request to stop to the kill of the whole process group. */
const GRACE_MS = Number(process.env['WATTSWEEP_STOP_GRACE_MS'] ?? 30_000);
const MAX_LINE_BYTES = 64 * 1024;
/** From the program's exit to the end of its output. */
const DRAIN_MS = 2_000;

/** Runs `attempt.command` to its end. */
export const runCommand: RunRecipe = async (attempt, context) => {
  const [program, ...args] = attempt.command;
  if (program === undefined) {
    return { class: 'refused', code: 'PARAMETER_REFUSED', message: 'command: it names no program' };
  }
  for (const folder of [attempt.workDir, attempt.checkpointDir]) mkdirSync(folder, { recursive: true });
  const child = spawn(program, args, {
    cwd: attempt.workDir,
    env: { ...process.env, ...environment(attempt), ...context.environment },
    // A group of its own, so that a stop reaches what the program started, and not the runner.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const reports = new Reports(context);
  const lines = new LineSplitter((line) => reports.take(line), MAX_LINE_BYTES);
  child.stdout.on('data', (chunk: Buffer) => {
    lines.push(chunk);
    reports.flush();
  });
  const complaints = new Tail();
  child.stderr.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    complaints.push(chunk);
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null } | Error>((resolve) => {
    child.on('error', resolve);
    child.on('exit', (code, signal) => {
      const ended = (): void => resolve({ code, signal });
      // What the program leaves behind may hold its output open for ever.
      const timer = setTimeout(ended, DRAIN_MS);
      child.on('close', () => {
        clearTimeout(timer);
        ended();
      });
    });
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone already.
    }
  };
  context.report({
    type: 'started',
    device: { kind: attempt.device.kind, name: attempt.device.model },
    engine: { name: 'command', program },
    trainableParameters: null,
    stepsPerEpoch: null,
    resumedEpoch: 0,
  });
  let killer: NodeJS.Timeout | undefined;
  let asked = false;
  void context.stopped.then((request) => {
    asked = true;
    kill(request === 'cancel' ? 'SIGKILL' : 'SIGTERM');
    killer = setTimeout(() => kill('SIGKILL'), GRACE_MS);
  });
  const exit = await exited;
  clearTimeout(killer);
  // A last line may lack its end.
  lines.push(Buffer.from('\n'));
  reports.flush();
  reports.ignored += lines.dropped;
  kill('SIGKILL');
  child.stdout.destroy();
  child.stderr.destroy();
  return ending(program, exit, asked, reports, complaints);
};

function environment(attempt: AttemptSpec): Record<string, string> {
  const file = join(attempt.workDir, 'parameters.json');
  writeFileSync(file, `${JSON.stringify(attempt.parameters, undefined, 2)}\n`);
  const parameters = Object.entries(attempt.parameters).map(([name, value]) => [
    `WATTSWEEP_PARAMETER_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return {
    ...(Object.fromEntries(parameters) as Record<string, string>),
    WATTSWEEP_PARAMETERS_FILE: file,
    WATTSWEEP_TRIAL: attempt.key.trialId,
    WATTSWEEP_SEED: String(attempt.seed),
    WATTSWEEP_REPEAT: String(attempt.repeat),
    WATTSWEEP_MAX_EPOCHS: String(attempt.maxEpochs),
    WATTSWEEP_CHECKPOINT_DIR: attempt.checkpointDir,
    WATTSWEEP_RESUME_FROM: attempt.resumeFrom ?? '',
    OMP_NUM_THREADS: String(attempt.device.threads),
  };
}

const TAIL_BYTES = 4096;
const SENTENCE_LENGTH = 300;

/** The last words of a stream. */
class Tail {
  #tail = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
  }

  get text(): string {
    return this.#tail.toString('utf8');
  }

  /** Where programs say what went wrong; empty when there is none. */
  get lastLine(): string {
    return this.text.trim().split('\n').at(-1)?.trim().slice(0, SENTENCE_LENGTH) ?? '';
  }
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

type EpochLine = Extract<RunnerLine, { type: 'epoch' }>;

/**
 * Turns the program's lines into facts; epochs must rise. An epoch lasts from the report before it (the first: from the
 * program's start) to its own: what a program does in between, evaluation and checkpoints too, is what it costs.
 */
class Reports {
  /** Reports taken. */
  count = 0;
  /** Lines that begin like a report and are none, or are too long. */
  ignored = 0;
  #epoch = 0;
  #beginMs = monotonicMs();
  #taken: EpochLine[] = [];
  readonly #context: AttemptContext;

  constructor(context: AttemptContext) {
    this.#context = context;
  }

  take(line: string): void {
    const report = parseReport(line);
    if (report === 'log') {
      process.stdout.write(`${line}\n`);
    } else if (report === 'malformed' || report.epoch <= this.#epoch) {
      this.ignored++;
      process.stdout.write(`ignored: ${line.slice(0, 200)}\n`);
    } else {
      this.count++;
      this.#epoch = report.epoch;
      const window = { beginMonotonicMs: this.#beginMs, endMonotonicMs: monotonicMs() };
      this.#beginMs = window.endMonotonicMs;
      this.#taken.push({
        type: 'epoch',
        epoch: report.epoch,
        step: report.step,
        metrics: report.metrics,
        trainSeconds: (window.endMonotonicMs - window.beginMonotonicMs) / 1000,
        evaluationSeconds: null,
        dataWaitSeconds: null,
        samplesPerSecond: null,
        trainWindow: window,
        evaluationWindow: null,
      });
    }
  }

  /** Reports what has been taken. */
  flush(): void {
    if (this.#taken.length > 0) this.#context.report(...this.#taken);
    this.#taken = [];
  }
}

function ending(
  program: string,
  exit: { code: number | null; signal: NodeJS.Signals | null } | Error,
  asked: boolean,
  reports: Reports,
  complaints: Tail,
): AttemptEnd {
  const crashed = (message: string, code = 'ATTEMPT_CRASHED'): AttemptEnd => ({
    class: 'crashed',
    code,
    message,
  });
  const failed = (message: string): AttemptEnd => {
    if (isOutOfMemory(complaints.text))
      return { class: 'out_of_memory', code: 'ATTEMPT_OUT_OF_MEMORY', message };
    return crashed(message, boxFaultIn(complaints.text)?.code);
  };
  if (exit instanceof Error) return crashed(`${program} could not be started: ${exit.message}`);
  if (asked) {
    const how = exit.signal === null ? `exit code ${exit.code ?? ''}` : exit.signal;
    return { class: 'stopped', code: '', message: `${program} ended with ${how} after the request to stop` };
  }
  const lastWords = complaints.lastLine;
  const said = lastWords === '' ? '' : `: ${lastWords}`;
  const ignored = reports.ignored === 0 ? '' : `; ${reports.ignored} lines were no reports`;
  if (exit.signal !== null) {
    return failed(
      `${program} was ended by ${exit.signal} (${constants.signals[exit.signal]})${said}${ignored}`,
    );
  }
  if (exit.code !== 0) return failed(`${program} ended with exit code ${exit.code ?? ''}${said}${ignored}`);
  if (reports.count === 0) return crashed(`${program} ended without a report${said}${ignored}`, 'NO_REPORT');
  return completed;
}
