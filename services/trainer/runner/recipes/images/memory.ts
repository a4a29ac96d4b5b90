/** What a training step needs to hold, by the layers: for the message when it is too much. */
import { totalmem } from 'node:os';
import { WattsweepError } from '../../../../../proto/errors.js';
import type { Architecture, NodeIndex } from './architecture.js';
import { IMAGE_CHANNELS } from './architecture.js';
import { slotsOf } from './optimizers.js';
import { pixelsOf } from './pictures.js';
import type { Settings } from './settings.js';

const FLOAT = 4;

/** All in bytes. A floor: the library's own memory, its scratch space and its executables come on top. */
export interface MemoryNeed {
  /** Outputs that the backward pass reads again. */
  readonly activations: number;
  /** Weights, their gradient, the optimizer's vectors, and their new values. */
  readonly state: number;
  /** Images as bytes, in the host's memory. */
  readonly images: number;
}

/** Numbers of each node's output, of one image. */
function outputSizes({ nodes, side, classes }: Architecture): number[] {
  const shapes: { side: number; channels: number }[] = [];
  for (const node of nodes) {
    const of = 'of' in node ? shapes[node.of] : undefined;
    const before = of ?? { side, channels: IMAGE_CHANNELS };
    switch (node.op) {
      case 'conv':
        shapes.push({ side: node.layer.side, channels: node.layer.outChannels });
        break;
      case 'max-pool':
        shapes.push({ ...before, side: Math.floor(before.side / 2) });
        break;
      case 'average':
        shapes.push({ ...before, side: 1 });
        break;
      case 'dense':
        shapes.push({ side: 1, channels: classes });
        break;
      case 'input':
      case 'batch-norm':
      case 'activation':
      case 'add':
        shapes.push(before);
    }
  }
  return shapes.map((shape) => shape.side ** 2 * shape.channels);
}

/** The nodes whose outputs the backward pass reads: what layers with weights and poolings took, and what ReLU gave. */
function keptNodes({ nodes }: Architecture): ReadonlySet<NodeIndex> {
  const kept = new Set<NodeIndex>();
  nodes.forEach((node, index) => {
    if (node.op === 'activation') kept.add(index);
    else if (node.op !== 'input' && node.op !== 'add' && node.op !== 'average') kept.add(node.of);
  });
  return kept;
}

export function memoryNeed(architecture: Architecture, settings: Settings): MemoryNeed {
  const sizes = outputSizes(architecture);
  const batch = Math.min(settings.batchSize, settings.trainImages);
  const vectors = 1 + slotsOf(settings.optimizer).length;
  const { trainImages, testImages, heldOut } = settings;
  return {
    activations:
      [...keptNodes(architecture)].reduce((sum, node) => sum + (sizes[node] ?? 0), 0) * batch * FLOAT,
    state: architecture.trainable * FLOAT * (2 * vectors + 1),
    images: (trainImages + testImages + (heldOut ?? 0)) * pixelsOf(architecture.side),
  };
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GiB`;

/** `a step of batch 64 needs 2.1 GiB at least: ...` */
export function describeNeed(architecture: Architecture, settings: Settings): string {
  const { activations, state, images } = memoryNeed(architecture, settings);
  const batch = Math.min(settings.batchSize, settings.trainImages);
  return `a step of ${architecture.name} with batch ${batch} needs ${gibibytes(activations + state)} at least (${gibibytes(activations)} for activations, ${gibibytes(state)} for weights and optimizer), beside ${gibibytes(images)} of images on the host and what TensorFlow itself takes`;
}

/**
 * Before anything is read: what even the floor shows not to fit would end with the kernel killing something on the box.
 *
 * @param available Of a CPU slot's box, in bytes.
 * @throws WattsweepError ATTEMPT_OUT_OF_MEMORY
 */
export function assertFits(architecture: Architecture, settings: Settings, available = hostMemory()): void {
  const { activations, state, images } = memoryNeed(architecture, settings);
  if (activations + state + images <= available) return;
  throw outOfMemory(`this box has ${gibibytes(available)}`, architecture, settings);
}

export const outOfMemory = (what: string, architecture: Architecture, settings: Settings): WattsweepError =>
  new WattsweepError('ATTEMPT_OUT_OF_MEMORY', `${what}; ${describeNeed(architecture, settings)}`);

/** Of the machine, or of the control group that this process is held in. */
function hostMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
