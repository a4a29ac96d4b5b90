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
import { feedsOf } from './feeds.js';
import { Program } from './program.js';
import { Recorder } from './recorder.js';
import { SAVED_MODEL_FILE, SERVE, encodeSavedModel } from './saved-model.js';
import { ShapeProbe } from './shapes.js';
import type { CompiledSignature, ProgramSource, Signature, TensorSpec } from './signature.js';
import { DONE, READ, WRITE } from './signature.js';
import type { NodeDef } from './tensorflow/gen/graph.js';
import { DataType } from './tensorflow/gen/types.js';

/**
 * Traces every signature of `source` and loads the graph into a session of its own.
 *
 * @throws Error naming the operation that cannot be traced: data read inside the step, an attribute of unknown form, a
 * shape that depends on data, a tensor made outside.
 */
export function compile(tf: TensorFlow, source: ProgramSource): Program {
  const { binding } = nativeBackend(tf);
  const { nodes, signatures } = traceGraph(tf, { ...source, signatures: withStateAccess(source) });
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-graph-'));
  try {
    writeFileSync(join(folder, SAVED_MODEL_FILE), encodeSavedModel(nodes, binding.TF_Version));
    const session = binding.loadSavedModel(folder, SERVE);
    return new Program(binding, session, signatures, nodes.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface TracedGraph {
  readonly nodes: readonly NodeDef[];
  /** Feeds and fetches of each are the nodes `SIGNATURE/feed/NAME` and `SIGNATURE/fetch/NAME`. */
  readonly signatures: ReadonlyMap<string, CompiledSignature>;
}

/** The graph of `source` alone, for whoever loads it. @throws Error as {@link compile} */
export function traceGraph(tf: TensorFlow, source: ProgramSource): TracedGraph {
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
  for (const [name, signature] of Object.entries(source.signatures)) {
    const recorder = new Recorder(backend.binding, probe, name, source.precision ?? 'float32', nodes);
    compiled.set(name, trace(tf, backend, recorder, name, source, signature));
  }
  return { nodes, signatures: compiled };
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
    const feeds = feedsOf(signature.feeds);
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
