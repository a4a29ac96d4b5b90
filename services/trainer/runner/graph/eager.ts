/** The same signatures and variables as a compiled graph's, run op by op on any backend of tfjs: slow, but nothing native. */
import type { Tensor, TensorFlow } from './binding.js';
import { fedValues, feedsOf } from './feeds.js';
import type { Feed, FeedValues, ProgramSource, Runnable, Signature, Tensors } from './signature.js';

/** Steps run op by op, with variables of their own. Call {@link dispose} to free them. */
export class EagerProgram implements Runnable {
  readonly #tf: TensorFlow;
  readonly #variables: readonly Feed[];
  readonly #signatures: ReadonlyMap<
    string,
    { readonly signature: Signature; readonly feeds: readonly Feed[] }
  >;
  #state: Record<string, Tensor> = {};

  /** @throws Error for a precision other than float32, which tfjs does not have. */
  constructor(tf: TensorFlow, { variables, signatures, precision = 'float32' }: ProgramSource) {
    if (precision !== 'float32') throw new Error(`op by op there is no ${precision}`);
    this.#tf = tf;
    this.#variables = feedsOf(variables);
    this.#signatures = new Map(
      Object.entries(signatures).map(([name, signature]) => [
        name,
        { signature, feeds: feedsOf(signature.feeds) },
      ]),
    );
  }

  /** How many variables have a value, each a tensor. */
  get variables(): number {
    return Object.keys(this.#state).length;
  }

  run(name: string, given: Readonly<Record<string, FeedValues>> = {}): Record<string, FeedValues> {
    const found = this.#signatures.get(name);
    if (found === undefined) throw new Error(`the program has no signature '${name}'`);
    const fed = fedValues(name, found.feeds, given);
    const tf = this.#tf;
    const fetched: Record<string, FeedValues> = {};
    const next: Record<string, Tensor> = {};
    tf.engine().startScope();
    try {
      const { state = {}, fetches = {} } = found.signature.step(this.#state, this.#tensors(fed));
      for (const [fetch, tensor] of Object.entries(fetches)) {
        fetched[fetch] = tensor.dataSync() as FeedValues;
        if (!Object.values(this.#state).includes(tensor)) tensor.dispose();
      }
      for (const [variable, tensor] of Object.entries(state)) next[variable] = tf.keep(tensor);
    } finally {
      tf.engine().endScope();
    }
    for (const [variable, tensor] of Object.entries(next)) {
      if (this.#state[variable] !== tensor) this.#state[variable]?.dispose();
      this.#state[variable] = tensor;
    }
    return fetched;
  }

  #tensors(fed: ReturnType<typeof fedValues>): Tensors {
    return Object.fromEntries(
      fed.map(({ feed: { name, spec }, values }) => [
        name,
        this.#tf.tensor(values, [...spec.shape], spec.dtype),
      ]),
    );
  }

  read(): Record<string, Float32Array> {
    return Object.fromEntries(
      this.#variables.map(({ name }) => {
        const variable = this.#state[name];
        if (variable === undefined) throw new Error(`the variable '${name}' has no value`);
        return [name, Float32Array.from(variable.dataSync())];
      }),
    );
  }

  write(values: Readonly<Record<string, Float32Array>>): void {
    const fed = fedValues('write', this.#variables, values);
    this.dispose();
    for (const { feed, values: numbers } of fed) {
      this.#state[feed.name] = this.#tf.keep(this.#tf.tensor(numbers.slice(), [...feed.spec.shape]));
    }
  }

  dispose(): void {
    this.#tf.dispose(Object.values(this.#state));
    this.#state = {};
  }
}
