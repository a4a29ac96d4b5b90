import { describe, expect, it } from 'vitest';
import {
  batchNorms,
  layersByKind,
  parameterTensors,
  stepsPerEpoch,
} from '../../../services/trainer/runner/recipes/images/architecture.js';
import {
  initialParameters,
  l2Penalty,
} from '../../../services/trainer/runner/recipes/images/initializers.js';
import { resnetV2 } from '../../../services/trainer/runner/recipes/images/networks.js';

describe('ResNet v2', () => {
  it.each([
    [11, 297_418, 1_760, 13, 10, 34_523_648],
    [20, 570_602, 3_488, 22, 19, 66_243_072],
    [29, 843_786, 5_216, 31, 28, 97_962_496],
    [56, 1_663_338, 10_400, 58, 55, 193_120_768],
    [83, 2_482_890, 15_584, 85, 82, 288_279_040],
    [110, 3_302_442, 20_768, 112, 109, 383_437_312],
  ])(
    'of depth %i has the counts that Keras gives',
    (depth, trainable, moving, convolutions, norms, forwardMacs) => {
      const architecture = resnetV2(depth);
      const of = (kind: string) => architecture.layers.filter((layer) => layer.kind === kind).length;
      expect(architecture).toMatchObject({ trainable, nonTrainable: moving, forwardMacs });
      expect([of('conv'), of('batch-norm')]).toEqual([convolutions, norms]);
    },
  );

  it('has as many layers as the same network in Keras', () => {
    const kinds = layersByKind(resnetV2(56));
    expect(kinds).toMatchObject({ conv: 58, 'batch-norm': 55, relu: 55, add: 18 });
    expect(Object.values(kinds).reduce((sum, count) => sum + count, 0)).toBe(190);
  });

  it('has Keras sums by kind at depth 56', () => {
    const tensors = parameterTensors(resnetV2(56));
    const sum = (kind: string, roles: string[]) =>
      tensors
        .filter(({ layer, role }) => layer.kind === kind && roles.includes(role))
        .reduce((total, { length }) => total + length, 0);
    expect(sum('conv', ['kernel'])).toBe(1_644_720);
    expect(sum('conv', ['bias'])).toBe(5_648);
    expect(sum('batch-norm', ['gamma', 'beta'])).toBe(10_400);
    expect(sum('dense', ['kernel', 'bias'])).toBe(2_570);
  });

  it('puts the stride into the first convolution and the shortcut of stages 1 and 2', () => {
    const strided = resnetV2(56)
      .layers.filter((layer) => layer.kind === 'conv')
      .filter(({ stride }) => stride === 2)
      .map(({ name }) => name);
    expect(strided).toEqual([
      'stage1_unit0_conv1',
      'stage1_unit0_shortcut',
      'stage2_unit0_conv1',
      'stage2_unit0_shortcut',
    ]);
  });

  it('places its tensors without gaps, and a mean and a variance for each channel', () => {
    const architecture = resnetV2(20);
    let offset = 0;
    for (const tensor of parameterTensors(architecture)) {
      expect(tensor.offset).toBe(offset);
      offset += tensor.length;
    }
    expect(offset).toBe(architecture.trainable);
    const channels = batchNorms(architecture).reduce((sum, layer) => sum + layer.channels, 0);
    expect(2 * channels).toBe(architecture.nonTrainable);
  });

  it('exists only in depths of 9n+2', () => {
    expect(() => resnetV2(12)).toThrow(/9n\+2/);
  });

  it('starts with an L2 term of about 1.13 at depth 56, on convolution kernels only', () => {
    const architecture = resnetV2(56);
    const parameters = initialParameters(architecture, 7);
    const penalty = l2Penalty(architecture, parameters, 1e-4);
    expect(penalty).toBeGreaterThan(1.12);
    expect(penalty).toBeLessThan(1.14);
    const ones = new Float32Array(architecture.trainable).fill(1);
    expect(l2Penalty(architecture, ones, 1)).toBe(1_644_720);
  });

  it('draws kernels within two standard deviations, other weights and seeds apart', () => {
    const architecture = resnetV2(11);
    const a = initialParameters(architecture, 1);
    const b = initialParameters(architecture, 2);
    const stem = parameterTensors(architecture)[0]!;
    const kernel = a.subarray(0, stem.length);
    const limit = (2 * Math.sqrt(2 / 27)) / 0.87962566103423978;
    expect(Math.max(...kernel.map(Math.abs))).toBeLessThanOrEqual(limit);
    expect(Buffer.from(a.buffer).equals(Buffer.from(initialParameters(architecture, 1).buffer))).toBe(true);
    expect(kernel).not.toEqual(b.subarray(0, stem.length));
  });

  it.each([
    [32, 1563],
    [64, 782],
    [128, 391],
  ])('takes, at batch size %i, %i steps an epoch', (batchSize, steps) => {
    expect(stepsPerEpoch(50_000, batchSize)).toBe(steps);
  });
});
