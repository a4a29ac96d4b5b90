/**
 * A trained network for others: a SavedModel for TensorFlow and a tfjs graph model. They take images as they are, bytes as
 * numbers from 0 to 255, any number at a time; the mean is subtracted inside.
 */
import { WattsweepError } from '../../../../../proto/errors.js';
import type { Parameters } from '../../../protocol/runner.js';
import type { Checkpoint } from '../../checkpoint.js';
import type { Engine } from '../../engine.js';
import type { Tensor } from '../../graph/binding.js';
import { traceGraph } from '../../graph/compile.js';
import { type Serving, encodeSavedModel } from '../../graph/saved-model.js';
import type { NodeDef } from '../../graph/tensorflow/gen/graph.js';
import { DataType } from '../../graph/tensorflow/gen/types.js';
import { shapeAttr } from '../../graph/attributes.js';
import { type TfjsModel, tfjsModel } from '../../graph/tfjs-model.js';
import type { Architecture } from './architecture.js';
import { IMAGE_CHANNELS, batchNorms, parameterTensors } from './architecture.js';
import type { ImageRecipe } from './image-recipe.js';
import { forward } from './network.js';
import { architectureOf } from './networks.js';
import { fusedOperations } from './fused.js';
import { pixelsOf } from './pictures.js';
import { parseSettings } from './settings.js';

const SIGNATURE = 'serve';

export interface Exported {
  readonly network: string;
  readonly epoch: number;
  readonly savedModel: Uint8Array;
  readonly tfjs: TfjsModel;
}

/**
 * @param recipes Those that a checkpoint may be of.
 * @throws WattsweepError CHECKPOINT_INVALID: not of a recipe of images, or of an older version, which kept no mean.
 */
export function exportModel(
  engine: Engine,
  checkpoint: Checkpoint,
  recipes: readonly ImageRecipe[],
): Exported {
  const { trained, extras, vectors, network, epoch } = checkpoint;
  const invalid = (problem: string): never => {
    throw new WattsweepError('CHECKPOINT_INVALID', `the checkpoint of ${network} ${problem}`);
  };
  const recipe = recipes.find(({ descriptor }) => descriptor.name === trained?.recipe);
  const mean = extras?.['mean'];
  if (trained === undefined || mean === undefined)
    return invalid('does not say what it was trained with: a version before exports wrote it');
  if (recipe === undefined) return invalid(`is of recipe ${trained.recipe}, which trains no images`);
  const settings = parseSettings(trained.parameters as Parameters, trained.maxEpochs, recipe);
  const architecture = architectureOf(settings.network, settings.data);
  if (architecture.name !== network || mean.length !== pixelsOf(architecture.side))
    return invalid(
      `does not fit the data set that lies here now, with which it would be ${architecture.name}`,
    );
  const { nodes, serving } = served(engine, architecture, vectors, mean);
  return {
    network,
    epoch,
    savedModel: encodeSavedModel(nodes, engine.version, serving),
    tfjs: tfjsModel(nodes, serving, `Wattsweep, ${network}, epoch ${epoch}`),
  };
}

/** The evaluation step with its weights as constants, for any number of images. */
function served(
  { tf }: Engine,
  architecture: Architecture,
  vectors: Checkpoint['vectors'],
  mean: Float32Array,
): { readonly nodes: readonly NodeDef[]; readonly serving: Serving } {
  const { side, classes } = architecture;
  const vector = (name: string): Float32Array => {
    const found = vectors[name];
    if (found === undefined) throw new WattsweepError('CHECKPOINT_INVALID', `the checkpoint has no ${name}`);
    return found;
  };
  const step = (images: Tensor): { logits: Tensor; probabilities: Tensor } => {
    const parameters = vector('parameters');
    const values = parameterTensors(architecture).map(({ shape, offset, length }) =>
      tf.tensor(parameters.slice(offset, offset + length), [...shape]),
    );
    const moving = new Map<string, { mean: Tensor; variance: Tensor }>();
    let at = 0;
    for (const { name, channels } of batchNorms(architecture)) {
      const of = (which: string): Tensor => tf.tensor1d(vector(which).slice(at, at + channels));
      moving.set(name, { mean: of('movingMean'), variance: of('movingVariance') });
      at += channels;
    }
    const operations = {
      ...fusedOperations(tf),
      // No shape of it holds the number of images.
      globalAverage: (x: Tensor): Tensor => tf.mean(x, [1, 2]),
    };
    const centred = images.div(255).sub(tf.tensor(mean, [side, side, IMAGE_CHANNELS]));
    const logits = forward(architecture, operations, values, centred, (x, gamma, beta, { name }) => {
      const statistics = moving.get(name);
      if (statistics === undefined) throw new Error(`${name} has no statistics`);
      return operations.batchNormInference(x, gamma, beta, statistics.mean, statistics.variance);
    });
    return { logits, probabilities: tf.softmax(logits) };
  };
  const { nodes } = traceGraph(tf, {
    variables: {},
    signatures: {
      [SIGNATURE]: {
        feeds: { images: { shape: [1, side, side, IMAGE_CHANNELS] } },
        step: (_state, { images }) => {
          if (images === undefined) throw new Error('no images were fed');
          return { fetches: step(images) };
        },
      },
    },
  });
  const input = `${SIGNATURE}/feed/images`;
  const shape = [-1, side, side, IMAGE_CHANNELS];
  const open = nodes.map((node) =>
    node.name === input ? { ...node, attr: { ...node.attr, shape: shapeAttr(shape) } } : node,
  );
  const output = (name: string) => ({
    node: `${SIGNATURE}/fetch/${name}`,
    type: DataType.DT_FLOAT,
    shape: [-1, classes],
  });
  return {
    nodes: open,
    serving: {
      inputs: { images: { node: input, type: DataType.DT_FLOAT, shape } },
      outputs: { logits: output('logits'), probabilities: output('probabilities') },
    },
  };
}
