import { describe, expect, it } from 'vitest';
import {
  assertFits,
  describeNeed,
  memoryNeed,
} from '../../../services/trainer/runner/recipes/images/memory.js';
import { architectureOf } from '../../../services/trainer/runner/recipes/images/networks.js';
import { imageClassifier } from '../../../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';

const of = (given: Parameters<typeof parseSettings>[0]) => {
  const settings = parseSettings(given, 1, imageClassifier);
  return [architectureOf(settings.network, settings.data), settings] as const;
};
const small = { train_images: 100, validation_images: 50 };

describe('the memory that a step needs', () => {
  it('is what the backward pass reads again, an image', () => {
    // One stage of 2 channels on 32x32: images, two convolutions, two activations, the pooled 16x16, its mean.
    const need = memoryNeed(...of({ ...small, network: 'cnn', depth: 1, width: 2, batch_size: 7 }));
    const image = 3072 + 4 * 2 * 1024 + 2;
    expect(need.activations).toBe(7 * 4 * image);
    expect(need.images).toBe(150 * 3072);
  });

  it('grows with the batch up to the images that there are, and with the optimizer', () => {
    const batch = (batch_size: number) => memoryNeed(...of({ ...small, batch_size })).activations;
    expect(batch(64)).toBe(2 * batch(32));
    expect(batch(1000)).toBe(batch(100));
    const [sgd, adam] = ['sgd', 'adam'].map((optimizer) => memoryNeed(...of({ optimizer, momentum: 0 })));
    expect([sgd!.state, adam!.state]).toEqual([570_602 * 4 * 3, 570_602 * 4 * 7]);
  });

  it('is below what ResNet56v2 was seen to take at batch 32', () => {
    const { activations, state, images } = memoryNeed(...of({ depth: 56 }));
    expect(activations).toBeGreaterThan(0.3e9);
    expect(activations + state + images).toBeLessThan(1.07e9);
  });

  it('is told when it is more than there is', () => {
    const setting = of({ depth: 56, batch_size: 128 });
    expect(() => assertFits(...setting, 8 * 2 ** 30)).not.toThrow();
    expect(() => assertFits(...setting, 2 ** 30)).toThrow(
      expect.objectContaining({ code: 'ATTEMPT_OUT_OF_MEMORY' }),
    );
    expect(describeNeed(...setting)).toMatch(
      /^a step of resnet-cifar10\/56 with batch 128 needs 1\.\d GiB at least \(1\.\d GiB for activations, 0\.04 GiB for weights/,
    );
  });
});
