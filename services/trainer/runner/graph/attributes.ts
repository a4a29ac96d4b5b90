/** Operation attributes, from the binding's form to TensorFlow's AttrValue messages. */
import type { NativeBinding, OpAttribute } from './binding.js';
import type { AttrValue } from './tensorflow/gen/attr_value.js';
import type { TensorShapeProto } from './tensorflow/gen/tensor_shape.js';
import { DataType } from './tensorflow/gen/types.js';

export const shapeMessage = (shape: readonly number[]): TensorShapeProto => ({
  dim: shape.map((size) => ({ size, name: '' })),
  unknownRank: false,
});

/** @param type TensorFlow's DataType number, as the binding has it too. */
export const typeAttr = (type: number): AttrValue => ({ value: { $case: 'type', value: type as DataType } });
export const boolAttr = (value: boolean): AttrValue => ({ value: { $case: 'b', value } });
export const shapeAttr = (shape: readonly number[]): AttrValue => ({
  value: { $case: 'shape', value: shapeMessage(shape) },
});
export const stringAttr = (text: string): AttrValue => ({ value: { $case: 's', value: Buffer.from(text) } });

export function constantAttr(dtype: number, shape: readonly number[], content: Buffer): AttrValue {
  const value = {
    dtype: dtype as DataType,
    tensorShape: shapeMessage(shape),
    versionNumber: 0,
    tensorContent: content,
    floatVal: [],
    doubleVal: [],
  };
  return { value: { $case: 'tensor', value } };
}

const numbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number');

/**
 * The message for one attribute of `op`.
 *
 * @throws Error naming the operation and the attribute when the binding's form is none that a graph can hold.
 */
export function attributeMessage(binding: NativeBinding, op: string, attribute: OpAttribute): AttrValue {
  const { type, value } = attribute;
  const list = { s: [], i: [], f: [], b: [], type: [], shape: [], tensor: [] };
  if (numbers(value)) {
    if (type === binding.TF_ATTR_SHAPE) return shapeAttr(value);
    if (type === binding.TF_ATTR_INT) return { value: { $case: 'list', value: { ...list, i: value } } };
    if (type === binding.TF_ATTR_FLOAT) return { value: { $case: 'list', value: { ...list, f: value } } };
  } else if (typeof value === 'number') {
    if (type === binding.TF_ATTR_INT) return { value: { $case: 'i', value } };
    if (type === binding.TF_ATTR_FLOAT) return { value: { $case: 'f', value } };
    if (type === binding.TF_ATTR_TYPE && Object.values(DataType).includes(value as DataType))
      return typeAttr(value);
  } else if (typeof value === 'boolean') {
    if (type === binding.TF_ATTR_BOOL) return boolAttr(value);
  } else if (typeof value === 'string' && type === binding.TF_ATTR_STRING) {
    return stringAttr(value);
  }
  throw new Error(
    `cannot trace ${op}: its attribute '${attribute.name}' has a form that the graph compiler does not know`,
  );
}
