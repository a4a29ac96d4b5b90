/**
 * Child processes of `up`: each is started, waited for, written down, restarted with growing pauses when it dies, and
 * ended when its turn comes. What a child is and does is its own command's business.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WattsweepError } from '../../proto/errors.js';
import { revive } from '../errors.js';
import { type ProcessIdentity, identify, signalProcess } from './process-identity.js';
import type { ChildMessage, Ready } from './child-protocol.js';

export interface StartedProcess {
  readonly child: ChildProcess;
  readonly ready: Ready;
}

export interface ServiceSpec {
  /** As it stands in `up.json` and messages: `nats`, `coordinator`, `trainer box-1`. */
  readonly name: string;
  /** Starts it and waits until it can work. Called again at each restart, with what the last start said. */
  start(previous: Ready | null): Promise<StartedProcess>;
  /** Asks it to end. */
  ask(child: ChildProcess, identity: ProcessIdentity): void;
  /** After this long it is killed. */
  readonly endWithinMs: number;
}

export type RestartPolicy = 'always' | 'never';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A service that ran this long has recovered: its next death starts with the shortest pause. */
const SETTLED_AFTER_MS = 60_000;

export interface ServiceEvents {
  /** Something to tell the person, e.g. a death and what follows. */
  say(text: string): void;
  /** The process behind a service changed. */
  changed(): void;
}

/** A service of `up`, over as many processes as it takes. */
export class Service {
  readonly #spec: ServiceSpec;
  readonly #restart: RestartPolicy;
  readonly #events: ServiceEvents;
  #child: ChildProcess | null = null;
  #identity: ProcessIdentity | null = null;
  #ready: Ready | null = null;
  #ending = false;
  #gone: Promise<void> = Promise.resolve();
  /** A restart under way: it is waited for, since it may bring a process that nobody would end. */
  #reviving: Promise<void> = Promise.resolve();
  readonly #wake = new AbortController();

  constructor(spec: ServiceSpec, restart: RestartPolicy, events: ServiceEvents) {
    this.#spec = spec;
    this.#restart = restart;
    this.#events = events;
  }

  get name(): string {
    return this.#spec.name;
  }

  get identity(): ProcessIdentity | null {
    return this.#identity;
  }

  /** What the running process said when it was ready. */
  get ready(): Ready {
    if (this.#ready === null) throw new WattsweepError('INTERNAL', `${this.name} has not started`);
    return this.#ready;
  }

  /** First start: a failure is the caller's, nothing is retried. */
  async start(): Promise<void> {
    await this.#launch();
  }

  async #launch(): Promise<void> {
    const { child, ready } = await this.#spec.start(this.#ready);
    this.#child = child;
    this.#ready = ready;
    this.#identity = identify(child.pid ?? 0);
    const begun = performance.now();
    this.#gone = new Promise((resolve) => {
      const onExit = (): void => {
        resolve();
        this.#died(child, performance.now() - begun);
      };
      if (child.exitCode !== null || child.signalCode !== null) onExit();
      else child.once('exit', onExit);
    });
    this.#events.changed();
  }

  #died(child: ChildProcess, ranMs: number): void {
    if (this.#ending || child !== this.#child) return;
    this.#child = null;
    this.#identity = null;
    const how = child.signalCode === null ? `exit code ${String(child.exitCode)}` : child.signalCode;
    if (this.#restart === 'never') {
      this.#events.say(`${this.name} ended (${how}); it is not restarted`);
      this.#events.changed();
      return;
    }
    this.#events.say(`${this.name} ended (${how}); starting it again`);
    this.#reviving = this.#revive(ranMs >= SETTLED_AFTER_MS ? 0 : FIRST_PAUSE_MS);
  }

  async #revive(firstPauseMs: number): Promise<void> {
    for (let pauseMs = firstPauseMs; !this.#ending; pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs + 100)) {
      await sleep(pauseMs, undefined, { signal: this.#wake.signal }).catch(() => undefined);
      if (this.#isEnding()) return;
      try {
        await this.#launch();
        if (!this.#isEnding()) this.#events.say(`${this.name} is back`);
        return;
      } catch (error) {
        this.#events.say(
          `${this.name} did not start: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
  }

  /** A call, so that the answer is not taken for the one from before the pause. */
  #isEnding(): boolean {
    return this.#ending;
  }

  /** Asks it to end and waits; kills it when it takes too long. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#wake.abort();
    await this.#reviving;
    const [child, identity] = [this.#child, this.#identity];
    if (child === null || identity === null) return;
    this.#spec.ask(child, identity);
    const timer = new AbortController();
    const late = sleep(this.#spec.endWithinMs, 'late', { signal: timer.signal }).catch(() => 'ended');
    if ((await Promise.race([this.#gone, late])) === 'late') {
      this.#events.say(`${this.name} did not end in ${this.#spec.endWithinMs / 1000} s and is killed`);
      this.kill();
      await this.#gone;
    }
    timer.abort();
    this.#child = null;
    this.#identity = null;
  }

  kill(): void {
    this.#ending = true;
    if (this.#identity !== null) signalProcess(this.#identity, 'SIGKILL');
  }
}

/** Path of the command line's own entry: `dist/cli/main.js`, or the TypeScript source during development. */
export function mainPath(): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(`../main${here.endsWith('.ts') ? '.ts' : '.js'}`, here));
}

export interface WattsweepChildOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly readyWithinMs: number;
}

/**
 * Starts `wattsweep ARGS` and waits for its word that it is ready.
 * @throws what the child said of its failure, else START_FAILED with the place of its log.
 */
export async function startWattsweep(name: string, options: WattsweepChildOptions): Promise<StartedProcess> {
  const log = openSync(options.logFile, 'a');
  const child = spawn(process.execPath, [...process.execArgv, mainPath(), ...options.args], {
    // Output goes to a file, not a pipe: the child must not die of its parent's death.
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, ...options.env },
    // A session of its own: Ctrl-C in the terminal is ours alone, and we end the children in order.
    detached: true,
  });
  closeSync(log);
  const timer = new AbortController();
  try {
    return await Promise.race([
      firstWord(name, child, options.logFile),
      sleep(options.readyWithinMs, null, { signal: timer.signal }).then(() => {
        child.kill('SIGKILL');
        throw new WattsweepError(
          'START_FAILED',
          `${name} was not ready in ${options.readyWithinMs / 1000} s`,
          {
            advice: `Read ${options.logFile}.`,
          },
        );
      }),
    ]);
  } finally {
    timer.abort();
  }
}

function firstWord(name: string, child: ChildProcess, logFile: string): Promise<StartedProcess> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: ChildMessage) => {
      if (message.type === 'ready') resolve({ child, ready: message.ready });
      else reject(revive(message));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const how = signal ?? `exit code ${String(code)}`;
      // Its last message may still be on its way through the channel.
      setTimeout(() => {
        reject(
          new WattsweepError('START_FAILED', `${name} ended at once (${how})`, {
            advice: `Read ${logFile}.`,
          }),
        );
      }, 100);
    });
  });
}
