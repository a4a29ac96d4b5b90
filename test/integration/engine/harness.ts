/** Starts the runner as its supervisor does: a child process with commands on its input and facts on descriptor 3. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type {
  AttemptSpec,
  Parameters,
  RunnerCommand,
  RunnerLine,
} from '../../../services/trainer/protocol/runner.js';
import { encodeLine } from '../../../services/trainer/protocol/runner.js';

const main = fileURLToPath(new URL('../../../services/trainer/runner/main.ts', import.meta.url));

export type Line<T extends RunnerLine['type']> = Extract<RunnerLine, { type: T }>;

export function attemptOf(parameters: Parameters, more: Partial<AttemptSpec> = {}): AttemptSpec {
  const workDir = mkdtempSync(join(tmpdir(), 'wattsweep-runner-'));
  return {
    key: { sweepId: 's', trialId: 't', attempt: 1 },
    recipe: 'resnet-cifar10',
    command: [],
    parameters,
    maxEpochs: 2,
    seed: 1,
    repeat: 1,
    objective: 'val_accuracy',
    device: { kind: 'cpu', uuids: [], model: 'CPU', threads: 1 },
    workDir,
    checkpointDir: join(workDir, 'checkpoints'),
    resumeFrom: null,
    ...more,
  };
}

export class RunnerProcess {
  readonly lines: RunnerLine[] = [];
  /** Process id. */
  readonly pid: number;
  /** Its standard error so far. */
  errors = '';
  readonly #child;
  readonly #arrived = new Set<() => void>();
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;

  /** @param environment On top of this process's. */
  constructor(environment: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', main], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.pid = this.#child.pid ?? NaN;
    createInterface({ input: this.#child.stdio[3] as Readable }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as RunnerLine);
      for (const wake of this.#arrived) wake();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    this.exited = once(this.#child, 'exit') as typeof this.exited;
  }

  send(command: RunnerCommand): void {
    this.#child.stdin?.write(`${encodeLine(command)}\n`);
  }

  run(attempt: AttemptSpec, environment: Readonly<Record<string, string>> = {}): void {
    this.send({ type: 'run', attempt, environment });
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  of<T extends RunnerLine['type']>(type: T): Line<T>[] {
    return this.lines.filter((line): line is Line<T> => line.type === type);
  }

  /** The nth line of a type, once it has come. */
  async line<T extends RunnerLine['type']>(type: T, nth = 1): Promise<Line<T>> {
    for (;;) {
      const line = this.of(type)[nth - 1];
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#arrived.delete(wake);
          resolve();
        };
        this.#arrived.add(wake);
      });
    }
  }
}

/** Runs one attempt to its end in a process of its own. */
export async function runAttempt(
  attempt: AttemptSpec,
  environment: NodeJS.ProcessEnv = {},
): Promise<RunnerProcess & { readonly end: Line<'end'> }> {
  const runner = new RunnerProcess(environment);
  runner.run(attempt);
  const end = await runner.line('end');
  runner.endInput();
  await runner.exited;
  return Object.assign(runner, { end });
}
