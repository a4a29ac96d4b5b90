/**
 * nats-server, a coordinator and a trainer as whole processes, as a user runs them, in a folder of their own and on free
 * ports.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Coordinator } from '../../../client/coordinator.js';
import { SweepState, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { natsServerPath } from '../../../setup/locate.mjs';
import { Marked } from './marked.js';

const MAIN = resolve(import.meta.dirname, '../../../dist/cli/main.js');
const READY_WITHIN_MS = 60_000;
const END_WITHIN_MS = 5_000;
/** Linux counts processor time so on every machine that matters. */
const TICKS_A_SECOND = 100;

type Ready = Readonly<Record<string, string>>;

export interface StackOptions {
  /** Slots of the one trainer; 0 for no trainer, and no coordinator yet. */
  readonly slots: number;
  /** Data folder of an earlier stack, taken up again. @default a fresh one */
  readonly dataDir?: string;
  readonly allowCommands?: readonly string[];
  /** Arguments of Node for the services, by name, e.g. `--cpu-prof`. */
  readonly nodeArgs?: (service: string) => readonly string[];
}

export interface SweepRun {
  /** From the call of `submit` to the end of the last trial. */
  readonly seconds: number;
  readonly trials: number;
  /** Accepted epochs of all trials. */
  readonly epochs: number;
}

export class Stack {
  readonly #marked = new Marked();
  #nats = '';
  readonly #children: { readonly name: string; readonly child: ChildProcess }[] = [];
  #coordinator: Coordinator | null = null;

  private constructor(
    readonly dir: string,
    private readonly options: StackOptions,
  ) {}

  static async start(options: StackOptions): Promise<Stack> {
    const dir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'wattsweep-bench-'));
    const stack = new Stack(dir, options);
    try {
      await stack.#start();
      return stack;
    } catch (error) {
      await stack.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const binary = natsServerPath();
    if (binary === null) throw new Error('nats-server is not set up');
    const nats = ['--data', this.dir, '--port', '0', '--nats-server', binary];
    this.#nats = (await this.#service('nats', nats))['nats'] ?? '';
    const { slots, allowCommands = [] } = this.options;
    if (slots === 0) return;
    await this.startCoordinator();
    const allowed = allowCommands.flatMap((program) => ['--allow-command', program]);
    const box = ['--cpu-slots', String(slots), '--threads', '1', ...allowed];
    await this.#service('trainer', [...this.#common(), ...box]);
    await this.#until('the trainer is known', async () => (await this.api.trainers()).trainers.length > 0);
  }

  async startCoordinator(): Promise<void> {
    const ports = ['--grpc-port', '0', '--http-port', '0'];
    const { grpc } = await this.#service('coordinator', [...this.#common(), ...ports]);
    this.#coordinator = new Coordinator({ address: grpc ?? '', token: null });
  }

  #common(): readonly string[] {
    return ['--nats', this.#nats, '--data', this.dir, '--log-level', 'warn'];
  }

  /** `nats://host:port`. */
  get natsUrl(): string {
    return this.#nats;
  }

  get api(): Coordinator {
    if (this.#coordinator === null) throw new Error('no coordinator');
    return this.#coordinator;
  }

  pid(name: string): number {
    return this.#children.find((started) => started.name === name)?.child.pid ?? 0;
  }

  /** Of a service since its start. */
  processorSeconds(name: string): number {
    const stat = readFileSync(`/proc/${String(this.pid(name))}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }

  /** Resident memory of a service, bytes. */
  residentBytes(name: string): number {
    const status = readFileSync(`/proc/${String(this.pid(name))}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) * 1024;
  }

  /**
   * Runs a sweep to its end, watched as by a person.
   * @throws when it does not end in time
   */
  async run(yaml: string, withinMs: number): Promise<SweepRun> {
    const beginUnixMs = Date.now();
    const { sweepId } = await this.api.submit({ yaml, overrides: [], requestId: randomUUID() });
    const watching = new AbortController();
    const timer = setTimeout(() => watching.abort(), withinMs);
    try {
      for await (const message of this.api.watch(sweepId, watching.signal)) {
        const state = message.sweep?.state;
        if (state === SweepState.COMPLETED || state === SweepState.STOPPED) break;
      }
    } finally {
      clearTimeout(timer);
    }
    const { sweep, trials } = await this.api.get(sweepId);
    if (sweep?.state !== SweepState.COMPLETED)
      throw new Error(`the sweep did not end within ${String(withinMs)} ms; the logs are in ${this.dir}`);
    const retried = trials.filter((trial) => trial.attempts !== 1).length;
    const succeeded = trials.filter((trial) => trial.state === TrialState.SUCCEEDED).length;
    if (retried > 0 || succeeded < trials.length)
      throw new Error(
        `${String(retried)} trials were retried, ${String(succeeded)} of ${String(trials.length)} succeeded`,
      );
    const seconds = (sweep.endedAtUnixMs - beginUnixMs) / 1_000;
    return { seconds, trials: trials.length, epochs: trials.reduce((sum, { epoch }) => sum + epoch, 0) };
  }

  #service(name: string, args: readonly string[]): Promise<Ready> {
    const log = openSync(join(this.dir, `${name}.log`), 'a');
    const nodeArgs = this.options.nodeArgs?.(name) ?? [];
    const child = spawn(process.execPath, [...nodeArgs, MAIN, name, ...args], {
      env: { ...process.env, ...this.#marked.environment },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#children.push({ name, child });
    return new Promise((done, reject) => {
      const fail = (why: string): void => reject(new Error(`${name} ${why}; its log is in ${this.dir}`));
      const timer = setTimeout(() => fail('is not ready in time'), READY_WITHIN_MS);
      child.once('exit', (code) => fail(`ended with ${String(code)}`));
      child.on('message', (message: { type?: string; ready?: Ready }) => {
        if (message.type !== 'ready' || message.ready === undefined) return;
        clearTimeout(timer);
        done(message.ready);
      });
    });
  }

  async #until(what: string, look: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!(await look().catch(() => false))) {
      if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
      await sleep(20);
    }
  }

  /** Ends the services in order, the last started first, and keeps the folder. */
  async stop(): Promise<void> {
    this.#coordinator?.close();
    for (const { child } of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await Promise.race([gone, sleep(END_WITHIN_MS, null, { ref: false })]);
    }
    await this.#marked.killAll();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
