/**
 * Records one pure step: stands in for the native binding while the step runs, so that each tfjs kernel writes a node
 * into a GraphDef instead of computing. Tensors made meanwhile carry negative ids, which tfjs frees without asking
 * the native side.
 */
import { attributeMessage, constantAttr, typeAttr } from './attributes.js';
import type { NativeBinding, OpAttribute, TensorMetadata, Values } from './binding.js';
import type { Precision } from './precision.js';
import { REDUCED, ruleOf } from './precision.js';
import type { ShapeProbe, TracedValue } from './shapes.js';
import type { AttrValue } from './tensorflow/gen/attr_value.js';
import type { NodeDef } from './tensorflow/gen/graph.js';
import { DataType } from './tensorflow/gen/types.js';

interface Traced extends TracedValue {
  /** Output of a node; a constant, and what is only there in reduced precision, gets its node when it is first used. */
  readonly source?: string;
  /** The same in reduced precision. */
  readonly reduced?: string;
  /** Operation that made it, for messages. */
  readonly madeBy: string;
}

/** Small constants are shared: a ResNet step uploads the same few shapes and scalars thousands of times. */
const SHARED_CONSTANT_BYTES = 64;

export class Recorder {
  readonly nodes: NodeDef[];
  readonly #binding: NativeBinding;
  readonly #probe: ShapeProbe;
  readonly #prefix: string;
  readonly #precision: Precision;
  readonly #traced = new Map<number, Traced>();
  readonly #constants = new Map<string, string>();
  // tfjs marks a tensor that is not uploaded yet with id -1.
  #nextId = -2;

  constructor(
    binding: NativeBinding,
    probe: ShapeProbe,
    prefix: string,
    precision: Precision,
    nodes: NodeDef[],
  ) {
    this.#binding = binding;
    this.#probe = probe;
    this.#prefix = prefix;
    this.#precision = precision;
    this.nodes = nodes;
  }

  /** A binding that records. Its properties are copied: those of the native one are read-only. */
  binding(): NativeBinding {
    return {
      ...copyOf(this.#binding),
      createTensor: (shape, dtype, values) => this.#constant(shape, dtype, values),
      executeOp: (op, attributes, ids, outputs) => this.#execute(op, attributes, ids, outputs),
      tensorDataSync: (id) => {
        const madeBy = this.#traced.get(id)?.madeBy ?? 'a tensor made outside the step';
        throw new Error(`cannot trace: the data of ${madeBy}'s result is read inside the step`);
      },
      deleteTensor: () => undefined,
    };
  }

  /** Adds a node; returns the name of its first output. */
  node(op: string, input: readonly string[], attr: Record<string, AttrValue>, name?: string): string {
    const full = `${this.#prefix}/${name ?? `${this.nodes.length}_${op}`}`;
    this.nodes.push({ name: full, op, input: [...input], device: '', attr });
    return full;
  }

  /** A tensor that stands for an output of `source`. */
  symbol(shape: readonly number[], dtype: number, source: string, madeBy: string): TensorMetadata {
    return this.#add({ shape, dtype, source, madeBy });
  }

  /**
   * The node output that holds tensor `id`.
   *
   * @throws Error when the tensor was made outside the step.
   */
  source(id: number, reader: string): string {
    const traced = this.#read(id, reader);
    if (traced.source !== undefined) return traced.source;
    const source =
      traced.reduced === undefined
        ? this.#constantNode(traced)
        : this.#cast(traced.reduced, this.#reducedType(), DataType.DT_FLOAT);
    this.#traced.set(id, { ...traced, source });
    return source;
  }

  #reducedSource(id: number, reader: string): string {
    const known = this.#read(id, reader).reduced;
    if (known !== undefined) return known;
    const reduced = this.#cast(this.source(id, reader), DataType.DT_FLOAT, this.#reducedType());
    this.#traced.set(id, { ...this.#read(id, reader), reduced });
    return reduced;
  }

  #reducedType(): DataType {
    if (this.#precision === 'float32') throw new Error('float32 is not reduced');
    return REDUCED[this.#precision];
  }

  #read(id: number, reader: string): Traced {
    const traced = this.#traced.get(id);
    if (traced === undefined) {
      throw new Error(
        `cannot trace ${reader}: it reads a tensor that was made outside the step; pass it as a variable or a feed, or make it inside`,
      );
    }
    return traced;
  }

  #add(traced: Traced): TensorMetadata {
    const id = this.#nextId--;
    this.#traced.set(id, traced);
    return { id, shape: [...traced.shape], dtype: traced.dtype };
  }

  #constant(shape: readonly number[], dtype: number, values: Values): number {
    const float = dtype === this.#binding.TF_FLOAT && !(values instanceof Float32Array);
    return this.#add({
      shape: [...shape],
      dtype,
      constant: float ? Float32Array.from(values) : values.slice(),
      madeBy: 'an upload',
    }).id;
  }

  #constantNode({ shape, dtype, constant }: Traced): string {
    if (constant === undefined) throw new Error('a traced tensor is neither a constant nor a result');
    const content = Buffer.from(constant.buffer, constant.byteOffset, constant.byteLength);
    const write = () =>
      this.node('Const', [], { dtype: typeAttr(dtype), value: constantAttr(dtype, shape, content) });
    if (content.length > SHARED_CONSTANT_BYTES) return write();
    const key = `${dtype}|${shape.join()}|${content.toString('base64')}`;
    const shared = this.#constants.get(key) ?? write();
    this.#constants.set(key, shared);
    return shared;
  }

  #execute(
    op: string,
    attributes: readonly OpAttribute[],
    ids: readonly number[],
    outputs: number,
  ): TensorMetadata[] {
    const inputs = ids.map((id) => this.#read(id, op));
    const shapes = this.#probe.outputs(op, attributes, inputs, outputs);
    const attr = Object.fromEntries(
      attributes.map((attribute) => [attribute.name, attributeMessage(this.#binding, op, attribute)]),
    );
    const rule = ruleOf(this.#precision, op);
    const isReduced = rule?.follows.every((index) => inputs[index]?.reduced !== undefined) ?? false;
    const sources = ids.map((id, index) =>
      isReduced && rule?.inputs.includes(index) ? this.#reducedSource(id, op) : this.source(id, op),
    );
    const node = this.node(op, sources, isReduced ? { ...attr, T: typeAttr(this.#reducedType()) } : attr);
    return shapes.map(({ shape, dtype }, index) => {
      const output =
        index === 0 ? { [isReduced ? 'reduced' : 'source']: node } : { source: `${node}:${index}` };
      return this.#add({ shape, dtype, ...output, madeBy: op });
    });
  }

  #cast(source: string, from: DataType, to: DataType): string {
    return this.node('Cast', [source], { SrcT: typeAttr(from), DstT: typeAttr(to) });
  }
}

function copyOf(binding: NativeBinding): NativeBinding {
  const names = Object.getOwnPropertyNames(binding) as (keyof NativeBinding)[];
  return Object.fromEntries(names.map((name) => [name, binding[name]])) as unknown as NativeBinding;
}
