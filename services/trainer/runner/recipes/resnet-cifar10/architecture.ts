/**
 * ResNet v2 of depth 9n+2 as a list of layers: shapes, parameter counts, and the order of the flat parameter vector.
 * Pure; the network itself (`network.ts`) and `wattsweep recipe` both follow this list.
 *
 * Source: He et al. 2016 (arXiv:1603.05027) in the form of the Keras example `cifar10_resnet` (bottleneck units,
 * BN-ReLU-Conv; every convolution with bias; the shortcut convolution takes the raw tensor).
 */

/** A batch normalisation over `channels`, followed by ReLU when `relu`. */
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

/** A residual unit: `convolutions` in order, each after BN-ReLU where `norms` has one, plus the shortcut. */
export interface Unit {
  readonly norms: readonly (BatchNormLayer | null)[];
  readonly convolutions: readonly ConvLayer[];
  readonly shortcut: ConvLayer | null;
}

export interface Architecture {
  readonly depth: number;
  /** n of 9n+2: units a stage. */
  readonly unitsPerStage: number;
  readonly stem: { readonly convolution: ConvLayer; readonly norm: BatchNormLayer };
  readonly units: readonly Unit[];
  readonly head: { readonly norm: BatchNormLayer; readonly dense: DenseLayer };
  /** Every layer with parameters, in the order of the parameter vector. */
  readonly layers: readonly ParameterLayer[];
  /** Trainable parameters. */
  readonly trainable: number;
  /** Moving means and variances of batch normalisation. */
  readonly nonTrainable: number;
  /** Multiply-accumulates of one image's forward pass. */
  readonly forwardMacs: number;
}

export const CLASSES = 10;
export const IMAGE_SIDE = 32;
export const IMAGE_CHANNELS = 3;
const STEM_CHANNELS = 16;

/** Whether ResNet v2 has this depth: 9n+2 with n at least 1. */
export const isDepth = (depth: number): boolean => Number.isInteger(depth) && depth >= 11 && depth % 9 === 2;

export const parameterCount = (layer: ParameterLayer): number => {
  switch (layer.kind) {
    case 'conv':
      return layer.kernel ** 2 * layer.inChannels * layer.outChannels + layer.outChannels;
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

/**
 * The architecture of depth `depth`.
 *
 * @throws RangeError unless {@link isDepth}.
 */
export function resnetV2(depth: number): Architecture {
  if (!isDepth(depth))
    throw new RangeError(`ResNet v2 has a depth of 9n+2 (11, 20, 29, 56, ...), not ${depth}`);
  const unitsPerStage = (depth - 2) / 9;
  const layers: ParameterLayer[] = [];
  const add = <L extends ParameterLayer>(layer: L): L => {
    layers.push(layer);
    return layer;
  };
  let side = IMAGE_SIDE;
  const conv = (
    name: string,
    kernel: number,
    stride: number,
    inChannels: number,
    outChannels: number,
  ): ConvLayer => add({ kind: 'conv', name, kernel, stride, inChannels, outChannels, side });
  const norm = (name: string, channels: number, at = side): BatchNormLayer =>
    add({ kind: 'batch-norm', name, channels, side: at });

  const stem = {
    convolution: conv('stem_conv', 3, 1, IMAGE_CHANNELS, STEM_CHANNELS),
    norm: norm('stem_bn', STEM_CHANNELS),
  };
  const units: Unit[] = [];
  let channels = STEM_CHANNELS;
  for (let stage = 0; stage < 3; stage++) {
    // Stage 0 widens fourfold, the others double: 16-64, 64-128, 128-256.
    const inner = stage === 0 ? STEM_CHANNELS : channels;
    const outer = stage === 0 ? 4 * inner : 2 * inner;
    for (let unit = 0; unit < unitsPerStage; unit++) {
      const name = `stage${stage}_unit${unit}`;
      const stride = stage > 0 && unit === 0 ? 2 : 1;
      // The stem's own BN-ReLU stands before the very first unit.
      const firstNorm = stage === 0 && unit === 0 ? null : norm(`${name}_bn1`, channels);
      side /= stride;
      const first = conv(`${name}_conv1`, 1, stride, channels, inner);
      const secondNorm = norm(`${name}_bn2`, inner);
      const second = conv(`${name}_conv2`, 3, 1, inner, inner);
      const thirdNorm = norm(`${name}_bn3`, inner);
      const third = conv(`${name}_conv3`, 1, 1, inner, outer);
      const shortcut = unit === 0 ? conv(`${name}_shortcut`, 1, stride, channels, outer) : null;
      units.push({
        norms: [firstNorm, secondNorm, thirdNorm],
        convolutions: [first, second, third],
        shortcut,
      });
      channels = outer;
    }
  }
  const head = {
    norm: norm('head_bn', channels),
    dense: add({ kind: 'dense', name: 'head_dense', inFeatures: channels, outFeatures: CLASSES } as const),
  };
  const sum = (of: (layer: ParameterLayer) => number): number =>
    layers.reduce((total, layer) => total + of(layer), 0);
  return {
    depth,
    unitsPerStage,
    stem,
    units,
    head,
    layers,
    trainable: sum(parameterCount),
    nonTrainable: sum((layer) => (layer.kind === 'batch-norm' ? 2 * layer.channels : 0)),
    forwardMacs: sum(macs),
  };
}

/**
 * Layers by kind, as Keras counts them for the same network (`len(model.layers)` is their sum, 190 for depth 56): input,
 * ReLU, addition, pooling and flattening are layers there, too.
 */
export function layersByKind(architecture: Architecture): Readonly<Record<string, number>> {
  const count = (kind: ParameterLayer['kind']): number =>
    architecture.layers.filter((layer) => layer.kind === kind).length;
  const norms = count('batch-norm');
  return {
    input: 1,
    conv: count('conv'),
    'batch-norm': norms,
    relu: norms,
    add: architecture.units.length,
    'average-pooling': 1,
    flatten: 1,
    dense: count('dense'),
  };
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
        return [tensor(layer, 'kernel', kernel), tensor(layer, 'bias', [layer.outChannels])];
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
