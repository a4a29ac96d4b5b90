/** The networks that the recipes of images offer, drawn up as layers. Each names its source. */
import type { Activation, Architecture, ImageShape, Place } from './architecture.js';
import { NetworkBuilder } from './architecture.js';

interface Residual {
  readonly activation: Activation;
  /** Side of the kernel of the shortcut's convolution, where a stage changes the shape. */
  readonly shortcutKernel: number;
}

export type NetworkSettings =
  | (Residual & {
      readonly kind: 'resnet-v1' | 'resnet-v2';
      /** Units of each stage. */
      readonly units: readonly number[];
    })
  | (Residual & { readonly kind: 'wide-resnet'; readonly units: readonly number[]; readonly width: number })
  | {
      readonly kind: 'cnn';
      readonly activation: Activation;
      /** Each halves the image's side. */
      readonly stages: number;
      /** Channels of the first stage; each further one doubles them. */
      readonly width: number;
    };

/** CIFAR-10's. */
export const CIFAR10_SHAPE: ImageShape = { side: 32, classes: 10 };

const STEM_CHANNELS = 16;

/** Layers that a unit of each residual network counts in its depth, on three stages, and what is counted beside them. */
export const DEPTHS = {
  'resnet-v1': { perUnit: 6, beside: 2 },
  'resnet-v2': { perUnit: 9, beside: 2 },
  'wide-resnet': { perUnit: 6, beside: 4 },
} as const;

const normed = (net: NetworkBuilder, x: Place, name: string): Place => net.activation(net.norm(x, name));

/** The head of all of them: mean over the positions, then one dense layer. */
const headed = (net: NetworkBuilder, x: Place): Place => net.dense(net.average(x), 'head_dense');

/**
 * He et al. 2016 (arXiv:1603.05027) in the form of the Keras example `cifar10_resnet`: bottleneck units, BN-ReLU-Conv; every
 * convolution with bias; the shortcut convolution takes the raw tensor.
 */
function drawResnetV2(net: NetworkBuilder, units: readonly number[], shortcutKernel: number): void {
  let x = normed(net, net.conv(net.input, 'stem_conv', 3, STEM_CHANNELS), 'stem_bn');
  units.forEach((count, stage) => {
    // Stage 0 widens fourfold, the others double: 16-64, 64-128, 128-256.
    const inner = stage === 0 ? STEM_CHANNELS : x.channels;
    const outer = stage === 0 ? 4 * inner : 2 * inner;
    for (let unit = 0; unit < count; unit++) {
      const name = `stage${stage}_unit${unit}`;
      const stride = stage > 0 && unit === 0 ? 2 : 1;
      // The stem's own BN-ReLU stands before the very first unit.
      const first = stage === 0 && unit === 0 ? x : normed(net, x, `${name}_bn1`);
      let y = net.conv(first, `${name}_conv1`, 1, inner, { stride });
      y = net.conv(normed(net, y, `${name}_bn2`), `${name}_conv2`, 3, inner);
      y = net.conv(normed(net, y, `${name}_bn3`), `${name}_conv3`, 1, outer);
      if (unit === 0) x = net.conv(x, `${name}_shortcut`, shortcutKernel, outer, { stride });
      x = net.add(x, y);
    }
  });
  headed(net, normed(net, x, 'head_bn'));
}

/**
 * He et al. 2015 (arXiv:1512.03385, section 4.2) in the form of the Keras example: two 3x3 convolutions a unit, Conv-BN-ReLU,
 * a convolution without batch normalisation where the shape changes.
 */
function drawResnetV1(net: NetworkBuilder, units: readonly number[], shortcutKernel: number): void {
  let x = normed(net, net.conv(net.input, 'stem_conv', 3, STEM_CHANNELS), 'stem_bn');
  units.forEach((count, stage) => {
    const channels = STEM_CHANNELS * 2 ** stage;
    for (let unit = 0; unit < count; unit++) {
      const name = `stage${stage}_unit${unit}`;
      const stride = stage > 0 && unit === 0 ? 2 : 1;
      let y = normed(net, net.conv(x, `${name}_conv1`, 3, channels, { stride }), `${name}_bn1`);
      y = net.norm(net.conv(y, `${name}_conv2`, 3, channels), `${name}_bn2`);
      if (stride > 1) x = net.conv(x, `${name}_shortcut`, shortcutKernel, channels, { stride });
      x = net.activation(net.add(x, y));
    }
  });
  headed(net, x);
}

/**
 * Zagoruyko & Komodakis 2016 (arXiv:1605.07146), units B(3,3) without dropout: no biases of convolutions, and a shortcut
 * convolution that takes the activated tensor.
 */
function drawWideResnet(
  net: NetworkBuilder,
  units: readonly number[],
  width: number,
  shortcutKernel: number,
): void {
  let x = net.conv(net.input, 'stem_conv', 3, STEM_CHANNELS, { bias: false });
  units.forEach((count, stage) => {
    const channels = STEM_CHANNELS * 2 ** stage * width;
    for (let unit = 0; unit < count; unit++) {
      const name = `stage${stage}_unit${unit}`;
      const options = { stride: stage > 0 && unit === 0 ? 2 : 1, bias: false };
      const activated = normed(net, x, `${name}_bn1`);
      let y = net.conv(activated, `${name}_conv1`, 3, channels, options);
      y = net.conv(normed(net, y, `${name}_bn2`), `${name}_conv2`, 3, channels, { bias: false });
      if (unit === 0 && x.channels !== channels)
        x = net.conv(activated, `${name}_shortcut`, shortcutKernel, channels, options);
      x = net.add(x, y);
    }
  });
  headed(net, normed(net, x, 'head_bn'));
}

/** Small and plain: in each stage two 3x3 convolutions, Conv-BN-ReLU, and the largest of each 2x2 positions. */
function drawCnn(net: NetworkBuilder, stages: number, width: number): void {
  let x = net.input;
  for (let stage = 0; stage < stages; stage++) {
    for (const part of [1, 2]) {
      const name = `stage${stage}`;
      x = normed(net, net.conv(x, `${name}_conv${part}`, 3, width * 2 ** stage), `${name}_bn${part}`);
    }
    x = net.maxPool(x);
  }
  headed(net, x);
}

/** The network of these settings for images of this shape. */
export function architectureOf(network: NetworkSettings, shape: ImageShape = CIFAR10_SHAPE): Architecture {
  const net = new NetworkBuilder(shape);
  switch (network.kind) {
    case 'resnet-v2':
      drawResnetV2(net, network.units, network.shortcutKernel);
      break;
    case 'resnet-v1':
      drawResnetV1(net, network.units, network.shortcutKernel);
      break;
    case 'wide-resnet':
      drawWideResnet(net, network.units, network.width, network.shortcutKernel);
      break;
    case 'cnn':
      drawCnn(net, network.stages, network.width);
      break;
  }
  return net.build(nameOf(network, shape), network.activation);
}

/** That of ResNet v2 on CIFAR-10 is older than the others: checkpoints carry it. */
function nameOf(network: NetworkSettings, { side, classes }: ImageShape): string {
  if (network.kind === 'resnet-v2') {
    const { units, activation, shortcutKernel } = network;
    const [count = 0] = units;
    const isPlain = units.every((other) => other === count) && activation === 'relu' && shortcutKernel === 1;
    if (isPlain && side === 32 && classes === 10) return `resnet-cifar10/${9 * count + 2}`;
  }
  const { kind, ...rest } = network;
  const options = Object.values(rest).map((value) =>
    Array.isArray(value) ? value.join('-') : String(value),
  );
  return [kind, ...options, `${side}x${side}`, classes].join('/');
}

/** Units a stage of a residual network of this depth, or null where it has no such depth. */
export function unitsOf(kind: keyof typeof DEPTHS, depth: number): readonly number[] | null {
  const { perUnit, beside } = DEPTHS[kind];
  const units = (depth - beside) / perUnit;
  return Number.isInteger(units) && units >= 1 ? [units, units, units] : null;
}

/** ResNet v2 of depth 9n+2 on CIFAR-10 as the Keras example has it. @throws RangeError for another depth */
export function resnetV2(depth: number): Architecture {
  const units = unitsOf('resnet-v2', depth);
  if (units === null) throw new RangeError(`ResNet v2 has a depth of 9n+2 (11, 20, 29, ...), not ${depth}`);
  return architectureOf({ kind: 'resnet-v2', units, activation: 'relu', shortcutKernel: 1 });
}
