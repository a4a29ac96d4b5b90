/** The peer: real Keras, trained by `fit` at its best, in a process of its own that waits while the others are timed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { kerasPython } from '../../parity/keras.js';
import type { Contender, StepTime } from './contender.js';

interface Variant {
  readonly jit: boolean;
  readonly steps_per_execution: number;
}

/** Ways to compile `fit`; the fastest of them in a short trial is the contender. */
const VARIANTS: readonly Variant[] = [
  { jit: false, steps_per_execution: 1 },
  { jit: false, steps_per_execution: 8 },
  { jit: true, steps_per_execution: 1 },
];

const describe = ({ jit, steps_per_execution: steps }: Variant): string =>
  `jit_compile ${jit ? 'on' : 'off'}, steps_per_execution ${steps}`;

type Command = { readonly name: string } & (
  | { readonly do: 'prepare'; readonly options: object }
  | { readonly do: 'block'; readonly steps: number }
  | { readonly do: 'drop' }
);

/** Keras in its process: one command at a time. */
class KerasProcess {
  readonly #child = spawn(kerasPython(), ['-B', fileURLToPath(new URL('./keras_fit.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  /** What a step took; NaN for other commands. @throws Error when Keras has ended. */
  async ask(command: Command): Promise<StepTime> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const line = (await this.#lines.next()) as IteratorResult<string, undefined>;
    if (line.done === true) throw new Error('Keras ended: run keras_fit.py by hand to see why');
    return { wallMs: NaN, processorMs: NaN, ...(JSON.parse(line.value) as Partial<StepTime>) };
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    await exited;
  }
}

/** XLA takes minutes to compile a deep network on a CPU, and more on a busy one. */
const withJit = process.env['WATTSWEEP_BENCH_JIT'] !== '0';

/** @param policy Keras' name of the arithmetic, `float32` or `mixed_bfloat16`. */
export const keras = (policy: string): Contender => ({
  name: `Keras fit ${policy}`,
  prepare: async (_engine, { depth, batch }) => {
    const child = new KerasProcess();
    const tried: { name: string; milliseconds: number }[] = [];
    for (const variant of VARIANTS.filter(({ jit }) => withJit || !jit)) {
      const name = describe(variant);
      await child.ask({ do: 'prepare', name, options: { depth, batch, policy, ...variant } });
      await child.ask({ do: 'block', name, steps: 1 });
      const times = [];
      for (let round = 0; round < 3; round++)
        times.push((await child.ask({ do: 'block', name, steps: 8 })).wallMs);
      tried.push({ name, milliseconds: Math.min(...times) });
    }
    tried.sort((a, b) => a.milliseconds - b.milliseconds);
    const [best, ...others] = tried;
    if (best === undefined) throw new Error('Keras was not tried');
    for (const { name } of others) await child.ask({ do: 'drop', name });
    return {
      note: tried.map(({ name, milliseconds }) => `${name}: ${milliseconds.toFixed(0)} ms`).join('; '),
      block: (steps) => child.ask({ do: 'block', name: best.name, steps }),
      dispose: () => child.close(),
    };
  },
});
