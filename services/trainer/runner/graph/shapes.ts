/**
 * Shapes of an operation's results, asked of TensorFlow itself: each distinct call (operation, attributes, input shapes)
 * runs once on dummy inputs that are freed at once. So tracing needs no shape function of our own, and the memory of
 * one operation at a time instead of a whole step's.
 */
import type { NativeBinding, OpAttribute, Values } from './binding.js';

export interface TracedShape {
  readonly shape: readonly number[];
  readonly dtype: number;
}

export interface TracedValue extends TracedShape {
  /** Present for what the program uploaded: its value is known while tracing. */
  readonly constant?: Values;
}

export class ShapeProbe {
  readonly #binding: NativeBinding;
  readonly #known = new Map<string, readonly TracedShape[]>();

  constructor(binding: NativeBinding) {
    this.#binding = binding;
  }

  /**
   * Shapes and types of the `outputs` results of `op`.
   *
   * @throws Error naming `op` when TensorFlow refuses the call, or when a shape depends on data that is not constant.
   */
  outputs(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly TracedValue[],
    outputs: number,
  ): readonly TracedShape[] {
    const key = JSON.stringify([op, attributes, outputs, inputs.map((input) => this.#inputKey(input))]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#run(op, attributes, inputs, outputs, 0);
    if (inputs.some((input) => input.constant === undefined && input.dtype !== this.#binding.TF_FLOAT)) {
      this.#checkIndependence(op, attributes, inputs, found);
    }
    this.#known.set(key, found);
    return found;
  }

  /** Integer constants decide shapes (a reshape's target), floating ones do not. */
  #inputKey({ shape, dtype, constant }: TracedValue): unknown {
    const decisive = constant !== undefined && dtype !== this.#binding.TF_FLOAT;
    return decisive ? [shape, dtype, Array.from(constant)] : [shape, dtype];
  }

  #checkIndependence(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly TracedValue[],
    withZeros: readonly TracedShape[],
  ): void {
    let withOnes;
    try {
      withOnes = this.#run(op, attributes, inputs, withZeros.length, 1);
    } catch {
      return; // Ones are out of this operation's range (an index into one row); zeros were not.
    }
    const same = withOnes.every((one, i) => one.shape.join() === withZeros[i]?.shape.join());
    if (!same) throw new Error(`cannot trace ${op}: the shape of its result depends on data`);
  }

  #run(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly TracedValue[],
    outputs: number,
    fill: 0 | 1,
  ): readonly TracedShape[] {
    const ids: number[] = [];
    try {
      for (const input of inputs) ids.push(this.#dummy(input, fill));
      const results = this.#binding.executeOp(op, attributes, ids, outputs);
      ids.push(...results.map((result) => result.id));
      return results.map(({ shape, dtype }) => ({ shape: [...shape], dtype }));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`cannot trace ${op}: ${reason}`, { cause });
    } finally {
      for (const id of ids) this.#binding.deleteTensor(id);
    }
  }

  #dummy({ shape, dtype, constant }: TracedValue, fill: 0 | 1): number {
    const binding = this.#binding;
    if (constant !== undefined) return binding.createTensor(shape, dtype, constant);
    const one = scalarOf(binding, dtype, fill);
    const dims = binding.createTensor([shape.length], binding.TF_INT32, Int32Array.from(shape));
    const value = binding.createTensor([], dtype, one);
    try {
      const attributes = [
        { name: 'T', type: binding.TF_ATTR_TYPE, value: dtype },
        { name: 'index_type', type: binding.TF_ATTR_TYPE, value: binding.TF_INT32 },
      ];
      const [filled] = binding.executeOp('Fill', attributes, [dims, value], 1);
      if (filled === undefined) throw new Error('Fill gave no result');
      return filled.id;
    } finally {
      binding.deleteTensor(dims);
      binding.deleteTensor(value);
    }
  }
}

function scalarOf(binding: NativeBinding, dtype: number, fill: 0 | 1): Values {
  if (dtype === binding.TF_FLOAT) return Float32Array.of(fill);
  if (dtype === binding.TF_INT32) return Int32Array.of(fill);
  // The binding takes an int64 as two int32 words.
  if (dtype === binding.TF_INT64) return Int32Array.of(fill, 0);
  return Uint8Array.of(fill);
}
