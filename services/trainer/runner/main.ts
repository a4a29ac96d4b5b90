/**
 * The runner: a child process that trains attempts, one after another, for a slot's supervisor. Commands arrive on
 * standard input, facts leave on file descriptor 3 (`../protocol/runner.ts`); it ends when its input ends. What one
 * attempt leaves here the next one must not meet: where that is not sure, it does not say that it stays.
 */
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { type ErrorCode, WattsweepError } from '../../../proto/errors.js';
import { boxFaultIn, isOutOfMemory } from '../protocol/last-words.js';
import type { RunnerCommand } from '../protocol/runner.js';
import { FactWriter } from './facts.js';
import { runCommand } from './recipes/command/command.js';
import type { AttemptContext, AttemptEnd, RunRecipe, StopRequest } from './recipes/recipe.js';
import { runReplay } from './recipes/replay/replay.js';
import { imageClassifier } from './recipes/images/recipes/image-classifier.js';
import { resnetCifar10 } from './recipes/images/recipes/resnet-cifar10.js';
import { training } from './recipes/images/train.js';

const recipes: ReadonlyMap<string, RunRecipe> = new Map([
  ...[resnetCifar10, imageClassifier].map((recipe) => [recipe.descriptor.name, training(recipe)] as const),
  ['replay', runReplay],
  ['command', runCommand],
]);

type RunCommand = Extract<RunnerCommand, { type: 'run' }>;

/** A process that holds more than this many times what it held after its first attempt, and so much more, is replaced. */
const MEMORY_GROWTH = 2;
const MEMORY_ALLOWANCE_BYTES = 512 * 1024 * 1024;

/** Runs attempts in the order of their commands; a stop meets the attempt that is running. */
class Runner {
  readonly #facts = new FactWriter(3);
  readonly #waiting: RunCommand[] = [];
  #stop: ((request: StopRequest) => void) | null = null;
  #threads: number | null = null;
  #inputEnded = false;
  #busy = false;
  #isSpoilt = false;
  /** After the first attempt, in bytes. */
  #firstMemory: number | null = null;

  accept(command: RunnerCommand): void {
    switch (command.type) {
      case 'run':
        this.#waiting.push(command);
        void this.#work();
        break;
      case 'stop':
        this.#stop?.(command.mode);
        break;
    }
  }

  /** The supervisor is gone, or wants no more. */
  endInput(): void {
    this.#inputEnded = true;
    this.#waiting.length = 0;
    if (this.#busy) this.#stop?.('eof');
    else process.exit(0);
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let command = this.#waiting.shift(); command !== undefined; command = this.#waiting.shift()) {
      const end = await this.#run(command);
      // What comes later would stand in the next attempt's log.
      await Promise.all([process.stdout, process.stderr].map(flushed));
      this.#facts.write({ type: 'end', ...end, stays: this.#isFit() });
    }
    this.#busy = false;
    if (this.#inputEnded) process.exit(0);
  }

  #isFit(): boolean {
    const memory = process.memoryUsage.rss();
    this.#firstMemory ??= memory;
    const hasGrown = memory > MEMORY_GROWTH * this.#firstMemory + MEMORY_ALLOWANCE_BYTES;
    return !this.#isSpoilt && !this.#inputEnded && !hasGrown;
  }

  async #run({ attempt, environment }: RunCommand): Promise<AttemptEnd> {
    const recipe = recipes.get(attempt.recipe);
    if (recipe === undefined) {
      return {
        class: 'refused',
        code: 'RECIPE_NOT_OFFERED',
        message: `this runner has no recipe '${attempt.recipe}'`,
      };
    }
    const { threads } = attempt.device;
    if (this.#threads !== null && this.#threads !== threads) {
      return {
        class: 'crashed',
        code: 'INTERNAL',
        message: `this runner computes with ${this.#threads} threads, not ${threads}; start another`,
      };
    }
    this.#threads = threads;
    try {
      return await recipe(attempt, this.#context(environment));
    } catch (error) {
      return endOf(error);
    } finally {
      this.#stop = null;
    }
  }

  #context(environment: RunCommand['environment']): AttemptContext {
    let requested: StopRequest | null = null;
    let tell: (request: StopRequest) => void = () => undefined;
    const stopped = new Promise<StopRequest>((resolve) => (tell = resolve));
    const request = (asked: StopRequest): void => {
      requested = asked;
      tell(asked);
    };
    this.#stop = request;
    return {
      environment,
      spoil: (reason) => {
        this.#isSpoilt = true;
        console.error(`no other attempt runs in this process: ${reason}`);
      },
      report: (...lines) => {
        if (!this.#facts.write(...lines)) request('eof');
      },
      stopRequested: () => requested,
      stopped,
      breathe: async () => {
        await setImmediate();
      },
    };
  }
}

/** Resolves when the stream's reader has taken all that was written, or is gone. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });

/** What is wrong with the box: elsewhere, or later, the same trial may run. */
const BOX_CODES: ReadonlySet<ErrorCode> = new Set(['ENGINE_MISSING', 'DATASET_INVALID']);

/** How an error ends the attempt: what its settings are to blame for is refused, for good; the rest has crashed. */
function endOf(error: unknown): AttemptEnd {
  if (error instanceof WattsweepError) {
    const { code, message } = error;
    if (code === 'ATTEMPT_OUT_OF_MEMORY') return { class: 'out_of_memory', code, message };
    return { class: BOX_CODES.has(code) ? 'crashed' : 'refused', code, message };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (isOutOfMemory(message)) return { class: 'out_of_memory', code: 'ATTEMPT_OUT_OF_MEMORY', message };
  const fault = boxFaultIn(message);
  if (fault !== undefined) return { class: 'crashed', code: fault.code, message };
  if (error instanceof Error) console.error(error.stack);
  return { class: 'crashed', code: 'ATTEMPT_CRASHED', message };
}

// The supervisor that reads them may be gone; the end of input tells.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
const runner = new Runner();
const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
input.on('line', (line) => {
  if (line.trim() === '') return;
  try {
    runner.accept(JSON.parse(line) as RunnerCommand);
  } catch (error) {
    console.error(`a command that is no JSON was ignored: ${String(error)}`);
  }
});
input.on('close', () => runner.endInput());
