/**
 * Who trains the same ResNet v2 on the same synthetic batch, with Adam and L2, on the same TensorFlow library. A further
 * one is one more entry of `peers` or `ours`.
 */
import type { Tensor, TensorFlow } from '../../../services/trainer/runner/graph/binding.js';
import { compile } from '../../../services/trainer/runner/graph/compile.js';
import type { Precision } from '../../../services/trainer/runner/graph/precision.js';
import type { Architecture, Node } from '../../../services/trainer/runner/recipes/images/architecture.js';
import {
  initialParameters,
  initialStatistics,
} from '../../../services/trainer/runner/recipes/images/initializers.js';
import { resnetV2 } from '../../../services/trainer/runner/recipes/images/networks.js';
import { stepScalars } from '../../../services/trainer/runner/recipes/images/optimizers.js';
import {
  scalarFeeds,
  trainSignature,
  variablesOf,
} from '../../../services/trainer/runner/recipes/images/steps.js';
import type { Contender, Prepared } from './contender.js';
import { keras } from './keras.js';

/** A block of steps that each give the batch's loss, so that the device has finished. */
const timed =
  (step: () => Promise<number> | number): Prepared['block'] =>
  async (steps) => {
    const begin = performance.now();
    const processor = process.cpuUsage();
    for (let taken = 0; taken < steps; taken++) {
      if (!Number.isFinite(await step())) throw new Error('a contender diverged');
    }
    const { user, system } = process.cpuUsage(processor);
    return { wallMs: (performance.now() - begin) / steps, processorMs: (user + system) / 1000 / steps };
  };

const LEARNING_RATE = 1e-3;
const L2 = 1e-4;
const optimizer = {
  kind: 'adam',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
  weightDecay: 0,
  clipNorm: null,
  semantics: 'keras',
} as const;
const settings = (precision: Precision) => ({
  optimizer,
  decayed: 'all' as const,
  l2: L2,
  bnMomentum: 0.99,
  precision,
});

const imagesOf = (batch: number): Float32Array =>
  Float32Array.from({ length: batch * 3072 }, (_, i) => Math.sin(i * 12.9898) / 2);
const labelsOf = (batch: number): Int32Array => Int32Array.from({ length: batch }, (_, i) => i % 10);

function initial(architecture: Architecture): Record<string, Float32Array> {
  const { mean, variance } = initialStatistics(architecture);
  const zeros = (): Float32Array => new Float32Array(architecture.trainable);
  const parameters = initialParameters(architecture, 1);
  return { parameters, m: zeros(), v: zeros(), movingMean: mean, movingVariance: variance };
}

const scalarsOf = (step: number) => scalarFeeds(stepScalars(optimizer, LEARNING_RATE, step));

/** Our step as one TensorFlow graph. */
const graph = (precision: Precision): Contender => ({
  name: `graph ${precision}`,
  prepare: ({ tf }, { depth, batch }) => {
    const architecture = resnetV2(depth);
    const own = settings(precision);
    const program = compile(tf, {
      variables: variablesOf(architecture, own),
      signatures: { train: trainSignature(tf, architecture, own, batch) },
      precision,
    });
    program.write(initial(architecture));
    const feeds = { images: imagesOf(batch), labels: labelsOf(batch) };
    let step = 0;
    return {
      block: timed(
        () =>
          (program.run('train', { ...feeds, ...scalarsOf(++step) })['crossEntropySum']?.[0] ?? NaN) / batch,
      ),
      dispose: () => program.dispose(),
    };
  },
});

/** The same step, each operation run on its own. */
const eager: Contender = {
  name: 'eager, fused operations',
  prepare: ({ tf }, { depth, batch }) => {
    const architecture = resnetV2(depth);
    const signature = trainSignature(tf, architecture, settings('float32'), batch);
    let state = tensorsOf(tf, initial(architecture));
    const images = tf.tensor(imagesOf(batch), [batch, 32, 32, 3]);
    const labels = tf.tensor1d(labelsOf(batch), 'int32');
    let step = 0;
    return {
      block: timed(() => {
        const { rate, decay, momentum, epsilon } = scalarsOf(++step);
        let loss = NaN;
        const next = tf.tidy(() => {
          const scalar = ([value = NaN]: Float32Array): Tensor => tf.scalar(value);
          const scalars = {
            ...{ rate: scalar(rate), decay: scalar(decay) },
            ...{ momentum: scalar(momentum), epsilon: scalar(epsilon) },
          };
          const result = signature.step(state, { images, labels, ...scalars });
          loss = (result.fetches?.['crossEntropySum']?.dataSync()[0] ?? NaN) / batch;
          tf.dispose([...Object.values(result.fetches ?? {})]);
          return { ...result.state };
        });
        tf.dispose(Object.values(state));
        state = next;
        return loss;
      }),
      dispose: () => tf.dispose([...Object.values(state), images, labels]),
    };
  },
};

const tensorsOf = (tf: TensorFlow, values: Readonly<Record<string, Float32Array>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(values).map(([name, vector]) => [name, tf.tensor1d(vector)]));

/** The same network in tfjs' own layers, as its users train it. */
const layers: Contender = {
  name: 'tfjs-layers',
  prepare: ({ tf }, { depth, batch }) => {
    const model = layersModel(tf, resnetV2(depth));
    model.compile({
      optimizer: tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-7),
      loss: 'categoricalCrossentropy',
    });
    const x = tf.tensor(imagesOf(batch), [batch, 32, 32, 3]);
    const y = tf.oneHot(tf.tensor1d(labelsOf(batch), 'int32'), 10);
    return {
      block: timed(async () => {
        const loss = await model.trainOnBatch(x, y);
        return Array.isArray(loss) ? NaN : loss;
      }),
      dispose: () => {
        model.dispose();
        tf.dispose([x, y]);
      },
    };
  },
};

type Symbolic = ReturnType<TensorFlow['input']>;

function layersModel(tf: TensorFlow, architecture: Architecture): ReturnType<TensorFlow['model']> {
  const { side, classes, nodes } = architecture;
  const outputs: Symbolic[] = [];
  const of = (index: number): Symbolic => {
    const output = outputs[index];
    if (output === undefined) throw new Error(`node ${index} comes later`);
    return output;
  };
  const layerOf = (node: Exclude<Node, { op: 'input' }>): Symbolic => {
    const x = of(node.of);
    const kernelInitializer = 'heNormal';
    switch (node.op) {
      case 'conv': {
        const { outChannels: filters, kernel: kernelSize, stride: strides, bias: useBias } = node.layer;
        const kernelRegularizer = tf.regularizers.l2({ l2: L2 });
        const options = {
          filters,
          kernelSize,
          strides,
          useBias,
          kernelInitializer,
          kernelRegularizer,
        } as const;
        return tf.layers.conv2d({ ...options, padding: 'same' }).apply(x) as Symbolic;
      }
      case 'batch-norm':
        return tf.layers.batchNormalization({ momentum: 0.99, epsilon: 1e-3 }).apply(x) as Symbolic;
      case 'activation':
        return tf.layers.reLU().apply(x) as Symbolic;
      case 'add':
        return tf.layers.add().apply([x, of(node.and)]) as Symbolic;
      case 'max-pool':
        return tf.layers.maxPooling2d({ poolSize: 2 }).apply(x) as Symbolic;
      case 'average': {
        const pooled = tf.layers.averagePooling2d({ poolSize: x.shape[1] ?? 1 }).apply(x);
        return tf.layers.flatten().apply(pooled) as Symbolic;
      }
      case 'dense': {
        const dense = tf.layers.dense({ units: classes, activation: 'softmax', kernelInitializer });
        return dense.apply(x) as Symbolic;
      }
    }
  };
  const input = tf.input({ shape: [side, side, 3] });
  for (const node of nodes) outputs.push(node.op === 'input' ? input : layerOf(node));
  return tf.model({ inputs: input, outputs: of(nodes.length - 1) });
}

export const peers: readonly Contender[] = [keras('float32'), layers];
export const ours: readonly Contender[] = [graph('float32'), graph('bfloat16'), eager];
