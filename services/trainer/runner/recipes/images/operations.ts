/** The network's operations as tfjs functions with gradients: what `network.ts` computes with, on either engine. */
import type { Tensor, TensorFlow } from '../../graph/binding.js';
import type { Activation } from './architecture.js';

/** Keras' default; part of the architecture, not a parameter. */
export const BN_EPSILON = 1e-3;

/** Slope of the leaky ReLU below 0 (Maas et al. 2013). */
const LEAK = 0.01;

export interface BatchNormResult {
  readonly output: Tensor;
  /** Batch mean a channel. */
  readonly mean: Tensor;
  /** Batch variance a channel with Bessel's correction: as the kernel gives it on every device. */
  readonly variance: Tensor;
}

export interface Operations {
  conv(x: Tensor, kernel: Tensor, bias: Tensor | null, stride: number): Tensor;
  activation(x: Tensor, kind: Activation): Tensor;
  /** Largest of each 2x2 positions. */
  maxPool(x: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  dense(x: Tensor, kernel: Tensor, bias: Tensor): Tensor;
  /** Mean over the image's positions: [batch, side, side, channels] to [batch, channels]. */
  globalAverage(x: Tensor): Tensor;
  batchNormTraining(x: Tensor, gamma: Tensor, beta: Tensor): BatchNormResult;
  batchNormInference(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor): Tensor;
  /** Cross-entropy of each row, [batch]; its gradient flows to the logits. @param labels int32 [batch]. */
  crossEntropy(logits: Tensor, labels: Tensor): Tensor;
}

/** The activations; the engines differ in `relu` alone. */
export const activations =
  (tf: TensorFlow, relu: (x: Tensor) => Tensor): Operations['activation'] =>
  (x, kind) => {
    switch (kind) {
      case 'relu':
        return relu(x);
      case 'leaky-relu':
        return tf.leakyRelu(x, LEAK);
      case 'elu':
        return tf.elu(x);
      case 'swish':
        return x.mul(tf.sigmoid(x));
    }
  };

export type Save = (tensors: Tensor[]) => void;

/** Makes a function of tensors with a gradient of its own; `backward` gets what `forward` saved. */
export const gradients =
  (tf: TensorFlow) =>
  (
    forward: (inputs: Tensor[], save: Save) => Tensor,
    backward: (dy: Tensor, saved: Tensor[]) => Tensor[],
  ): ((...inputs: Tensor[]) => Tensor) =>
    tf.customGrad((...given: unknown[]) => {
      const save = given.at(-1) as Save;
      const inputs = given.slice(0, -1) as Tensor[];
      return { value: forward(inputs, save), gradFunc: (dy: Tensor, saved: Tensor[]) => backward(dy, saved) };
    });
