/**
 * One attempt under its supervisor: starts the runner in a process group of its own, owns its pipes, writes spool, log
 * and exit record, and ends the whole tree when it must.
 *
 * The `end` line is written last, when every process is gone: who reads it may take the slot as free.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedAttempt, ExitRecord, RunRecord } from '../attempts/record.js';
import { parseRunnerLine } from '../attempts/record.js';
import { monotonicMs } from '../host/clock.js';
import { writeJsonSync } from '../host/files.js';
import { LineSplitter } from '../host/lines.js';
import { bootId, identify, killTree, signalTree, type ProcessTree } from '../host/process.js';
import { attemptFiles } from '../layout.js';
import { encodeLine, type AttemptEndClass, type RunnerLine, type StopMode } from '../protocol/runner.js';
import { classifyExit, oomKills } from './exit-class.js';
import { OutputLog } from './output-log.js';
import { SpoolWriter } from './spool-writer.js';

type EndLine = Extract<RunnerLine, { type: 'end' }>;
interface Heard {
  readonly atUnixMs: number;
  readonly monotonicMs: number;
}

const MAX_LINE_BYTES = 1024 * 1024;
/** Time between SIGTERM and SIGKILL, and between a runner's last word and its exit. */
const TERM_MS = 1_000;
const EXIT_MS = 5_000;
/** How long pipes may stay open after the runner's exit: a grandchild can hold them for ever. */
const DRAIN_MS = 300;
const RETRY_MS = 500;
/** A program that prints more than this a second is slowed down, so that it does not take the supervisor's core. */
const OUTPUT_BYTES_PER_SECOND = 8 * 1024 * 1024;

const now = (): Heard => ({ atUnixMs: Date.now(), monotonicMs: monotonicMs() });
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export class AttemptRun {
  readonly #spool: SpoolWriter;
  readonly #output: OutputLog;
  readonly #oomKillsBefore = oomKills();
  readonly #timers = new Set<NodeJS.Timeout>();
  #child: ChildProcess | null = null;
  #tree: ProcessTree;
  #end: { readonly line: EndLine; readonly heard: Heard } | null = null;
  #stop: { readonly mode: StopMode; readonly endAs: 'stopped' | 'preempted' } | null = null;
  #killed = false;
  #gone = false;

  /** Resolves when the attempt is over: processes gone, spool and exit record written. */
  readonly ended: Promise<void>;

  constructor(
    readonly dir: string,
    private readonly accepted: AcceptedAttempt,
    private readonly onSpooled: () => void,
  ) {
    const files = attemptFiles(dir);
    this.#spool = new SpoolWriter(files.spool);
    this.#output = new OutputLog(files.output);
    this.#tree = { group: 0, token: accepted.token };
    this.ended = this.#run();
  }

  /** Asks the runner to end; after `graceMs` the tree is ended by force. */
  stop(mode: StopMode, endAs: 'stopped' | 'preempted', graceMs: number): void {
    if (this.#stop !== null || this.#gone) return;
    this.#stop = { mode, endAs };
    this.#command(encodeLine({ type: 'stop', mode }));
    this.#after(graceMs, () => this.#force());
  }

  #force(): void {
    this.#killed = true;
    signalTree(this.#tree, 'SIGTERM');
    this.#after(TERM_MS, () => signalTree(this.#tree, 'SIGKILL'));
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  #command(line: string): void {
    const input = this.#child?.stdin;
    if (input?.writable === true) input.write(`${line}\n`);
  }

  async #run(): Promise<void> {
    const files = attemptFiles(this.dir);
    const exit = await this.#runChild(files.run);
    this.#gone = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const leftovers = signalTree(this.#tree, 'SIGKILL');
    const stuck = leftovers > 0 ? await killTree(this.#tree) : 0;
    if (stuck > 0) this.#note(`${String(stuck)} processes of this attempt could not be killed`);

    const said = this.#end;
    const line: EndLine =
      said?.line ??
      classifyExit({
        ...exit,
        stop: this.#stop,
        killed: this.#killed,
        oomKill: oomKills() > this.#oomKillsBefore,
        outputTail: this.#output.tail(4096),
      });
    const heard = said?.heard ?? now();
    this.#output.close();
    const record: ExitRecord = {
      code: exit.code,
      signal: exit.signal,
      class: line.class,
      endedAtUnixMs: heard.atUnixMs,
      leftovers,
    };
    this.#spool.append(encodeLine(line), heard);
    await this.#spool.close();
    await persist(files.exit, record);
  }

  /** Resolves when the runner has exited and its pipes are drained. */
  #runChild(runFile: string): Promise<{ code: number | null; signal: string | null }> {
    return new Promise((resolve) => {
      const [program = '', ...args] = this.accepted.runnerCommand;
      const child = spawn(program, args, {
        cwd: this.accepted.spec.workDir,
        env: runnerEnvironment(this.accepted),
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      });
      this.#child = child;
      child.once('error', (error) => {
        // Not started at all; after a start, `exit` tells.
        if (child.pid !== undefined) return;
        this.#end = {
          line: {
            type: 'end',
            class: 'crashed',
            code: 'ATTEMPT_CRASHED',
            message: `The runner could not be started: ${error.message}.`,
          },
          heard: now(),
        };
        resolve({ code: null, signal: null });
      });
      if (child.pid === undefined) return;
      const identity = identify(child.pid);
      this.#tree = { ...this.#tree, group: child.pid };
      const startedAt = now();
      const run: RunRecord = {
        ...identity,
        bootId: bootId(),
        startedAtUnixMs: startedAt.atUnixMs,
        startedMonotonicMs: startedAt.monotonicMs,
      };
      try {
        writeJsonSync(runFile, run);
      } catch (error) {
        // A full disk: the attempt goes on, only the energy of the whole of it will be missing.
        this.#note(`run.json could not be written: ${String(error)}`);
      }

      const facts = child.stdio[3] as Readable;
      const closed = Promise.all([
        this.#pump(facts, new LineSplitter((line) => this.#take(line), MAX_LINE_BYTES)),
        this.#keep(child.stdout),
        this.#keep(child.stderr),
      ]);
      // EPIPE: the runner has gone; its exit tells.
      child.stdin.on('error', () => undefined);
      this.#command(encodeLine({ type: 'run', attempt: this.accepted.spec }));

      child.once('exit', (code, signal) => {
        const done = (): void => {
          // Whoever holds a pipe still must not write into files that are closed.
          for (const stream of child.stdio) stream?.destroy();
          resolve({ code, signal });
        };
        // A turn of the loop after the time: what lies in the pipes is read first, however late the timer is.
        const timer = setTimeout(() => setImmediate(done), DRAIN_MS);
        void closed.then(() => {
          clearTimeout(timer);
          done();
        });
      });
    });
  }

  #pump(stream: Readable, splitter: LineSplitter): Promise<void> {
    stream.on('data', (chunk: Buffer) => splitter.push(chunk));
    return streamEnd(stream);
  }

  #keep(stream: Readable): Promise<void> {
    let budget = OUTPUT_BYTES_PER_SECOND;
    let since = performance.now();
    stream.on('data', (chunk: Buffer) => {
      this.#output.write(chunk);
      const elapsed = performance.now() - since;
      if (elapsed >= 1_000) {
        budget = OUTPUT_BYTES_PER_SECOND;
        since += elapsed;
      }
      budget -= chunk.length;
      if (budget > 0) return;
      stream.pause();
      this.#after(Math.max(1, 1_000 - elapsed), () => stream.resume());
    });
    return streamEnd(stream);
  }

  #take(json: string): void {
    const line = parseRunnerLine(json);
    if (line === null) {
      this.#note(`not a line of the protocol: ${json.slice(0, 200)}`);
      return;
    }
    // After its last word a runner has nothing more to say.
    if (this.#end !== null) return;
    if (line.type === 'end') {
      const said: EndLine = {
        type: 'end',
        class: text(line.class) as AttemptEndClass,
        code: text(line.code),
        message: text(line.message),
      };
      const asked = said.class === 'stopped' && this.#stop !== null ? this.#stop.endAs : said.class;
      this.#end = { line: { ...said, class: asked }, heard: now() };
      // Without more input the runner exits. A later supervisor may give it the slot's next attempt instead.
      this.#child?.stdin?.end();
      this.#after(EXIT_MS, () => this.#force());
      return;
    }
    if (line.type === 'step' && !this.#spool.hasRoom()) return;
    this.#spool.append(json);
    this.onSpooled();
  }

  #note(message: string): void {
    this.#output.write(Buffer.from(`[wattsweep] ${message}\n`));
  }
}

/** Writes a file however long a full disk makes it wait. */
async function persist(path: string, value: unknown): Promise<void> {
  for (;;) {
    try {
      writeJsonSync(path, value);
      return;
    } catch {
      await sleep(RETRY_MS);
    }
  }
}

function streamEnd(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', () => resolve());
    // A broken pipe ends like a closed one.
    stream.on('error', () => undefined);
  });
}

/** The supervisor's environment without what a program must not see, and with what the slot gives. */
function runnerEnvironment(accepted: AcceptedAttempt): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(accepted.environment))
    if (value === null) Reflect.deleteProperty(environment, name);
    else environment[name] = value;
  const [name = '', value] = accepted.token.split('=');
  environment[name] = value;
  return environment;
}
