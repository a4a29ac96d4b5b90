import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Parameters } from '../../../services/trainer/protocol/runner.js';
import type { Checkpoint } from '../../../services/trainer/runner/checkpoint.js';
import { openEngine, setThreads } from '../../../services/trainer/runner/engine.js';
import { exportModel } from '../../../services/trainer/runner/recipes/images/export.js';
import { Model } from '../../../services/trainer/runner/recipes/images/model.js';
import { architectureOf } from '../../../services/trainer/runner/recipes/images/networks.js';
import { newImages } from '../../../services/trainer/runner/recipes/images/pictures.js';
import { philox, uniform } from '../../../services/trainer/runner/recipes/images/random.js';
import { imageClassifier } from '../../../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';

setThreads(2);
const engine = openEngine({ model: 'CPU' });
const { tf } = engine;
const IMAGES = 5;

const noise = (length: number, stream: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => uniform(philox(stream, i, 0)[0]));

/** A checkpoint as after some training, and what our own evaluation says of it. */
async function checkpointOf(parameters: Parameters) {
  const settings = parseSettings(
    { ...parameters, train_images: 10, validation_images: IMAGES },
    1,
    imageClassifier,
  );
  const architecture = architectureOf(settings.network, settings.data);
  const initial = Model.initial(architecture, settings, 3);
  const statistics = architecture.nonTrainable / 2;
  const vectors = {
    ...initial,
    movingMean: noise(statistics, 1).map((value) => value - 0.5),
    movingVariance: noise(statistics, 2).map((value) => value + 0.5),
  };
  const mean = noise(3072, 3);
  const program = engine.program(Model.source(engine.tf, architecture, settings));
  const model = new Model(program, settings);
  model.write(vectors);
  const images = newImages(IMAGES, 32);
  images.pixels.forEach((_, i) => (images.pixels[i] = philox(7, i, 0)[0] >>> 24));
  images.labels.forEach((_, i) => (images.labels[i] = i));
  const tally = await model.evaluate(images, mean, () => Promise.resolve(true));
  program.dispose();
  const checkpoint: Checkpoint = {
    ...{ network: architecture.name, epoch: 4, step: 4, progress: {}, vectors, extras: { mean } },
    trained: { recipe: 'image-classifier', parameters, maxEpochs: 5 },
  };
  return { checkpoint, images, crossEntropy: tally!.crossEntropySum };
}

const crossEntropyOf = (probabilities: ArrayLike<number>): number =>
  Array.from({ length: IMAGES }, (_, i) => -Math.log(probabilities[i * 10 + i]!)).reduce((a, b) => a + b);

describe('an exported network', () => {
  it.each<Parameters>([
    { network: 'resnet-v2', depth: 11 },
    { network: 'resnet-v1', depth: 8, activation: 'elu' },
    { network: 'wide-resnet', depth: 10, width: 1, activation: 'swish' },
    { network: 'cnn', depth: 2, width: 4, activation: 'leaky-relu' },
  ])('gives as SavedModel and in tfjs what we evaluate, for any number of images: %j', async (parameters) => {
    const { checkpoint, images, crossEntropy } = await checkpointOf(parameters);
    const { savedModel, tfjs } = exportModel(engine, checkpoint, [imageClassifier]);
    const input = tf.tensor(Float32Array.from(images.pixels), [IMAGES, 32, 32, 3]);

    const folder = mkdtempSync(join(tmpdir(), 'wattsweep-export-'));
    writeFileSync(join(folder, 'saved_model.pb'), savedModel);
    const loaded = await tf.node.loadSavedModel(folder, ['serve'], 'serving_default');
    const served = loaded.predict({ images: input }) as { probabilities: typeof input };
    expect(served.probabilities.shape).toEqual([IMAGES, 10]);
    expect(crossEntropyOf(served.probabilities.dataSync())).toBeCloseTo(crossEntropy, 3);

    const json = join(folder, 'model.json');
    writeFileSync(json, JSON.stringify(tfjs.json));
    writeFileSync(join(folder, 'weights.bin'), tfjs.weights);
    const graph = await tf.loadGraphModel(`file://${json}`);
    const predicted = graph.execute({ images: input }, 'probabilities') as typeof input;
    expect(crossEntropyOf(predicted.dataSync())).toBeCloseTo(crossEntropy, 3);
  });

  it('is refused for a checkpoint that does not say what it is of', async () => {
    const { checkpoint } = await checkpointOf({ network: 'cnn', depth: 1, width: 1 });
    const { trained, extras, ...older } = checkpoint;
    expect(() => exportModel(engine, older, [imageClassifier])).toThrow('a version before exports wrote it');
    const other = { ...trained!, recipe: 'other' };
    expect(() => exportModel(engine, { ...older, extras, trained: other }, [imageClassifier])).toThrow(
      'is of recipe other, which trains no images',
    );
    const wider = { ...trained!, parameters: { network: 'cnn', depth: 1, width: 2 } };
    expect(() => exportModel(engine, { ...older, extras, trained: wider }, [imageClassifier])).toThrow(
      'does not fit the data set',
    );
  });
});
