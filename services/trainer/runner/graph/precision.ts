/** Which operations run in reduced precision, between casts that the recorder puts in. */
import { DataType } from './tensorflow/gen/types.js';

/**
 * Arithmetic of the network's layers: convolutions, and what stands between them. Everything else, every variable, and the
 * statistics of batch normalisation stay float32.
 */
export type Precision = 'float32' | 'bfloat16' | 'float16';

export const REDUCED: Readonly<Record<Exclude<Precision, 'float32'>, DataType>> = {
  bfloat16: DataType.DT_BFLOAT16,
  float16: DataType.DT_HALF,
};

interface Rule {
  /** Indices of the inputs in reduced precision; the others are shapes, or stay float32. */
  readonly inputs: readonly number[];
  /** It is reduced only where these inputs are so already: a sum of weights is not one of layers. */
  readonly follows: readonly number[];
}

/** Of each the first output is reduced, the others (statistics) are float32. */
const RULES: ReadonlyMap<string, Rule> = new Map([
  ['Conv2D', { inputs: [0, 1], follows: [] }],
  ['Conv2DBackpropInput', { inputs: [1, 2], follows: [] }],
  ['Conv2DBackpropFilter', { inputs: [0, 2], follows: [] }],
  ['BiasAdd', { inputs: [0, 1], follows: [0] }],
  ['BiasAddGrad', { inputs: [0], follows: [0] }],
  ['FusedBatchNormV3', { inputs: [0], follows: [0] }],
  ['FusedBatchNormGradV3', { inputs: [0, 1], follows: [1] }],
  ['Relu', { inputs: [0], follows: [0] }],
  ['ReluGrad', { inputs: [0, 1], follows: [1] }],
  ['Add', { inputs: [0, 1], follows: [0, 1] }],
  ['AddV2', { inputs: [0, 1], follows: [0, 1] }],
]);

/** How `op` may be computed in this precision, or undefined when it runs in float32. */
export const ruleOf = (precision: Precision, op: string): Rule | undefined =>
  precision === 'float32' ? undefined : RULES.get(op);
