/** The forward pass, as pure functions of the parameter tensors, along the layer list of `architecture.ts`. */
import type { Tensor, TensorFlow } from '../../graph/binding.js';
import type { Architecture, BatchNormLayer, Node } from './architecture.js';
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
 * Logits, [batch, classes].
 *
 * @param values The parameters, in the order of `parameterTensors`.
 * @param images float32 [batch, side, side, 3].
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
  const outputs: Tensor[] = [];
  const output = (index: number): Tensor => required(outputs[index], `node ${index}`);
  for (const node of architecture.nodes) outputs.push(compute(node));
  return output(outputs.length - 1);

  function compute(node: Node): Tensor {
    switch (node.op) {
      case 'input':
        return images;
      case 'conv': {
        const { name, stride, bias } = node.layer;
        const kernel = parameter(`${name}/kernel`);
        return operations.conv(output(node.of), kernel, bias ? parameter(`${name}/bias`) : null, stride);
      }
      case 'batch-norm': {
        const { name } = node.layer;
        return normalise(output(node.of), parameter(`${name}/gamma`), parameter(`${name}/beta`), node.layer);
      }
      case 'activation':
        return operations.activation(output(node.of), architecture.activation);
      case 'add':
        return operations.add(output(node.of), output(node.and));
      case 'max-pool':
        return operations.maxPool(output(node.of));
      case 'average':
        return operations.globalAverage(output(node.of));
      case 'dense': {
        const { name } = node.layer;
        return operations.dense(output(node.of), parameter(`${name}/kernel`), parameter(`${name}/bias`));
      }
    }
  }
}
