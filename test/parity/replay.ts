/** Our side of the comparison: the steps that `reference.py` trained with Keras, taken by the recipe's own model. */
import type { Engine } from '../../services/trainer/runner/engine.js';
import { batchNorms, parameterTensors } from '../../services/trainer/runner/recipes/images/architecture.js';
import { l2Penalty } from '../../services/trainer/runner/recipes/images/initializers.js';
import { Model } from '../../services/trainer/runner/recipes/images/model.js';
import { architectureOf } from '../../services/trainer/runner/recipes/images/networks.js';
import { imageClassifier } from '../../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { parseSettings } from '../../services/trainer/runner/recipes/images/settings.js';
import type { Parameters } from '../../services/trainer/protocol/runner.js';
import type { Measures, Trained } from './compare.js';
import * as inputs from './inputs.js';
import { PIXELS } from './inputs.js';

/** Parameters of each case; everything else is the recipe's default, as it is Keras' in `reference.py`. */
const OPTIMIZERS: Readonly<Record<string, Parameters>> = {
  adam: { optimizer: 'adam' },
  adamw: { optimizer: 'adamw', weight_decay: 0.05 },
  sgd: { optimizer: 'sgd', momentum: 0.9, nesterov: true },
};
const RESNET_V2: Parameters = { network: 'resnet-v2', depth: inputs.DEPTH };
const NETWORKS: Readonly<Record<string, Parameters>> = {
  'resnet-v1': { network: 'resnet-v1', depth: 8 },
  'wide-resnet': { network: 'wide-resnet', depth: 10, width: 2 },
  cnn: { network: 'cnn', depth: 2, width: 8 },
};

/** Trains one case, `OPTIMIZER` or `OPTIMIZER, NETWORK`. Tensors are complete; `compare` looks at those values that the reference kept. */
export async function replay(engine: Engine, name: string, rates: readonly number[]): Promise<Trained> {
  const [optimizer = '', network] = name.split(', ');
  const settings = parseSettings(
    {
      batch_size: inputs.BATCH,
      l2: inputs.L2,
      bn_momentum: inputs.BN_MOMENTUM,
      train_images: inputs.BATCH * inputs.BATCHES,
      validation_images: inputs.VALIDATION,
      ...(network === undefined ? RESNET_V2 : NETWORKS[network]),
      ...OPTIMIZERS[optimizer],
    },
    1,
    imageClassifier,
  );
  const architecture = architectureOf(settings.network, settings.data);
  const mean = inputs.mean();
  const training = inputs.trainingImages();
  const images = Float32Array.from(
    training.pixels,
    (pixel, i) => Math.fround(pixel / 255) - (mean[i % PIXELS] ?? 0),
  );
  const program = engine.program(Model.source(engine.tf, architecture, settings));
  const model = new Model(program, settings);
  try {
    const start = Model.initial(architecture, settings, 0);
    model.write({ ...start, parameters: inputs.initialWeights(architecture) });
    const steps: Measures[] = [];
    let penalty = l2Penalty(architecture, inputs.initialWeights(architecture), inputs.L2);
    for (let step = 0; step < inputs.STEPS; step++) {
      const begin = (step % inputs.BATCHES) * inputs.BATCH;
      const rate = rates[step < inputs.STEPS / 2 ? 0 : 1] ?? NaN;
      const { crossEntropySum, correct } = model.train(
        images.subarray(begin * PIXELS, (begin + inputs.BATCH) * PIXELS),
        Int32Array.from(training.labels.subarray(begin, begin + inputs.BATCH)),
        { lr: rate },
        step + 1,
      );
      const crossEntropy = crossEntropySum / inputs.BATCH;
      steps.push([crossEntropy + penalty, crossEntropy, correct / inputs.BATCH]);
      penalty = l2Penalty(architecture, model.read()['parameters'] ?? new Float32Array(), inputs.L2);
    }
    const tally = await model.evaluate(inputs.validationImages(), mean, () => Promise.resolve(true));
    if (tally === null) throw new Error('the evaluation was stopped');
    const crossEntropy = tally.crossEntropySum / tally.images;
    const evaluation: Measures = [crossEntropy + penalty, crossEntropy, tally.correct / tally.images];
    const vectors = model.read();
    const weights: Record<string, Float32Array> = {};
    for (const { name: tensor, offset, length } of parameterTensors(architecture)) {
      weights[tensor] = (vectors['parameters'] ?? new Float32Array()).subarray(offset, offset + length);
    }
    let offset = 0;
    for (const { name: layer, channels } of batchNorms(architecture)) {
      for (const [statistic, vector] of [
        ['moving_mean', 'movingMean'],
        ['moving_variance', 'movingVariance'],
      ] as const) {
        weights[`${layer}/${statistic}`] = (vectors[vector] ?? new Float32Array()).subarray(
          offset,
          offset + channels,
        );
      }
      offset += channels;
    }
    return { steps, evaluation, weights };
  } finally {
    program.dispose();
  }
}
