/**
 * Whole processes for end-to-end tests: `wattsweep ...` from dist/, in folders of their own, on ports of their own.
 * Whatever a test starts, and whatever that starts, carries a mark in its environment and is killed by it at the end.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type UpRecord, readUpRecord } from '../../cli/up/record.js';

export const root = resolve(import.meta.dirname, '../..');
const main = join(root, 'dist', 'cli', 'main.js');

let built = false;

/** dist/ follows the sources; once a run. */
function ensureBuilt(): void {
  if (!built) execFileSync(process.execPath, [join(root, 'setup', 'build.mjs')], { stdio: 'inherit' });
  built = true;
}

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A started `wattsweep`, its words so far, and its end. */
export class Running {
  stdout = '';
  stderr = '';
  readonly exit: Promise<Finished>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exit = new Promise((done) => {
      child.once('close', (exitCode) => done({ exitCode, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** Everything that it said, for a failing test. */
  get words(): string {
    return `--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
  }
}

export class Sandbox {
  /** Temporary folder; the state lies in `data` below it, reports in `reports`. */
  readonly dir = mkdtempSync(join(tmpdir(), 'wattsweep-e2e-'));
  readonly data = join(this.dir, 'data');
  readonly reports = join(this.dir, 'reports');
  readonly #mark = `e2e-${process.pid}-${Math.random().toString(36).slice(2)}`;

  constructor() {
    ensureBuilt();
  }

  /** Starts `node PATH ARGS` with the mark. */
  node(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: this.dir,
      env: { ...process.env, NO_COLOR: '1', WATTSWEEP_E2E: this.#mark, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Running(child);
  }

  wattsweep(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    return this.node(main, args, env);
  }

  /** `up` on free ports, in this folder. */
  up(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const ports = ['--nats-port', '0', '--grpc-port', '0', '--http-port', '0'];
    return this.wattsweep(['up', ...ports, '--data', this.data, '--report-dir', this.reports, ...args], env);
  }

  /** A command about the coordinator of this folder's `up`, as JSON. */
  async ask(args: readonly string[]): Promise<unknown> {
    const { exitCode, stdout, stderr } = await this.wattsweep([...args, '--data', this.data, '--json']).exit;
    if (exitCode !== 0)
      throw new Error(`wattsweep ${args.join(' ')} exited with ${String(exitCode)}: ${stderr}`);
    return JSON.parse(stdout);
  }

  record(): UpRecord | null {
    return readUpRecord(this.data);
  }

  /** The pid of a service of `up`, by the beginning of its name. */
  servicePid(name: string): number | null {
    return this.record()?.services.find((service) => service.name.startsWith(name))?.pid ?? null;
  }

  /** Kills all that is left and removes the folder. */
  async close(): Promise<void> {
    for (let round = 0; round < 10; round += 1) {
      const left = this.processes();
      if (left.length === 0) break;
      for (const { pid } of left) kill(pid);
      await sleep(50);
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Every process that this sandbox's processes have started, whoever its parent is by now. */
  processes(): MarkedProcess[] {
    if (!existsSync('/proc/self/environ')) return [];
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const words = (file: string) => readFileSync(`/proc/${name}/${file}`, 'latin1').split('\0');
        const environment = words('environ');
        if (!environment.includes(`WATTSWEEP_E2E=${this.#mark}`)) return [];
        return [{ pid: Number(name), command: words('cmdline'), environment }];
      } catch {
        return [];
      }
    });
  }
}

export interface MarkedProcess {
  readonly pid: number;
  readonly command: readonly string[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
}

export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Waits until `look` answers something; fails with `words` when it does not. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  options: { readonly withinMs?: number; readonly words?: () => string } = {},
): Promise<T> {
  const deadline = performance.now() + (options.withinMs ?? 240_000);
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error(`waited in vain until ${what}\n${options.words?.() ?? ''}`);
    await sleep(50);
  }
}
