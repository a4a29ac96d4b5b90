/** Any of the networks on any data set: the recipe for a comparison of networks, and for one's own images. */
import { refuse } from '../../validate.js';
import type { Activation } from '../architecture.js';
import { dataSet, isDataSetName } from '../data.js';
import type { ImageRecipe } from '../image-recipe.js';
import { residualNetwork } from '../network-settings.js';
import type { NetworkSettings } from '../networks.js';
import { metrics, residualParameters, trainingParameters } from '../parameters.js';

type Kind = NetworkSettings['kind'];

/** Depth and width where none is given. */
const DEFAULTS: Readonly<Record<Kind, { readonly depth: number; readonly width: number }>> = {
  'resnet-v2': { depth: 20, width: 1 },
  'resnet-v1': { depth: 20, width: 1 },
  'wide-resnet': { depth: 16, width: 4 },
  cnn: { depth: 3, width: 32 },
};

/** So many stages halve an image of 32 pixels to one. */
const MOST_CNN_STAGES = 5;

export const imageClassifier: ImageRecipe = {
  descriptor: {
    name: 'image-classifier',
    description:
      'ResNet v1 or v2, WideResNet or a small CNN on CIFAR-10, CIFAR-100 or images of your own, validated on the test images after every epoch.',
    parameters: {
      data: {
        type: 'string',
        description:
          'Data set: cifar10, cifar100, or the name of a folder of your own in WATTSWEEP_DATASETS on each trainer box; see docs/recipes.md.',
        default: 'cifar10',
      },
      network: {
        type: 'string',
        description:
          'resnet-v1 (He et al. 2015) and resnet-v2 (He et al. 2016) as the Keras example has them, wide-resnet (Zagoruyko & Komodakis 2016, without dropout), or cnn, plain stages of two convolutions.',
        default: 'resnet-v2',
        choices: ['resnet-v2', 'resnet-v1', 'wide-resnet', 'cnn'],
      },
      depth: {
        type: 'integer',
        description:
          'Layers: 9n+2 (resnet-v2), 6n+2 (resnet-v1), 6n+4 (wide-resnet), or stages (cnn). Where none is given: 20, 20, 16, 3.',
        default: null,
        min: 1,
        max: 1001,
      },
      width: {
        type: 'integer',
        description:
          "Channels of wide-resnet, as a multiple of ResNet's 16, 32, 64 (4 where none is given), or of cnn's first stage (32). The ResNets have none.",
        default: null,
        min: 1,
        max: 512,
      },
      ...residualParameters,
      ...trainingParameters,
      train_images: {
        type: 'integer',
        description: 'Train on the first so many training images. All of them where it is left out.',
        default: null,
        min: 1,
        max: 100_000_000,
        unit: 'images',
      },
      validation_images: {
        type: 'integer',
        description:
          'Validate on the first so many test images (or test on them: see validation). All of them where it is left out.',
        default: null,
        min: 1,
        max: 100_000_000,
        unit: 'images',
      },
    },
    metrics,
  },
  data: (all) => {
    const name = all['data'] as string;
    if (!isDataSetName(name))
      refuse('data', `${JSON.stringify(name)} is no name of a data set: small letters, digits, -, _ and .`);
    return dataSet(name);
  },
  network: (all) => {
    const kind = all['network'] as Kind;
    const depth = (all['depth'] ?? DEFAULTS[kind].depth) as number;
    const width = (all['width'] ?? DEFAULTS[kind].width) as number;
    if (kind !== 'cnn') return residualNetwork(kind, { ...all, width }, depth);
    if (depth > MOST_CNN_STAGES) refuse('depth', `a cnn has 1 to ${MOST_CNN_STAGES} stages, not ${depth}`);
    return { kind, activation: all['activation'] as Activation, stages: depth, width };
  },
};
