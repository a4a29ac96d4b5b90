/** A graph as a SavedModel of one file, as TensorFlow loads it. */
import { shapeMessage } from './attributes.js';
import type { NodeDef } from './tensorflow/gen/graph.js';
import type { SignatureDef } from './tensorflow/gen/saved_model.js';
import { SavedModel } from './tensorflow/gen/saved_model.js';
import type { DataType } from './tensorflow/gen/types.js';

export const SAVED_MODEL_FILE = 'saved_model.pb';
/** The tag that loaders ask for. */
export const SERVE = 'serve';

/** One input or output of what a model offers to others. */
export interface ServedTensor {
  /** Node that holds it. */
  readonly node: string;
  readonly type: DataType;
  /** -1 for a size that is open. */
  readonly shape: readonly number[];
}

export interface Serving {
  readonly inputs: Readonly<Record<string, ServedTensor>>;
  readonly outputs: Readonly<Record<string, ServedTensor>>;
}

/** @param serving What Python finds as `signatures['serving_default']`; none for a graph of our own. */
export function encodeSavedModel(
  nodes: readonly NodeDef[],
  tensorflowVersion: string,
  serving?: Serving,
): Uint8Array {
  const tensors = (served: Serving['inputs']): SignatureDef['inputs'] =>
    Object.fromEntries(
      Object.entries(served).map(([name, { node, type, shape }]) => [
        name,
        {
          encoding: { $case: 'name', value: `${node}:0` } as const,
          dtype: type,
          tensorShape: shapeMessage(shape),
        },
      ]),
    );
  const signatureDef: Record<string, SignatureDef> =
    serving === undefined
      ? {}
      : {
          serving_default: {
            inputs: tensors(serving.inputs),
            outputs: tensors(serving.outputs),
            methodName: 'tensorflow/serving/predict',
          },
        };
  return SavedModel.encode({
    savedModelSchemaVersion: 1,
    metaGraphs: [
      {
        metaInfoDef: { metaGraphVersion: '', tags: [SERVE], tensorflowVersion },
        graphDef: { node: [...nodes], versions: { producer: 1645, minConsumer: 12, badConsumers: [] } },
        signatureDef,
      },
    ],
  }).finish();
}
