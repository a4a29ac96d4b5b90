/**
 * `compile`: pure step functions, written in tfjs, as signatures of one TensorFlow graph that shares its variables.
 * See README.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constantAttr, shapeAttr, stringAttr, typeAttr } from './attributes.js';
import type { NativeBackend, NativeBinding, Tensor, TensorFlow } from './binding.js';
import { nativeBackend } from './binding.js';
import type { Precision } from './precision.js';
import { Recorder } from './recorder.js';
import { ShapeProbe } from './shapes.js';
import type { NodeDef } from './tensorflow/gen/graph.js';
import { SavedModel } from './tensorflow/gen/saved_model.js';
import { DataType } from './tensorflow/gen/types.js';

export type FeedValues = Float32Array | Int32Array;
export type Tensors = Readonly<Record<string, Tensor>>;

export interface TensorSpec {
  readonly shape: readonly number[];
  /** @default 'float32' */
  readonly dtype?: 'float32' | 'int32';
}

export interface Signature {
  readonly feeds: Readonly<Record<string, TensorSpec>>;
  /**
   * A pure function of the variables and the feeds. Variables absent from `state` keep their value; `fetches` are
   * computed from the values before the update.
   */
  readonly step: (state: Tensors, feeds: Tensors) => { readonly state?: Tensors; readonly fetches?: Tensors };
}

export interface ProgramSource {
  /** Variables, all float32; zero-less until {@link Program.write} gives them values. */
  readonly variables: Readonly<Record<string, { readonly shape: readonly number[] }>>;
  readonly signatures: Readonly<Record<string, Signature>>;
  /** @default 'float32' */
  readonly precision?: Precision;
}

interface CompiledSignature {
  readonly feeds: readonly {
    readonly name: string;
    readonly spec: Required<TensorSpec>;
    readonly length: number;
  }[];
  readonly feedNames: string;
  readonly fetches: readonly string[];
  readonly fetchNames: string;
}

// No signature of a caller starts with a dot.
const READ = '.read';
const WRITE = '.write';
const DONE = '.done';
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/**
 * Traces every signature of `source` and loads the graph into a session of its own.
 *
 * @throws Error naming the operation that cannot be traced: data read inside the step, an attribute of unknown form, a
 * shape that depends on data, a tensor made outside.
 */
export function compile(tf: TensorFlow, source: ProgramSource): Program {
  const backend = nativeBackend(tf);
  const nodes: NodeDef[] = [];
  const probe = new ShapeProbe(backend.binding);
  const compiled = new Map<string, CompiledSignature>();
  for (const [name, { shape }] of Object.entries(source.variables)) {
    const attr = {
      dtype: typeAttr(DataType.DT_FLOAT),
      shape: shapeAttr(shape),
      container: stringAttr(''),
      shared_name: stringAttr(name),
    };
    nodes.push({ name: `var/${name}`, op: 'VarHandleOp', input: [], device: '', attr });
  }
  for (const [name, signature] of Object.entries(withStateAccess(source))) {
    const recorder = new Recorder(backend.binding, probe, name, source.precision ?? 'float32', nodes);
    compiled.set(name, trace(tf, backend, recorder, name, source, signature));
  }
  const bytes = SavedModel.encode({
    savedModelSchemaVersion: 1,
    metaGraphs: [
      {
        metaInfoDef: { metaGraphVersion: '', tags: ['serve'], tensorflowVersion: backend.binding.TF_Version },
        graphDef: { node: nodes, versions: { producer: 1645, minConsumer: 12, badConsumers: [] } },
        signatureDef: {},
      },
    ],
  }).finish();
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-graph-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes);
    const session = backend.binding.loadSavedModel(folder, 'serve');
    return new Program(backend.binding, session, source, compiled, nodes.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The signatures that move all variables in and out of the session. */
function withStateAccess(source: ProgramSource): Record<string, Signature> {
  return {
    ...source.signatures,
    [READ]: { feeds: {}, step: (state) => ({ fetches: state }) },
    [WRITE]: { feeds: source.variables, step: (_state, feeds) => ({ state: feeds }) },
  };
}

function trace(
  tf: TensorFlow,
  backend: NativeBackend,
  recorder: Recorder,
  name: string,
  source: ProgramSource,
  signature: Signature,
): CompiledSignature {
  const native = backend.binding;
  const compiled: CompiledSignature[] = [];
  backend.binding = recorder.binding();
  try {
    tf.tidy(
      () => void compiled.push(new SignatureTrace(backend, native, recorder, name, source).trace(signature)),
    );
  } finally {
    backend.binding = native;
  }
  const [only] = compiled;
  if (only === undefined) throw new Error(`signature '${name}' was not traced`);
  return only;
}

/** One signature's way into the graph: variable reads and placeholders, the step, assignments, fetches. */
class SignatureTrace {
  readonly #reads = new Map<string, string>();

  constructor(
    private readonly backend: NativeBackend,
    private readonly native: NativeBinding,
    private readonly recorder: Recorder,
    private readonly name: string,
    private readonly source: ProgramSource,
  ) {}

  trace(signature: Signature): CompiledSignature {
    const feeds = Object.entries(signature.feeds).map(([feed, { shape, dtype = 'float32' }]) => ({
      name: feed,
      spec: { shape, dtype },
      length: sizeOf(shape),
    }));
    const state = this.#readVariables();
    const fed = Object.fromEntries(feeds.map(({ name, spec }) => [name, this.#placeholder(name, spec)]));
    const result = signature.step(state, fed);
    const assigned = Object.entries(result.state ?? {}).map(([variable, tensor]) =>
      this.#assign(variable, tensor),
    );
    const after = assigned.map((assign) => `^${assign}`);
    const fetches = Object.entries(result.fetches ?? {}).map(([fetch, tensor]) =>
      this.#fetch(fetch, tensor, after),
    );
    if (fetches.length === 0) {
      const value = constantAttr(DataType.DT_FLOAT, [], Buffer.alloc(4));
      this.recorder.node('Const', after, { dtype: typeAttr(DataType.DT_FLOAT), value }, `fetch/${DONE}`);
    }
    return {
      feeds,
      feedNames: feeds.map((feed) => `${this.name}/feed/${feed.name}:0`).join(),
      fetches,
      fetchNames: (fetches.length === 0 ? [DONE] : fetches)
        .map((fetch) => `${this.name}/fetch/${fetch}:0`)
        .join(),
    };
  }

  #readVariables(): Record<string, Tensor> {
    const state: Record<string, Tensor> = {};
    for (const [variable, { shape }] of Object.entries(this.source.variables)) {
      const attr = { dtype: typeAttr(DataType.DT_FLOAT) };
      const read = this.recorder.node('ReadVariableOp', [`var/${variable}`], attr, `read/${variable}`);
      this.#reads.set(variable, read);
      state[variable] = this.#symbol(shape, this.native.TF_FLOAT, read, `variable '${variable}'`);
    }
    return state;
  }

  #placeholder(feed: string, { shape, dtype }: Required<TensorSpec>): Tensor {
    const type = dtype === 'float32' ? this.native.TF_FLOAT : this.native.TF_INT32;
    const node = this.recorder.node(
      'Placeholder',
      [],
      { dtype: typeAttr(type), shape: shapeAttr(shape) },
      `feed/${feed}`,
    );
    return this.#symbol(shape, type, node, `feed '${feed}'`);
  }

  #assign(variable: string, tensor: Tensor): string {
    const declared = this.source.variables[variable]?.shape;
    const read = this.#reads.get(variable);
    if (declared === undefined || read === undefined) {
      throw new Error(`signature '${this.name}' updates '${variable}', which is no variable`);
    }
    if (tensor.shape.join() !== declared.join()) {
      throw new Error(
        `signature '${this.name}': the update of '${variable}' has shape [${tensor.shape.join()}] where [${declared.join()}] is declared`,
      );
    }
    const value = this.recorder.source(this.#idOf(tensor), `the update of '${variable}'`);
    const attr = { dtype: typeAttr(DataType.DT_FLOAT) };
    if (this.name === WRITE) {
      // A fed buffer belongs to JavaScript, on whose thread alone it may be freed: the variable takes its own copy.
      const copy = this.recorder.node('DeepCopy', [value], { T: typeAttr(DataType.DT_FLOAT) });
      return this.recorder.node('AssignVariableOp', [`var/${variable}`, copy], attr, `assign/${variable}`);
    }
    // The read comes first, also where the new value does not depend on the old one.
    return this.recorder.node(
      'AssignVariableOp',
      [`var/${variable}`, value, `^${read}`],
      attr,
      `assign/${variable}`,
    );
  }

  #fetch(fetch: string, tensor: Tensor, after: readonly string[]): string {
    if (tensor.dtype !== 'float32' && tensor.dtype !== 'int32') {
      throw new Error(
        `fetch '${fetch}' of signature '${this.name}' is ${tensor.dtype}; a fetch is float32 or int32`,
      );
    }
    const value = this.recorder.source(this.#idOf(tensor), `fetch '${fetch}'`);
    const type = tensor.dtype === 'float32' ? DataType.DT_FLOAT : DataType.DT_INT32;
    this.recorder.node('Identity', [value, ...after], { T: typeAttr(type) }, `fetch/${fetch}`);
    return fetch;
  }

  #symbol(shape: readonly number[], dtype: number, node: string, madeBy: string): Tensor {
    return this.backend.createOutputTensor(this.recorder.symbol(shape, dtype, node, madeBy));
  }

  #idOf(tensor: Tensor): number {
    const [id] = this.backend.getInputTensorIds([tensor]);
    if (id === undefined) throw new Error('the backend gave a tensor no id');
    return id;
  }
}

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
