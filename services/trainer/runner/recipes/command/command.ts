/**
 * Any program as a recipe. It gets its parameters as a JSON file (`WATTSWEEP_PARAMETERS_FILE`) and in the environment
 * (`WATTSWEEP_PARAMETER_<NAME>`), reports by printing flat JSON objects with an `epoch`, one a line, and is asked to stop by
 * SIGTERM. What else it prints goes to the attempt's log.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { LineSplitter } from '../../../host/lines.js';
import { boxFaultIn, isOutOfMemory } from '../../../protocol/last-words.js';
import type { AttemptSpec, Collect, RunnerLine } from '../../../protocol/runner.js';
import type { AttemptContext, AttemptEnd, RunRecipe } from '../recipe.js';
import { completed } from '../recipe.js';
import type { Collector } from './collect/collector.js';
import { createCollector } from './collect/index.js';
import { linkCode } from './link-code.js';
import { parseReport, type CommandReport } from './report.js';

/** From the request to stop to the kill of the whole process group. */
const GRACE_MS = Number(process.env['WATTSWEEP_STOP_GRACE_MS'] ?? 30_000);
const MAX_LINE_BYTES = 64 * 1024;
/** Between two looks at files from which epochs are read. */
const LOOK_MS = 200;
/** From the program's exit to the end of its output. */
const DRAIN_MS = 2_000;

/** Runs `attempt.command` to its end. */
export const runCommand: RunRecipe = async (attempt, context) => {
  const [program, ...args] = attempt.command;
  if (program === undefined) {
    return { class: 'refused', code: 'PARAMETER_REFUSED', message: 'command: it names no program' };
  }
  for (const folder of [attempt.workDir, attempt.checkpointDir]) mkdirSync(folder, { recursive: true });
  if (attempt.code !== undefined) linkCode(attempt.code, attempt.workDir);
  const folder = attempt.runDir ?? attempt.workDir;
  const reports = new Reports(context);
  const collector =
    attempt.collect === undefined ? null : collectorOf(attempt, attempt.collect, folder, reports);
  const env = { ...process.env, ...environment(attempt), ...context.environment };
  if (attempt.environmentFile !== undefined) writeEnvironment(attempt.environmentFile, env);
  const child = spawn(program, args, {
    cwd: folder,
    env,
    // A group of its own, so that a stop reaches what the program started, and not the runner.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = new LineSplitter((line) => {
    if (collector === null) reports.take(line);
    else {
      process.stdout.write(`${line}\n`);
      collector.line?.(line);
    }
  }, MAX_LINE_BYTES);
  child.stdout.on('data', (chunk: Buffer) => {
    lines.push(chunk);
    reports.flush();
  });
  const complaints = new Tail();
  child.stderr.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    complaints.push(chunk);
  });
  const look = collector?.look;
  const looking =
    look === undefined
      ? undefined
      : setInterval(() => {
          look(false);
          reports.flush();
        }, LOOK_MS);
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
  clearInterval(looking);
  // A last line may lack its end.
  lines.push(Buffer.from('\n'));
  look?.(true);
  reports.flush();
  reports.ignored += lines.dropped;
  kill('SIGKILL');
  child.stdout.destroy();
  child.stderr.destroy();
  const source = collector === null ? 'a report' : 'an epoch in what is collected';
  return ending(program, exit, asked, reports, complaints, source);
};

/** Notes of a collector that stand in the log. */
const MOST_NOTES = 20;

function collectorOf(attempt: AttemptSpec, collect: Collect, folder: string, reports: Reports): Collector {
  const noted = new Set<string>();
  const note = (text: string): void => {
    if (noted.has(text) || noted.size >= MOST_NOTES) return;
    noted.add(text);
    process.stdout.write(`wattsweep: ${text}\n`);
  };
  const collector = createCollector(collect, {
    folder,
    objective: attempt.objective,
    take: (report) => reports.hear(report, `epoch ${report.epoch}, which is not later than the one before`),
    note,
  });
  const { look } = collector;
  if (look === undefined) return collector;
  return {
    look: (isLast) => {
      try {
        look(isLast);
      } catch (error) {
        note(`what is collected cannot be read: ${String(error)}`);
      }
    },
  };
}

function environment(attempt: AttemptSpec): Record<string, string> {
  // Beside the code there may be another `parameters.json`.
  const file = join(
    attempt.workDir,
    attempt.code === undefined ? 'parameters.json' : 'wattsweep-parameters.json',
  );
  // The code may have a file of that name: the link goes, not what all attempts share behind it.
  rmSync(file, { force: true });
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

/** What a wrapper must hand on to the program inside: a line a variable, as `docker run --env-file` reads it. */
function writeEnvironment(path: string, env: NodeJS.ProcessEnv): void {
  const ours = /^(WATTSWEEP_.*|CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|OMP_NUM_THREADS)$/;
  const lines = Object.entries(env).flatMap(([name, value]) =>
    ours.test(name) && value?.includes('\n') === false ? [`${name}=${value}\n`] : [],
  );
  writeFileSync(path, lines.join(''));
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
    if (report === 'log') process.stdout.write(`${line}\n`);
    else if (report === 'malformed') this.#ignore(line);
    else this.hear(report, line);
  }

  #ignore(line: string): void {
    this.ignored++;
    process.stdout.write(`ignored: ${line.slice(0, 200)}\n`);
  }

  /** @param line as it stands in the log when the report is none */
  hear(report: CommandReport, line: string): void {
    if (report.epoch <= this.#epoch) this.#ignore(line);
    else {
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
  /** What is missed when it has told no epoch. */
  source: string,
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
  if (reports.count === 0) return crashed(`${program} ended without ${source}${said}${ignored}`, 'NO_REPORT');
  return completed;
}
