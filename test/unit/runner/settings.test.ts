import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';

describe('the parameters of resnet-cifar10', () => {
  it('has the defaults of the Keras example', () => {
    expect(parseSettings({}, 200)).toEqual({
      network: { kind: 'resnet-v2', units: [6, 6, 6], activation: 'relu', shortcutKernel: 1 },
      data: { name: 'cifar10', side: 32, classes: 10, trainingImages: 50_000, testImages: 10_000 },
      batchSize: 32,
      optimizer: {
        kind: 'adam',
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-7,
        weightDecay: 0,
        clipNorm: null,
        semantics: 'keras',
      },
      decayed: 'all',
      lrPeak: 1e-3,
      schedule: { kind: 'constant', warmup: 0, per: 'step' },
      weightDecaySchedule: { kind: 'constant', warmup: 0, per: 'step' },
      plateau: null,
      l2: 1e-4,
      augment: { shift: 0.1, crop: 0, fill: 'nearest', flip: true },
      bnMomentum: 0.99,
      trainImages: 50_000,
      heldOut: null,
      testImages: 10_000,
      precision: 'float32',
    });
  });

  it('gives adamw the weight decay of Keras unless one is given', () => {
    expect(parseSettings({ optimizer: 'adamw' }, 1).optimizer.weightDecay).toBe(0.004);
    expect(parseSettings({ optimizer: 'adamw', weight_decay: 0 }, 1).optimizer.weightDecay).toBe(0);
  });

  it('takes the defaults of PyTorch with its definitions', () => {
    const adamw = { optimizer: 'adamw', optimizer_semantics: 'pytorch' };
    expect(parseSettings(adamw, 1).optimizer).toMatchObject({ epsilon: 1e-8, weightDecay: 0.01 });
    const given = { ...adamw, epsilon: 1e-5, weight_decay: 0.1 };
    expect(parseSettings(given, 1).optimizer).toMatchObject({ epsilon: 1e-5, weightDecay: 0.1 });
  });

  it('holds training images out where they validate', () => {
    expect(parseSettings({ validation: { from: 'train' } }, 1)).toMatchObject({
      trainImages: 45_000,
      heldOut: 5_000,
      testImages: 10_000,
    });
    const few = { validation: { from: 'train', size: 100 }, train_images: 1_000 };
    expect(parseSettings(few, 1)).toMatchObject({ trainImages: 1_000, heldOut: 100 });
  });

  it('crops instead of the default shift, not beside one that is given', () => {
    expect(parseSettings({ crop: 4, fill: 'zero' }, 1).augment).toEqual({
      shift: 0,
      crop: 4,
      fill: 'zero',
      flip: true,
    });
    expect(parseSettings({ crop: 4, shift: 0 }, 1).augment).toMatchObject({ shift: 0, crop: 4 });
  });

  it.each([
    [{ crop: 4, shift: 0.1 }, 'crop: 4 beside a shift of 0.1; give one of them'],
    [{ fill: 'mirror' }, 'none of nearest, reflect, zero'],
    [{ validation: { from: 'trian' } }, 'validation: from is "trian"; give test or train'],
    [
      { validation: { from: 'train', sise: 1 } },
      `no key 'sise'; known are from and size; did you mean 'size'?`,
    ],
    [{ validation: { from: 'train', size: 0 } }, 'size is 0; give images from 1 to 49999'],
    [{ validation: { from: 'test', size: 9 } }, 'size goes with from: train'],
    [
      { validation: { from: 'train' }, train_images: 45_001 },
      'train_images: 45001 are more than the 45000 that validation leaves of 50000',
    ],
    [{ batch_size: 0 }, 'batch_size: 0 is below 1'],
    [{ batch_size: 1.5 }, 'batch_size: 1.5 is no integer'],
    [{ depth: 57 }, 'depth: 57 is not 9n+2; near are 56 and 65'],
    [{ optimizer: 'adan' }, `optimizer: "adan" is none of adam, adamw, sgd; did you mean 'adam'?`],
    [{ lr_peek: 1 }, `lr_peek: recipe resnet-cifar10 has no such parameter; did you mean 'lr_peak'?`],
    [{ lr_peak: null }, 'lr_peak: null is no finite number'],
    [{ clip_norm: 0 }, 'clip_norm: 0 is below 1e-12'],
    [{ weight_decay_on: 'kernel' }, `did you mean 'kernels'?`],
    [{ flip: 'yes' }, 'flip: "yes" is neither true nor false'],
    [{ schedule: [1] }, 'schedule: [1] is no mapping'],
    [{ precision: 'float8' }, 'precision: "float8" is none of float32, bfloat16, float16'],
    [{ train_images: 50_001 }, 'train_images: 50001 is above 50000'],
  ])('refuses %j', (parameters, message) => {
    expect(() => parseSettings(parameters, 10)).toThrow(message);
    expect(() => parseSettings(parameters, 10)).toThrow(
      expect.objectContaining({ code: 'PARAMETER_REFUSED' }),
    );
  });
});
