/**
 * A graph as a tfjs graph model: `model.json` and one file of weights, as `tf.loadGraphModel` reads them. The form is that of
 * the tfjs converter; constants of the graph are the weights.
 */
import type { ServedTensor, Serving } from './saved-model.js';
import type { AttrValue } from './tensorflow/gen/attr_value.js';
import type { NodeDef } from './tensorflow/gen/graph.js';
import { DataType } from './tensorflow/gen/types.js';

export interface TfjsModel {
  /** Content of `model.json`, which names the weights' file {@link WEIGHTS_FILE}. */
  readonly json: unknown;
  readonly weights: Uint8Array;
}

export const WEIGHTS_FILE = 'weights.bin';

const DTYPES: ReadonlyMap<DataType, string> = new Map([
  [DataType.DT_FLOAT, 'float32'],
  [DataType.DT_INT32, 'int32'],
]);

/** @throws Error for a constant that tfjs cannot hold. */
export function tfjsModel(nodes: readonly NodeDef[], serving: Serving, generatedBy: string): TfjsModel {
  const weights: { readonly name: string; readonly shape: number[]; readonly dtype: string }[] = [];
  const contents: Uint8Array[] = [];
  for (const { name, op, attr } of nodes) {
    const value = attr['value']?.value;
    if (op !== 'Const' || value?.$case !== 'tensor') continue;
    const { dtype, tensorShape, tensorContent } = value.value;
    const word = DTYPES.get(dtype);
    if (word === undefined) throw new Error(`the constant ${name} has a type that tfjs cannot hold`);
    weights.push({ name, shape: tensorShape?.dim.map(({ size }) => size) ?? [], dtype: word });
    contents.push(tensorContent);
  }
  const info = (served: Readonly<Record<string, ServedTensor>>): unknown =>
    Object.fromEntries(
      Object.entries(served).map(([name, { node, type, shape }]) => [
        name,
        { name: `${node}:0`, dtype: nameOf(type), tensorShape: { dim: shape.map((size) => ({ size })) } },
      ]),
    );
  const json = {
    format: 'graph-model',
    generatedBy,
    convertedBy: null,
    signature: { inputs: info(serving.inputs), outputs: info(serving.outputs) },
    modelTopology: {
      node: nodes.map(({ name, op, input, attr }) => ({
        name,
        op,
        input,
        attr: Object.fromEntries(
          Object.entries(attr)
            .filter(([key]) => op !== 'Const' || key !== 'value')
            .map(([key, value]) => [key, attribute(value)]),
        ),
      })),
      library: {},
      versions: { producer: 1645 },
    },
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights }],
  };
  return { json, weights: Buffer.concat(contents) };
}

const nameOf = (type: DataType): string =>
  Object.entries(DataType).find(([, number]) => number === type)?.[0] ?? 'DT_INVALID';

/** As protobuf writes it in JSON. */
function attribute({ value }: AttrValue): unknown {
  switch (value?.$case) {
    case 'type':
      return { type: nameOf(value.value) };
    case 's':
      return { s: Buffer.from(value.value).toString('base64') };
    case 'shape':
      return { shape: { dim: value.value.dim.map(({ size }) => ({ size })) } };
    case 'list':
      return { list: value.value.i.length > 0 ? { i: value.value.i } : { f: value.value.f } };
    case 'i':
    case 'f':
    case 'b':
      return { [value.$case]: value.value };
    case 'tensor':
    case undefined:
      throw new Error('an attribute has a form that a tfjs model cannot hold');
  }
}
