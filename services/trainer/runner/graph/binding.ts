/**
 * The part of tfjs-node's native binding that the graph compiler uses. tfjs-node types none of it publicly, but every
 * kernel passes through `createTensor`, `executeOp`, `tensorDataSync` and `deleteTensor`.
 */
import type * as tfNode from '@tensorflow/tfjs-node-gpu';

export type TensorFlow = typeof tfNode;
export type Tensor = tfNode.Tensor;
export type Tensor4D = tfNode.Tensor4D;
export type Values = Float32Array | Int32Array | Uint8Array;

export interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  /** TensorFlow's DataType number. */
  readonly dtype: number;
}

export interface OpAttribute {
  readonly name: string;
  /** One of the binding's TF_ATTR_... numbers. */
  readonly type: number;
  readonly value: unknown;
}

export interface NativeBinding {
  createTensor: (shape: readonly number[], dtype: number, values: Values) => number;
  deleteTensor: (id: number) => void;
  tensorDataSync: (id: number) => Values;
  executeOp: (
    op: string,
    attributes: readonly OpAttribute[],
    inputIds: readonly number[],
    outputs: number,
  ) => TensorMetadata[];
  loadSavedModel: (folder: string, tags: string) => number;
  deleteSavedModel: (id: number) => void;
  runSavedModel: (
    id: number,
    inputIds: readonly number[],
    inputs: string,
    outputs: string,
  ) => TensorMetadata[];
  getNumOfTensors: () => number;
  getNumOfSavedModels: () => number;
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_INT64: number;
  readonly TF_BOOL: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
}

export interface NativeBackend {
  binding: NativeBinding;
  readonly isUsingGpuDevice: boolean;
  createOutputTensor(metadata: TensorMetadata): Tensor;
  getInputTensorIds(tensors: readonly Tensor[]): number[];
  executeSingleOutput(op: string, attributes: readonly OpAttribute[], inputs: readonly Tensor[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly Tensor[],
    outputs: number,
  ): Tensor[];
}

/**
 * The native backend of `tf`.
 *
 * @throws Error when another backend is active.
 */
export function nativeBackend(tf: TensorFlow): NativeBackend {
  if (tf.getBackend() !== 'tensorflow') {
    throw new Error(`the graph compiler needs the backend 'tensorflow', not '${tf.getBackend()}'`);
  }
  return tf.backend() as unknown as NativeBackend;
}
