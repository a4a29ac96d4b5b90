/** A compiled graph at work: signatures run in a session of their own, which holds the variables. */
import type { NativeBinding } from './binding.js';
import { fedValues } from './feeds.js';
import type { CompiledSignature, FeedValues, Runnable } from './signature.js';
import { READ, WRITE } from './signature.js';

/** A compiled graph with its session and variables. Call {@link dispose} to free them. */
export class Program implements Runnable {
  /** Nodes in the graph before TensorFlow optimises it. */
  readonly nodes: number;
  readonly #binding: NativeBinding;
  readonly #signatures: ReadonlyMap<string, CompiledSignature>;
  #session: number | undefined;

  /** @internal Use {@link compile}. */
  constructor(
    binding: NativeBinding,
    session: number,
    signatures: ReadonlyMap<string, CompiledSignature>,
    nodes: number,
  ) {
    this.#binding = binding;
    this.#session = session;
    this.#signatures = signatures;
    this.nodes = nodes;
  }

  run(signature: string, feeds: Readonly<Record<string, FeedValues>> = {}): Record<string, FeedValues> {
    if (this.#session === undefined) throw new Error('the program is disposed');
    const compiled = this.#signatures.get(signature);
    if (compiled === undefined) throw new Error(`the program has no signature '${signature}'`);
    const fed = fedValues(signature, compiled.feeds, feeds);
    const ids: number[] = [];
    try {
      for (const { feed, values } of fed) {
        const dtype = feed.spec.dtype === 'float32' ? this.#binding.TF_FLOAT : this.#binding.TF_INT32;
        ids.push(this.#binding.createTensor(feed.spec.shape, dtype, values));
      }
      const results = this.#binding.runSavedModel(
        this.#session,
        ids,
        compiled.feedNames,
        compiled.fetchNames,
      );
      ids.push(...results.map((result) => result.id));
      const fetched: Record<string, FeedValues> = {};
      compiled.fetches.forEach((name, index) => {
        const result = results[index];
        if (result !== undefined) fetched[name] = this.#binding.tensorDataSync(result.id) as FeedValues;
      });
      return fetched;
    } finally {
      for (const id of ids) this.#binding.deleteTensor(id);
    }
  }

  read(): Record<string, Float32Array> {
    return this.run(READ) as Record<string, Float32Array>;
  }

  write(values: Readonly<Record<string, Float32Array>>): void {
    this.run(WRITE, values);
  }

  dispose(): void {
    if (this.#session !== undefined) this.#binding.deleteSavedModel(this.#session);
    this.#session = undefined;
  }
}
