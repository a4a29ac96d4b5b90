/** The forward pass, as pure functions of the parameter tensors, along the layer list of `architecture.ts`. */
import type { Tensor, TensorFlow } from '../../graph/binding.js';
import type { Architecture, BatchNormLayer, ConvLayer } from './architecture.js';
import { batchNorms, parameterTensors } from './architecture.js';
import type { Operations } from './operations.js';

/** How a batch normalisation layer is computed; differs between training and evaluation. */
export type Normalise = (x: Tensor, gamma: Tensor, beta: Tensor, layer: BatchNormLayer) => Tensor;

/** Cuts a flat vector into tensors of the given shapes, in one operation. */
export function cut(tf: TensorFlow, flat: Tensor, shapes: readonly (readonly number[])[]): Tensor[] {
  const sizes = shapes.map((shape) => shape.reduce((product, size) => product * size, 1));
  return tf.split(flat, sizes, 0).map((piece, index) => piece.reshape([...(shapes[index] ?? [])]));
}

/** Views of a flat vector with one value a channel for each batch normalisation, by layer name. */
export function channelViews(
  tf: TensorFlow,
  architecture: Architecture,
  flat: Tensor,
): ReadonlyMap<string, Tensor> {
  const layers = batchNorms(architecture);
  const pieces = cut(
    tf,
    flat,
    layers.map(({ channels }) => [channels]),
  );
  return new Map(layers.map((layer, index) => [layer.name, required(pieces[index], layer.name)]));
}

const required = (tensor: Tensor | undefined, name: string): Tensor => {
  if (tensor === undefined) throw new Error(`the network lacks ${name}`);
  return tensor;
};

/**
 * Logits, [batch, 10].
 *
 * @param values The parameters, in the order of `parameterTensors`.
 * @param images float32 [batch, 32, 32, 3].
 */
export function forward(
  architecture: Architecture,
  operations: Operations,
  values: readonly Tensor[],
  images: Tensor,
  normalise: Normalise,
): Tensor {
  const byName = new Map(parameterTensors(architecture).map(({ name }, index) => [name, values[index]]));
  const parameter = (name: string): Tensor => required(byName.get(name), name);
  const conv = (x: Tensor, { name, stride }: ConvLayer): Tensor =>
    operations.conv(x, parameter(`${name}/kernel`), parameter(`${name}/bias`), stride);
  const normRelu = (x: Tensor, layer: BatchNormLayer): Tensor =>
    operations.relu(normalise(x, parameter(`${layer.name}/gamma`), parameter(`${layer.name}/beta`), layer));

  const { stem, units, head } = architecture;
  let x = normRelu(conv(images, stem.convolution), stem.norm);
  for (const { norms, convolutions, shortcut } of units) {
    let y = x;
    convolutions.forEach((layer, index) => {
      const norm = norms[index];
      y = conv(norm ? normRelu(y, norm) : y, layer);
    });
    x = operations.add(shortcut === null ? x : conv(x, shortcut), y);
  }
  const features = operations.globalAverage(normRelu(x, head.norm));
  const { name } = head.dense;
  return operations.dense(features, parameter(`${name}/kernel`), parameter(`${name}/bias`));
}
