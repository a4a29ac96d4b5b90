import { describe, expect, it } from 'vitest';
import { layersByKind } from '../../../services/trainer/runner/recipes/images/architecture.js';
import { architectureOf, unitsOf } from '../../../services/trainer/runner/recipes/images/networks.js';
import { imageClassifier } from '../../../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { resnetCifar10 } from '../../../services/trainer/runner/recipes/images/recipes/resnet-cifar10.js';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';

const network = (given: Parameters<typeof parseSettings>[0]) => {
  const settings = parseSettings(given, 1, imageClassifier);
  return architectureOf(settings.network, settings.data);
};

describe('the networks of image-classifier', () => {
  // Printed by test/parity/networks.py, which builds them in Keras.
  it.each([
    [{}, 570_602, 3_488, 70],
    [{ network: 'resnet-v1' }, 273_066, 1_376, 72],
    [{ network: 'resnet-v1', depth: 56 }, 857_706, 4_064, 198],
    [{ network: 'resnet-v1', data: 'cifar100' }, 278_916, 1_376, 72],
    [{ network: 'wide-resnet' }, 2_748_890, 3_616, 52],
    [{ network: 'wide-resnet', depth: 28, width: 10 }, 36_479_194, 17_952, 94],
    [{ network: 'cnn' }, 289_194, 896, 25],
  ])('%j has the parameters and layers that Keras counts', (given, trainable, moving, layers) => {
    const architecture = network(given);
    expect(architecture).toMatchObject({ trainable, nonTrainable: moving });
    const kinds = Object.values(layersByKind(architecture));
    expect(kinds.reduce((sum, count) => sum + count, 0)).toBe(layers);
  });

  it('fit images of another side', () => {
    const settings = { kind: 'cnn', activation: 'relu', stages: 2, width: 16 } as const;
    expect(architectureOf(settings, { side: 48, classes: 5 })).toMatchObject({
      trainable: 17_013,
      nonTrainable: 192,
    });
  });

  it('have another name for all that changes their state, and v2 on CIFAR-10 its old one', () => {
    const names = [
      {},
      { activation: 'elu' },
      { shortcut_kernel: 3 },
      { units: [1, 2, 3] },
      { data: 'cifar100' },
      { network: 'resnet-v1' },
      { network: 'wide-resnet' },
      { network: 'wide-resnet', width: 2 },
      { network: 'cnn' },
      { network: 'cnn', depth: 2 },
    ].map((given) => network(given).name);
    expect(new Set(names).size).toBe(names.length);
    expect(names[0]).toBe('resnet-cifar10/20');
  });

  it.each([
    [{ depth: 21 }, 'depth: 21 is not 9n+2; near are 20 and 29'],
    [{ network: 'resnet-v1', depth: 11 }, 'depth: 11 is not 6n+2; near are 8 and 14'],
    [{ network: 'wide-resnet', depth: 20 }, 'depth: 20 is not 6n+4; near are 16 and 22'],
    [{ network: 'cnn', depth: 6 }, 'depth: a cnn has 1 to 5 stages, not 6'],
    [{ units: [1, 0] }, 'units: [1,0] is no list of 1 to 5 whole numbers'],
    [{ network: 'resnet' }, 'none of resnet-v2, resnet-v1, wide-resnet, cnn'],
    [{ data: '../secret' }, 'data: "../secret" is no name of a data set'],
    [{ data: 'nothing-here' }, "there is no data set 'nothing-here' here"],
    [{ train_images: 50_001 }, 'train_images: 50001 are more than the 50000 that cifar10 has'],
  ])('refuses %j', (given, message) => {
    expect(() => parseSettings(given, 1, imageClassifier)).toThrow(message);
  });
});

describe('resnet-cifar10', () => {
  it('takes units instead of a depth, and a wider shortcut', () => {
    const of = (given: Parameters<typeof parseSettings>[0]) => {
      const settings = parseSettings(given, 1, resnetCifar10);
      return architectureOf(settings.network, settings.data);
    };
    expect(of({ units: [6, 6, 6] })).toEqual(of({}));
    // 16x64, 64x128 and 128x256 weights eight times more.
    expect(of({ shortcut_kernel: 3 }).trainable).toBe(1_663_338 + 8 * (1_024 + 8_192 + 32_768));
  });

  it('knows its depths', () => {
    const depths = [2, 10, 11, 12, 20, 56.5, 56].filter((depth) => unitsOf('resnet-v2', depth) !== null);
    expect(depths).toEqual([11, 20, 56]);
  });
});
