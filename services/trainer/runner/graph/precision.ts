/** Which operations run in reduced precision, between casts that the recorder puts in. */
import { DataType } from './tensorflow/gen/types.js';

/** Arithmetic of the convolutions; everything else, and every variable, stays float32. */
export type Precision = 'float32' | 'bfloat16' | 'float16';

const REDUCED: Readonly<Record<Exclude<Precision, 'float32'>, DataType>> = {
  bfloat16: DataType.DT_BFLOAT16,
  float16: DataType.DT_HALF,
};

/** Indices of the floating inputs of each convolution (the others are shapes). */
const CONVOLUTIONS: ReadonlyMap<string, readonly number[]> = new Map([
  ['Conv2D', [0, 1]],
  ['Conv2DBackpropInput', [1, 2]],
  ['Conv2DBackpropFilter', [0, 2]],
]);

export interface Reduction {
  readonly type: DataType;
  /** Inputs to be cast. */
  readonly inputs: readonly number[];
}

/** How `op` is computed in this precision, or undefined when it runs in float32. */
export function reductionOf(precision: Precision, op: string): Reduction | undefined {
  const inputs = CONVOLUTIONS.get(op);
  return precision === 'float32' || inputs === undefined ? undefined : { type: REDUCED[precision], inputs };
}
