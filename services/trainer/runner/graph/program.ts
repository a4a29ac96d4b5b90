/** A compiled graph at work: signatures run in a session of their own, which holds the variables. */
import type { NativeBinding } from './binding.js';
import type { CompiledSignature, FeedValues, ProgramSource } from './signature.js';
import { READ, WRITE } from './signature.js';

/** A compiled graph with its session and variables. Call {@link dispose} to free them. */
export class Program {
  /** Nodes in the graph before TensorFlow optimises it. */
  readonly nodes: number;
  readonly #binding: NativeBinding;
  readonly #source: ProgramSource;
  readonly #signatures: ReadonlyMap<string, CompiledSignature>;
  #session: number | undefined;

  /** @internal Use {@link compile}. */
  constructor(
    binding: NativeBinding,
    session: number,
    source: ProgramSource,
    signatures: ReadonlyMap<string, CompiledSignature>,
    nodes: number,
  ) {
    this.#binding = binding;
    this.#session = session;
    this.#source = source;
    this.#signatures = signatures;
    this.nodes = nodes;
  }

  /**
   * Runs one signature; blocks the event loop until the device has finished. Values are row-major; the arrays given are
   * only read, and free again when this returns.
   *
   * @throws Error for an unknown signature, a missing or additional feed, a feed of the wrong type or length, and
   * whatever TensorFlow reports.
   */
  run(signature: string, feeds: Readonly<Record<string, FeedValues>> = {}): Record<string, FeedValues> {
    if (this.#session === undefined) throw new Error('the program is disposed');
    const compiled = this.#signatures.get(signature);
    if (compiled === undefined) throw new Error(`the program has no signature '${signature}'`);
    for (const name of Object.keys(feeds)) {
      if (!compiled.feeds.some((feed) => feed.name === name)) {
        throw new Error(`signature '${signature}' takes no feed '${name}'`);
      }
    }
    const ids: number[] = [];
    try {
      for (const { name, spec, length } of compiled.feeds) {
        const values = feeds[name];
        if (values === undefined) throw new Error(`signature '${signature}' needs the feed '${name}'`);
        const typed =
          spec.dtype === 'float32' ? values instanceof Float32Array : values instanceof Int32Array;
        if (!typed || values.length !== length) {
          throw new Error(
            `feed '${name}' of signature '${signature}' takes ${length} ${spec.dtype} values of shape [${spec.shape.join()}], not ${values.length} in a ${values.constructor.name}`,
          );
        }
        const dtype = spec.dtype === 'float32' ? this.#binding.TF_FLOAT : this.#binding.TF_INT32;
        ids.push(this.#binding.createTensor(spec.shape, dtype, values));
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

  /** Copies of all variables, by name. */
  read(): Record<string, Float32Array> {
    return this.run(READ) as Record<string, Float32Array>;
  }

  /** Sets all variables. @throws Error when one is missing, unknown, or of another length. */
  write(values: Readonly<Record<string, Float32Array>>): void {
    this.run(WRITE, values);
  }

  /** Names of the variables, in the order of their declaration. */
  get variables(): readonly string[] {
    return Object.keys(this.#source.variables);
  }

  /** Frees session, graph and variables. May be called twice. */
  dispose(): void {
    if (this.#session !== undefined) this.#binding.deleteSavedModel(this.#session);
    this.#session = undefined;
  }
}
