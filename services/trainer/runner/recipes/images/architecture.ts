/**
 * A network as a list of layers: shapes, parameter counts, and the order of the flat parameter vector. Pure; what is
 * computed (`network.ts`), what is drawn up (`networks.ts`) and `wattsweep recipe` all follow this list.
 */

export interface BatchNormLayer {
  readonly kind: 'batch-norm';
  readonly name: string;
  readonly channels: number;
  readonly side: number;
}

export interface ConvLayer {
  readonly kind: 'conv';
  readonly name: string;
  /** Side of the square kernel. */
  readonly kernel: number;
  readonly stride: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly bias: boolean;
  /** Side of the square output. */
  readonly side: number;
}

export interface DenseLayer {
  readonly kind: 'dense';
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

export type ParameterLayer = ConvLayer | BatchNormLayer | DenseLayer;

export type Activation = 'relu' | 'leaky-relu' | 'elu' | 'swish';

/** Index of the node whose output is read; the images are node 0. */
export type NodeIndex = number;

/** One operation of the network, on outputs of earlier nodes. */
export type Node =
  | { readonly op: 'input' }
  | { readonly op: 'conv'; readonly layer: ConvLayer; readonly of: NodeIndex }
  | { readonly op: 'batch-norm'; readonly layer: BatchNormLayer; readonly of: NodeIndex }
  | { readonly op: 'activation'; readonly of: NodeIndex }
  | { readonly op: 'add'; readonly of: NodeIndex; readonly and: NodeIndex }
  /** The largest of each 2x2 positions. */
  | { readonly op: 'max-pool'; readonly of: NodeIndex }
  /** Mean over all positions. */
  | { readonly op: 'average'; readonly of: NodeIndex }
  | { readonly op: 'dense'; readonly layer: DenseLayer; readonly of: NodeIndex };

/** What the data asks of a network. */
export interface ImageShape {
  /** Of the square image of {@link IMAGE_CHANNELS} channels, in pixels. */
  readonly side: number;
  readonly classes: number;
}

export interface Architecture extends ImageShape {
  /** Tells networks apart whose state fits no other, e.g. `resnet-cifar10/56`. */
  readonly name: string;
  readonly activation: Activation;
  /** In the order of computation; the last one gives the logits. */
  readonly nodes: readonly Node[];
  /** Every layer with parameters, in the order of the parameter vector. */
  readonly layers: readonly ParameterLayer[];
  /** Trainable parameters. */
  readonly trainable: number;
  /** Moving means and variances of batch normalisation. */
  readonly nonTrainable: number;
  /** Multiply-accumulates of one image's forward pass. */
  readonly forwardMacs: number;
}

export const IMAGE_CHANNELS = 3;

export const parameterCount = (layer: ParameterLayer): number => {
  switch (layer.kind) {
    case 'conv':
      return layer.kernel ** 2 * layer.inChannels * layer.outChannels + (layer.bias ? layer.outChannels : 0);
    case 'batch-norm':
      return 2 * layer.channels;
    case 'dense':
      return layer.inFeatures * layer.outFeatures + layer.outFeatures;
  }
};

const macs = (layer: ParameterLayer): number => {
  switch (layer.kind) {
    case 'conv':
      return layer.side ** 2 * layer.kernel ** 2 * layer.inChannels * layer.outChannels;
    case 'batch-norm':
      return 0;
    case 'dense':
      return layer.inFeatures * layer.outFeatures;
  }
};

/** A node's output while a network is drawn up. */
export interface Place {
  readonly node: NodeIndex;
  readonly channels: number;
  readonly side: number;
}

export interface ConvOptions {
  /** @default 1 */
  readonly stride?: number;
  /** @default true */
  readonly bias?: boolean;
}

/** Draws a network up, operation by operation. Layers stand in the parameter vector in the order of these calls. */
export class NetworkBuilder {
  readonly input: Place;
  readonly #nodes: Node[] = [{ op: 'input' }];

  constructor(private readonly shape: ImageShape) {
    this.input = { node: 0, channels: IMAGE_CHANNELS, side: shape.side };
  }

  /** Padded so that only a stride makes it smaller (TensorFlow's `same`). */
  conv(of: Place, name: string, kernel: number, channels: number, options: ConvOptions = {}): Place {
    const { stride = 1, bias = true } = options;
    const side = Math.ceil(of.side / stride);
    const sizes = { kernel, stride, inChannels: of.channels, outChannels: channels, side };
    return this.#add(
      { op: 'conv', layer: { kind: 'conv', name, bias, ...sizes }, of: of.node },
      channels,
      side,
    );
  }

  norm(of: Place, name: string): Place {
    const { channels, side } = of;
    return this.#add(
      { op: 'batch-norm', layer: { kind: 'batch-norm', name, channels, side }, of: of.node },
      channels,
      side,
    );
  }

  activation(of: Place): Place {
    return this.#add({ op: 'activation', of: of.node }, of.channels, of.side);
  }

  add(a: Place, b: Place): Place {
    return this.#add({ op: 'add', of: a.node, and: b.node }, a.channels, a.side);
  }

  maxPool(of: Place): Place {
    return this.#add({ op: 'max-pool', of: of.node }, of.channels, Math.floor(of.side / 2));
  }

  average(of: Place): Place {
    return this.#add({ op: 'average', of: of.node }, of.channels, 1);
  }

  dense(of: Place, name: string): Place {
    const outFeatures = this.shape.classes;
    const layer = { kind: 'dense', name, inFeatures: of.channels, outFeatures } as const;
    return this.#add({ op: 'dense', layer, of: of.node }, outFeatures, 1);
  }

  #add(node: Node, channels: number, side: number): Place {
    this.#nodes.push(node);
    return { node: this.#nodes.length - 1, channels, side };
  }

  build(name: string, activation: Activation): Architecture {
    const nodes = this.#nodes;
    const layers = nodes.flatMap((node): ParameterLayer[] => ('layer' in node ? [node.layer] : []));
    const sum = (of: (layer: ParameterLayer) => number): number =>
      layers.reduce((total, layer) => total + of(layer), 0);
    return {
      ...this.shape,
      name,
      activation,
      nodes,
      layers,
      trainable: sum(parameterCount),
      nonTrainable: sum((layer) => (layer.kind === 'batch-norm' ? 2 * layer.channels : 0)),
      forwardMacs: sum(macs),
    };
  }
}

/**
 * Layers by kind, as Keras counts them for the same network (`len(model.layers)` is their sum, 190 for ResNet56v2):
 * input, activation, addition, pooling and flattening are layers there, too.
 */
export function layersByKind({ nodes, activation }: Architecture): Readonly<Record<string, number>> {
  const names: Readonly<Record<Node['op'], string>> = {
    input: 'input',
    conv: 'conv',
    'batch-norm': 'batch-norm',
    activation,
    add: 'add',
    'max-pool': 'max-pooling',
    average: 'average-pooling',
    dense: 'dense',
  };
  const counts: Record<string, number> = {};
  for (const { op } of nodes) {
    counts[names[op]] = (counts[names[op]] ?? 0) + 1;
    if (op === 'average') counts['flatten'] = 1;
  }
  return counts;
}

/** One tensor of the flat parameter vector. */
export interface ParameterTensor {
  /** Layer and role, e.g. `stem_conv/kernel`. */
  readonly name: string;
  readonly role: 'kernel' | 'bias' | 'gamma' | 'beta';
  readonly layer: ParameterLayer;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** The tensors of the flat parameter vector, in order. */
export function parameterTensors(architecture: Architecture): ParameterTensor[] {
  let offset = 0;
  const tensor = (
    layer: ParameterLayer,
    role: ParameterTensor['role'],
    shape: readonly number[],
  ): ParameterTensor => {
    const length = shape.reduce((product, size) => product * size, 1);
    const placed = { name: `${layer.name}/${role}`, role, layer, shape, offset, length };
    offset += length;
    return placed;
  };
  return architecture.layers.flatMap((layer) => {
    switch (layer.kind) {
      case 'conv': {
        const kernel = [layer.kernel, layer.kernel, layer.inChannels, layer.outChannels];
        const tensors = [tensor(layer, 'kernel', kernel)];
        return layer.bias ? [...tensors, tensor(layer, 'bias', [layer.outChannels])] : tensors;
      }
      case 'batch-norm':
        return [tensor(layer, 'gamma', [layer.channels]), tensor(layer, 'beta', [layer.channels])];
      case 'dense':
        return [
          tensor(layer, 'kernel', [layer.inFeatures, layer.outFeatures]),
          tensor(layer, 'bias', [layer.outFeatures]),
        ];
    }
  });
}

/** Batch normalisation layers in the order of the flat vectors of moving means and variances. */
export const batchNorms = (architecture: Architecture): BatchNormLayer[] =>
  architecture.layers.filter((layer) => layer.kind === 'batch-norm');

/** Optimizer steps an epoch: the last, smaller batch is kept. */
export const stepsPerEpoch = (images: number, batchSize: number): number => Math.ceil(images / batchSize);
