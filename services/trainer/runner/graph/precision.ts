/** Which operations run in reduced precision, between casts that the recorder puts in. */

/** Arithmetic of the convolutions; everything else, and every variable, stays float32. */
export type Precision = 'float32' | 'bfloat16';

/** Indices of the floating inputs of each convolution (the others are shapes). */
const CONVOLUTIONS: ReadonlyMap<string, readonly number[]> = new Map([
  ['Conv2D', [0, 1]],
  ['Conv2DBackpropInput', [1, 2]],
  ['Conv2DBackpropFilter', [0, 2]],
]);

/** Inputs of `op` to be cast to bfloat16, or undefined when it runs in float32. */
export const reducedInputs = (precision: Precision, op: string): readonly number[] | undefined =>
  precision === 'bfloat16' ? CONVOLUTIONS.get(op) : undefined;
