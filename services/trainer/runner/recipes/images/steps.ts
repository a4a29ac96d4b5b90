/**
 * The training and evaluation steps as pure functions over the variables, ready for the graph compiler. All trainable
 * parameters are one flat vector, and so are the optimizer's slots and the moving statistics: an update is then ten
 * operations on one vector instead of ten on each of hundreds.
 */
import type { Tensor, TensorFlow } from '../../graph/binding.js';
import type { ProgramSource, Signature, Tensors } from '../../graph/signature.js';
import type { Architecture } from './architecture.js';
import { IMAGE_CHANNELS, batchNorms, parameterTensors } from './architecture.js';
import { LOSS_SCALE_VARIABLES, isScaled, nextLossScale } from './loss-scale.js';
import { composedOperations } from './composed.js';
import { fusedOperations } from './fused.js';
import type { Normalise } from './network.js';
import { channelViews, cut, forward } from './network.js';
import type { Operations } from './operations.js';
import type { GraphState, StepScalars } from './optimizers.js';
import { SCALARS, graphUpdate, slotsOf } from './optimizers.js';
import type { Settings } from './settings.js';

export type StepSettings = Pick<Settings, 'optimizer' | 'decayed' | 'l2' | 'bnMomentum' | 'precision'>;

const feedsOf = ({ side }: Architecture, batch: number) => ({
  images: { shape: [batch, side, side, IMAGE_CHANNELS] },
  labels: { shape: [batch], dtype: 'int32' as const },
});

/** The feeds that {@link trainSignature} takes beside the batch. */
export const scalarFeeds = (scalars: StepScalars): Record<keyof StepScalars, Float32Array> => ({
  rate: Float32Array.of(scalars.rate),
  decay: Float32Array.of(scalars.decay),
  momentum: Float32Array.of(scalars.momentum),
  epsilon: Float32Array.of(scalars.epsilon),
});

/** Their shapes. */
export const scalarShapes = Object.fromEntries(SCALARS.map((name) => [name, { shape: [] }]));

const variable = (tensors: Tensors, name: string): Tensor => {
  const tensor = tensors[name];
  if (tensor === undefined) throw new Error(`the step lacks '${name}'`);
  return tensor;
};

/**
 * Names and lengths of all variables: `parameters`, the optimizer's slots, `movingMean`, `movingVariance`, and in float16
 * `lossScale` and `goodSteps`.
 */
export function variablesOf(architecture: Architecture, settings: StepSettings): ProgramSource['variables'] {
  const vector = { shape: [architecture.trainable] };
  const statistics = { shape: [architecture.nonTrainable / 2] };
  return {
    parameters: vector,
    ...Object.fromEntries(slotsOf(settings.optimizer).map((slot) => [slot, vector])),
    movingMean: statistics,
    movingVariance: statistics,
    ...(isScaled(settings.precision)
      ? Object.fromEntries(LOSS_SCALE_VARIABLES.map((name) => [name, { shape: [1] }]))
      : {}),
  };
}

/** Fused kernels on the native engine; on another what they do, composed. */
const operationsOn = (tf: TensorFlow): Operations =>
  tf.getBackend() === 'tensorflow' ? fusedOperations(tf) : composedOperations(tf);

interface Classified {
  /** Cross-entropy of each image, in nats. */
  readonly losses: Tensor;
  /** Sums over the batch: cross-entropy, and correctly classified images. */
  readonly sums: Tensors;
}

/** The network on the batch that is fed. */
function classify(
  tf: TensorFlow,
  architecture: Architecture,
  operations: Operations,
  feeds: Tensors,
  values: readonly Tensor[],
  normalise: Normalise,
): Classified {
  const labels = variable(feeds, 'labels');
  const logits = forward(architecture, operations, values, variable(feeds, 'images'), normalise);
  const losses = operations.crossEntropy(logits, labels);
  const hits = tf.argMax(logits, 1).equal(labels);
  return { losses, sums: { crossEntropySum: losses.sum(), correct: hits.cast('float32').sum() } };
}

interface Backward {
  /** Of the whole parameter vector, the penalty's included; multiplied by the loss scale where there is one. */
  readonly gradient: Tensor;
  readonly sums: Tensors;
  readonly statistics: ReadonlyMap<string, { readonly mean: Tensor; readonly variance: Tensor }>;
}

/** Forward and backward pass. @param lossScale Null where the loss is not scaled. */
function gradientOf(
  tf: TensorFlow,
  architecture: Architecture,
  settings: StepSettings,
  flat: Tensor,
  feeds: Tensors,
  lossScale: Tensor | null,
): Backward {
  const operations = operationsOn(tf);
  const tensors = parameterTensors(architecture);
  const parameters = cut(
    tf,
    flat,
    tensors.map(({ shape }) => shape),
  );
  const statistics = new Map<string, { mean: Tensor; variance: Tensor }>();
  let sums: Tensors = {};
  const loss = (...values: Tensor[]): Tensor => {
    const found = classify(tf, architecture, operations, feeds, values, (x, gamma, beta, layer) => {
      const { output, mean, variance } = operations.batchNormTraining(x, gamma, beta);
      statistics.set(layer.name, { mean, variance });
      return output;
    });
    sums = keepAll(tf, found.sums);
    const mean = found.losses.mean();
    return lossScale === null ? mean : mean.mul(lossScale.reshape([]));
  };
  const { grads } = tf.valueAndGrads(loss)(parameters);
  const l2 = lossScale === null ? settings.l2 : lossScale.mul(settings.l2);
  const gradient = tf.concat(
    grads.map((grad, index) => withPenalty(grad, parameters[index], tensors[index], l2).flatten()),
  );
  return { gradient, sums, statistics };
}

/**
 * One optimizer step on `batch` images.
 *
 * Feeds: `images`, `labels`, and the scalars of `stepScalars`. Fetches: `crossEntropySum`, `correct`, and
 * `activations`, the sum of all batch means and variances, which is finite only if all of them are: where a variance
 * overflows, normalisation gives its beta, and the loss stays finite with weights that are beyond use. In float16 also
 * `applied`, 0 where the gradient was not finite and the update was left out, and `lossScale`, that of this step.
 */
export function trainSignature(
  tf: TensorFlow,
  architecture: Architecture,
  settings: StepSettings,
  batch: number,
): Signature {
  const step: Signature['step'] = (state, feeds) => {
    const lossScale = isScaled(settings.precision) ? variable(state, 'lossScale') : null;
    const flat = variable(state, 'parameters');
    const backward = gradientOf(tf, architecture, settings, flat, feeds, lossScale);
    const gradient = lossScale === null ? backward.gradient : backward.gradient.div(lossScale);
    const slots = Object.fromEntries(
      slotsOf(settings.optimizer).map((slot) => [slot, variable(state, slot)]),
    );
    const scalars = Object.fromEntries(SCALARS.map((name) => [name, variable(feeds, name)]));
    const before: GraphState = { weights: flat, slots };
    const updated = graphUpdate(
      tf,
      settings.optimizer,
      before,
      gradient,
      scalars as Record<keyof StepScalars, Tensor>,
      settings.decayed === 'kernels' ? kernelsOnly(tf, parameterTensors(architecture)) : null,
    );
    const { means, variances } = joined(tf, architecture, batch, backward.statistics);
    const toward = (name: string, current: Tensor): Tensor => {
      const moving = variable(state, name);
      return moving.add(current.sub(moving).mul(1 - settings.bnMomentum));
    };
    const statistics = {
      movingMean: toward('movingMean', means),
      movingVariance: toward('movingVariance', variances),
    };
    const fetches = { ...backward.sums, activations: means.sum().add(variances.sum()) };
    if (lossScale === null) {
      return { state: { parameters: updated.weights, ...updated.slots, ...statistics }, fetches };
    }
    const finite = gradient.isFinite().all();
    const kept = chosen(tf, finite, updated, before);
    const scale = nextLossScale(tf, { lossScale, goodSteps: variable(state, 'goodSteps') }, finite);
    return {
      state: { parameters: kept.weights, ...kept.slots, ...scale, ...statistics },
      fetches: { ...fetches, applied: finite.cast('float32'), lossScale },
    };
  };
  return { feeds: { ...feedsOf(architecture, batch), ...scalarShapes }, step };
}

/** The updated state where `finite`, else the one before. */
function chosen(tf: TensorFlow, finite: Tensor, updated: GraphState, before: GraphState): GraphState {
  const slots = Object.entries(before.slots).map(([name, old]) => [
    name,
    tf.where(finite, variable(updated.slots, name), old),
  ]);
  return {
    weights: tf.where(finite, updated.weights, before.weights),
    slots: Object.fromEntries(slots) as GraphState['slots'],
  };
}

/** Tensors made inside a gradient function outlive it only when kept; while tracing they hold no memory. */
const keepAll = (tf: TensorFlow, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.keep(tensor)]));

/** 1 for the weights of kernels, 0 for biases, gammas and betas. */
const kernelsOnly = (tf: TensorFlow, tensors: ReturnType<typeof parameterTensors>): Tensor =>
  tf.concat(tensors.map(({ role, length }) => tf.fill([length], role === 'kernel' ? 1 : 0)));

/** The gradient with that of l2 * sum(w^2), which is 2 * l2 * w, on convolution kernels. @param l2 0 for none. */
function withPenalty(
  gradient: Tensor,
  value: Tensor | undefined,
  of: ReturnType<typeof parameterTensors>[number] | undefined,
  l2: number | Tensor,
): Tensor {
  const penalised = l2 !== 0 && of?.role === 'kernel' && of.layer.kind === 'conv';
  if (!penalised || value === undefined) return gradient;
  return gradient.add(value.mul(typeof l2 === 'number' ? 2 * l2 : l2.mul(2)));
}

/**
 * Batch statistics of all layers, each as one vector. Keras 3 takes the biased variance (`ops.moments`), the kernel gives
 * the unbiased one: (n-1)/n of it, with n values a channel, is what Keras takes.
 */
function joined(
  tf: TensorFlow,
  architecture: Architecture,
  batch: number,
  statistics: ReadonlyMap<string, { readonly mean: Tensor; readonly variance: Tensor }>,
): { readonly means: Tensor; readonly variances: Tensor } {
  const layers = batchNorms(architecture);
  const of = layers.map(({ name }) => {
    const found = statistics.get(name);
    if (found === undefined) throw new Error(`${name} was not computed`);
    return found;
  });
  const biased = layers.flatMap(({ side, channels }) => {
    const values = batch * side * side;
    return Array.from<number>({ length: channels }).fill((values - 1) / values);
  });
  const means = tf.concat(of.map(({ mean }) => mean));
  const variances = tf.concat(of.map(({ variance }) => variance)).mul(tf.tensor1d(biased));
  tf.dispose(of.flatMap(({ mean, variance }) => [mean, variance]));
  return { means, variances };
}

/** Evaluation of `batch` images with the moving statistics. Fetches: `crossEntropySum`, `correct`. */
export function evaluateSignature(tf: TensorFlow, architecture: Architecture, batch: number): Signature {
  return {
    feeds: feedsOf(architecture, batch),
    step: (state, feeds) => {
      const operations = operationsOn(tf);
      const shapes = parameterTensors(architecture).map(({ shape }) => shape);
      const values = cut(tf, variable(state, 'parameters'), shapes);
      const means = channelViews(tf, architecture, variable(state, 'movingMean'));
      const variances = channelViews(tf, architecture, variable(state, 'movingVariance'));
      const { sums } = classify(tf, architecture, operations, feeds, values, (x, gamma, beta, { name }) => {
        const [mean, variance] = [means.get(name), variances.get(name)];
        if (mean === undefined || variance === undefined) throw new Error(`${name} has no statistics`);
        return operations.batchNormInference(x, gamma, beta, mean, variance);
      });
      return { fetches: sums };
    },
  };
}
