/**
 * A runner child of the slot: its pipes, its identity, its end. It serves one attempt at a time, and may serve several
 * one after another; what it prints while it has none is dropped.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedAttempt } from '../attempts/record.js';
import { LineSplitter } from '../host/lines.js';
import { identify, killTree, type ProcessIdentity } from '../host/process.js';
import { encodeLine, type RunnerCommand } from '../protocol/runner.js';

/** Who hears the runner while it serves an attempt. */
export interface RunnerListener {
  /** Lines on descriptor 3 that came together. */
  onLines(lines: readonly string[]): void;
  /** What it printed. */
  onOutput(chunk: Buffer): void;
  /** It has exited and its pipes are drained; told at once when that was before. */
  onExit(exit: RunnerExit): void;
}

export interface RunnerExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started; null when it was. */
  readonly startError: Error | null;
}

const TOKEN_NAME = 'WATTSWEEP_RUNNER_TOKEN';
const MAX_LINE_BYTES = 1024 * 1024;
/** How long pipes may stay open after the runner's exit: a grandchild can hold them for ever. */
const DRAIN_MS = 300;
/** From the end of its input to its exit, for a runner without an attempt. */
const LEAVE_MS = 1_000;
/** A program that prints more than this a second is slowed down, so that it does not take the supervisor's core. */
const OUTPUT_BYTES_PER_SECOND = 8 * 1024 * 1024;

export class RunnerProcess {
  /** Null when it could not be started. */
  readonly identity: ProcessIdentity | null;
  /** `NAME=value` in its environment and in that of all that it starts. */
  readonly token: string;
  /**
   * Resolves when it has exited and its pipes are drained. It lives through many attempts: what waits for it in each of them
   * would pile up here, and listens instead.
   */
  readonly exited: Promise<RunnerExit>;
  readonly #child: ChildProcess;
  #listener: RunnerListener | null = null;
  #lives = true;
  #exit: RunnerExit | null = null;

  /** Starts the program that `accepted` names, in `folder`. Errors of the start are told by {@link exited}. */
  constructor(accepted: AcceptedAttempt, folder: string) {
    const [program = '', ...args] = accepted.runnerCommand;
    const secret = randomBytes(16).toString('hex');
    this.token = `${TOKEN_NAME}=${secret}`;
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...environmentOf(accepted), [TOKEN_NAME]: secret },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.identity = child.pid === undefined ? null : identify(child.pid);
    this.exited = new Promise((resolve) => {
      child.once('error', (startError) => {
        // After a start, `exit` tells.
        if (child.pid === undefined) resolve({ code: null, signal: null, startError });
      });
      if (child.pid !== undefined) this.#attend(resolve);
    });
    void this.exited.then((exit) => {
      this.#lives = false;
      this.#exit = exit;
      this.#listener?.onExit(exit);
    });
  }

  #attend(resolve: (exit: RunnerExit) => void): void {
    const child = this.#child;
    const [, ...outputs] = child.stdio.slice(0, 3) as Readable[];
    const facts = child.stdio[3] as Readable;
    const closed = Promise.all([
      this.#pumpFacts(facts),
      ...outputs.map((stream) => this.#pumpOutput(stream)),
    ]);
    // EPIPE: the runner has gone; its exit tells.
    child.stdin?.on('error', () => undefined);
    child.once('exit', (code, signal) => {
      this.#lives = false;
      const done = (): void => {
        // Whoever holds a pipe still must not write to who does not listen any more.
        for (const stream of child.stdio) stream?.destroy();
        resolve({ code, signal, startError: null });
      };
      // A turn of the loop after the time: what lies in the pipes is read first, however late the timer is.
      const timer = setTimeout(() => void setImmediate().then(done), DRAIN_MS);
      void closed.then(() => {
        clearTimeout(timer);
        done();
      });
    });
  }

  #pumpFacts(stream: Readable): Promise<void> {
    let lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line), MAX_LINE_BYTES);
    stream.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      if (lines.length === 0) return;
      this.#listener?.onLines(lines);
      lines = [];
    });
    return streamEnd(stream);
  }

  #pumpOutput(stream: Readable): Promise<void> {
    let budget = OUTPUT_BYTES_PER_SECOND;
    let since = performance.now();
    stream.on('data', (chunk: Buffer) => {
      this.#listener?.onOutput(chunk);
      const elapsed = performance.now() - since;
      if (elapsed >= 1_000) {
        budget = OUTPUT_BYTES_PER_SECOND;
        since += elapsed;
      }
      budget -= chunk.length;
      if (budget > 0) return;
      stream.pause();
      setTimeout(() => stream.resume(), Math.max(1, 1_000 - elapsed)).unref();
    });
    return streamEnd(stream);
  }

  /** False from its exit on. */
  get lives(): boolean {
    return this.#lives;
  }

  /** Gives the runner's words to `listener`, or to nobody. */
  listen(listener: RunnerListener | null): void {
    this.#listener = listener;
    if (this.#exit !== null) listener?.onExit(this.#exit);
  }

  send(command: RunnerCommand): void {
    const input = this.#child.stdin;
    if (input?.writable === true) input.write(`${encodeLine(command)}\n`);
  }

  /** Without more input it exits, after its attempt if it has one. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /**
   * Resolves when all that it printed before its last line on descriptor 3 has been heard: a runner that stays has written
   * it out, so it lies in the pipes, and the loop's next look finds it.
   */
  async settled(): Promise<void> {
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.resume();
    await setImmediate();
    await setImmediate();
  }

  /** Lets a runner without an attempt go; resolves when it is gone. */
  async leave(): Promise<void> {
    this.endInput();
    const isGone = await Promise.race([this.exited.then(() => true), sleep(LEAVE_MS, false, { ref: false })]);
    if (isGone || this.identity === null) return;
    await killTree({ group: this.identity.pid, tokens: [this.token] });
    await this.exited;
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
function environmentOf(accepted: AcceptedAttempt): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(accepted.environment))
    if (value === null) Reflect.deleteProperty(environment, name);
    else environment[name] = value;
  return environment;
}
