/**
 * ResNet v2 on CIFAR-10, as the Keras example trains it. `npm run gen` writes the descriptor into `proto/gen/recipes.json`,
 * from which the coordinator validates sweep files; the runner checks again, with the rules that a table cannot say.
 */
import { CIFAR10 } from '../data.js';
import type { ImageRecipe } from '../image-recipe.js';
import { residualNetwork } from '../network-settings.js';
import { metrics, residualParameters, trainingParameters } from '../parameters.js';

export const resnetCifar10: ImageRecipe = {
  descriptor: {
    name: 'resnet-cifar10',
    description:
      'ResNet v2 of depth 9n+2 on CIFAR-10 (He et al. 2016, arXiv:1603.05027; Keras example cifar10_resnet), validated on the test images after every epoch.',
    parameters: {
      depth: {
        type: 'integer',
        description: 'Layers, 9n+2 for n = 1, 2, 3, ...: 11, 20, 29, 56, 83, 110.',
        default: 56,
        min: 11,
        max: 1001,
      },
      ...residualParameters,
      ...trainingParameters,
      train_images: {
        type: 'integer',
        description: 'Train on the first so many of the 50,000 training images.',
        default: 50_000,
        min: 1,
        max: 50_000,
        unit: 'images',
      },
      validation_images: {
        type: 'integer',
        description:
          'Validate on the first so many of the 10,000 test images (or test on them: see validation).',
        default: 10_000,
        min: 1,
        max: 10_000,
        unit: 'images',
      },
    },
    metrics,
  },
  data: () => CIFAR10,
  network: (all) => residualNetwork('resnet-v2', all),
};
