import { afterAll, describe, expect, it } from 'vitest';
import { compile, traceGraph } from '../../../services/trainer/runner/graph/compile.js';
import { DataType } from '../../../services/trainer/runner/graph/tensorflow/gen/types.js';
import { parameterTensors } from '../../../services/trainer/runner/recipes/images/architecture.js';
import {
  initialParameters,
  initialStatistics,
} from '../../../services/trainer/runner/recipes/images/initializers.js';
import { GROWTH_STEPS } from '../../../services/trainer/runner/recipes/images/loss-scale.js';
import { architectureOf } from '../../../services/trainer/runner/recipes/images/networks.js';
import type { NetworkSettings } from '../../../services/trainer/runner/recipes/images/networks.js';
import { stepScalars } from '../../../services/trainer/runner/recipes/images/optimizers.js';
import type { StepSettings } from '../../../services/trainer/runner/recipes/images/steps.js';
import {
  evaluateSignature,
  scalarFeeds,
  trainSignature,
  variablesOf,
} from '../../../services/trainer/runner/recipes/images/steps.js';

import {
  tf,
  common,
  adam,
  still,
  architecture,
  settings,
  initial,
  noise,
  feedsOf,
  eagerly,
  distance,
} from './steps.js';

describe('a compiled step', () => {
  it('trains and evaluates like the same step run op by op, in every variable and fetch', () => {
    const signatures = {
      train: trainSignature(tf, architecture, settings, 4),
      rest: trainSignature(tf, architecture, settings, 3),
      evaluate: evaluateSignature(tf, architecture, 4),
    };
    const program = compile(tf, { variables: variablesOf(architecture, settings), signatures });
    program.write(initial());
    let state = initial();
    const scalars = scalarFeeds(stepScalars(adam, 1e-3, 1));
    for (const [name, batch] of [
      ['train', 4],
      ['rest', 3],
    ] as const) {
      const feeds = { ...feedsOf(batch), ...scalars };
      const fetched = program.run(name, feeds);
      const eager = eagerly(signatures[name], state, feeds);
      for (const fetch of ['crossEntropySum', 'correct', 'activations'])
        expect(distance(fetched[fetch]!, eager[fetch]!)).toBeLessThan(1e-5);
      const after = program.read();
      for (const variable of ['m', 'v', 'movingMean', 'movingVariance']) {
        expect(distance(after[variable]!, eager[variable]!), variable).toBeLessThan(2e-3);
      }
      // Adam turns the rounding noise of a bias before batch normalisation into steps of up to the learning rate.
      const moved = Array.from(after['parameters']!, (value, i) =>
        Math.abs(value - eager['parameters']![i]!),
      );
      expect(moved.filter((difference) => difference > 1e-5).length / moved.length).toBeLessThan(0.01);
      expect(Math.max(...moved.slice(0, 432))).toBeLessThan(2.1e-3);
      state = after;
    }
    const evaluated = program.run('evaluate', feedsOf(4));
    const eager = eagerly(signatures.evaluate, state, feedsOf(4));
    expect(distance(evaluated['crossEntropySum']!, eager['crossEntropySum']!)).toBeLessThan(1e-4);
    expect(evaluated['correct']).toEqual(eager['correct']);
    program.dispose();
  });

  it('moves the statistics to the batch mean and the biased variance, as Keras 3', () => {
    const state = initial();
    const own = { ...settings, bnMomentum: 0 };
    const program = compile(tf, {
      variables: variablesOf(architecture, own),
      signatures: { train: trainSignature(tf, architecture, own, 4) },
    });
    program.write(state);
    const feeds = feedsOf(4);
    program.run('train', { ...feeds, ...scalarFeeds(still) });
    const { movingMean, movingVariance } = program.read();
    const [mean, variance] = tf.tidy(() => {
      const kernel = tf.tensor4d(state['parameters']!.slice(0, 432), [3, 3, 3, 16]);
      const { mean, variance } = tf.moments(
        tf.conv2d(tf.tensor4d(feeds.images, [4, 32, 32, 3]), kernel, 1, 'same'),
        [0, 1, 2],
      );
      return [mean.dataSync(), variance.dataSync()] as const;
    });
    for (let channel = 0; channel < 16; channel++) {
      expect(movingMean![channel]).toBeCloseTo(mean[channel]!, 5);
      // The unbiased one is larger by 1/4095 of it.
      expect(movingVariance![channel]! / variance[channel]!).toBeCloseTo(1, 4);
    }
    program.dispose();
  });

  it('has the gradient of the penalised loss: finite differences agree', () => {
    const signature = trainSignature(
      tf,
      architecture,
      { ...settings, optimizer: { ...common, kind: 'sgd', momentum: 0, nesterov: false } },
      8,
    );
    const { parameters, movingMean, movingVariance } = initial();
    const variables = {
      parameters: { shape: [architecture.trainable] },
      movingMean: { shape: [movingMean!.length] },
      movingVariance: { shape: [movingMean!.length] },
    };
    const program = compile(tf, { variables, signatures: { train: signature } });
    const run = (values: Float32Array): { loss: number; after: Float32Array } => {
      program.write({ parameters: values, movingMean: movingMean!, movingVariance: movingVariance! });
      const fetched = program.run('train', {
        ...feedsOf(8),
        ...scalarFeeds({ ...still, rate: 1 }),
      });
      return { loss: fetched['crossEntropySum']![0]! / 8, after: program.read()['parameters']! };
    };
    const { after } = run(parameters!);
    const kernel = 432;
    const gradient = Float64Array.from(after, (value, i) => parameters![i]! - value).map(
      // The penalty is no part of the cross-entropy that the differences measure.
      (g, i) => (i < kernel ? g - 2e-4 * parameters![i]! : 0),
    );
    const norm = Math.hypot(...gradient.subarray(0, kernel));
    const along = (length: number) =>
      run(Float32Array.from(parameters!, (w, i) => w + (length * gradient[i]!) / norm)).loss;
    const slope = (along(0.002) - along(-0.002)) / 0.004;
    expect(slope / norm).toBeGreaterThan(0.97);
    expect(slope / norm).toBeLessThan(1.03);
    program.dispose();
  });

  it('decays kernels alone where it is told to', () => {
    const own: StepSettings = {
      ...settings,
      optimizer: { ...common, kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 1 },
      decayed: 'kernels',
    };
    const variables = variablesOf(architecture, own);
    const program = compile(tf, {
      variables,
      signatures: { train: trainSignature(tf, architecture, own, 8) },
    });
    const { movingMean, movingVariance } = initial();
    const parameters = new Float32Array(architecture.trainable).fill(1);
    program.write({ parameters, movingMean: movingMean!, movingVariance: movingVariance! });
    program.run('train', { ...feedsOf(8), ...scalarFeeds({ ...still, decay: 0.25 }) });
    const after = program.read()['parameters']!;
    for (const { role, offset, length } of parameterTensors(architecture)) {
      const values = new Set(after.subarray(offset, offset + length));
      expect([...values]).toEqual([role === 'kernel' ? 0.75 : 1]);
    }
    program.dispose();
  });

  it('keeps layers in bfloat16 from convolution to convolution, statistics and weights in float32', () => {
    const own = { ...settings, precision: 'bfloat16' as const };
    const { nodes } = traceGraph(tf, {
      variables: variablesOf(architecture, own),
      signatures: { train: trainSignature(tf, architecture, own, 2) },
      precision: own.precision,
    });
    const typesOf = (op: string, attribute: string) =>
      new Set(nodes.filter((node) => node.op === op).map((node) => node.attr[attribute]?.value?.value));
    for (const op of ['Conv2D', 'Conv2DBackpropInput', 'FusedBatchNormV3', 'FusedBatchNormGradV3', 'Relu'])
      expect(typesOf(op, 'T'), op).toEqual(new Set([DataType.DT_BFLOAT16]));
    expect(typesOf('FusedBatchNormV3', 'U')).toEqual(new Set([DataType.DT_FLOAT]));
    expect(typesOf('AssignVariableOp', 'dtype')).toEqual(new Set([DataType.DT_FLOAT]));
    // The bias of the head is in float32, like its product.
    expect(typesOf('BiasAdd', 'T')).toEqual(new Set([DataType.DT_BFLOAT16, DataType.DT_FLOAT]));
    expect(typesOf('MatMul', 'T')).toEqual(new Set([DataType.DT_FLOAT]));
    // Sums of layers are reduced; those of gradients and penalties are not.
    expect(typesOf('Add', 'T')).toEqual(new Set([DataType.DT_BFLOAT16, DataType.DT_FLOAT]));
    // Each of 13 kernels and biases, the images, and what leaves for the head once; their gradients back.
    expect(nodes.filter(({ op }) => op === 'Cast').length).toBeLessThan(60);
  });

  it('computes layers in bfloat16 close to float32', () => {
    const losses = (['float32', 'bfloat16'] as const).map((precision) => {
      const own = { ...settings, precision };
      const signatures = { train: trainSignature(tf, architecture, own, 8) };
      const program = compile(tf, { variables: variablesOf(architecture, own), signatures, precision });
      program.write(initial());
      const curve = Array.from({ length: 4 }, (_, index) => {
        const scalars = scalarFeeds(stepScalars(adam, 1e-3, index + 1));
        return program.run('train', { ...feedsOf(8), ...scalars })['crossEntropySum']![0]! / 8;
      });
      program.dispose();
      return curve;
    });
    expect(losses[1]).not.toEqual(losses[0]);
    losses[1]!.forEach((loss, index) => expect(Math.abs(loss / losses[0]![index]! - 1)).toBeLessThan(0.1));
  });
});

describe('the other networks', () => {
  const residual = { units: [1, 1], activation: 'relu', shortcutKernel: 1 } as const;
  it.each<NetworkSettings>([
    { ...residual, kind: 'resnet-v1' },
    { ...residual, kind: 'resnet-v2', activation: 'swish', shortcutKernel: 3 },
    { ...residual, kind: 'wide-resnet', width: 2, activation: 'elu' },
    { kind: 'cnn', activation: 'leaky-relu', stages: 2, width: 4 },
  ])('train and evaluate in a graph as op by op: %j', (network) => {
    const other = architectureOf(network, { side: 16, classes: 7 });
    const signatures = {
      train: trainSignature(tf, other, settings, 3),
      evaluate: evaluateSignature(tf, other, 3),
    };
    const program = compile(tf, { variables: variablesOf(other, settings), signatures });
    const { mean, variance } = initialStatistics(other);
    const zeros = new Float32Array(other.trainable);
    const state = { parameters: initialParameters(other, 5), m: zeros, v: zeros };
    const all = { ...state, movingMean: mean, movingVariance: variance };
    program.write(all);
    const feeds = { images: noise(3 * 768), labels: Int32Array.of(0, 6, 3) };
    for (const name of ['evaluate', 'train'] as const) {
      const given = name === 'train' ? { ...feeds, ...scalarFeeds(stepScalars(adam, 1e-3, 1)) } : feeds;
      const fetched = program.run(name, given);
      const eager = eagerly(signatures[name], all, given);
      expect(distance(fetched['crossEntropySum']!, eager['crossEntropySum']!)).toBeLessThan(1e-5);
      if (name === 'evaluate') continue;
      const after = program.read();
      for (const variable of ['m', 'movingMean', 'movingVariance'])
        expect(distance(after[variable]!, eager[variable]!), variable).toBeLessThan(2e-3);
      expect(distance(after['m']!, zeros)).toBeGreaterThan(0);
    }
    program.dispose();
  });
});

describe('float16', () => {
  // On a CPU, where a trial may not ask for it, only slowly.
  const own = { ...settings, precision: 'float16' as const };
  const signatures = { train: trainSignature(tf, architecture, own, 4) };
  const program = compile(tf, {
    variables: variablesOf(architecture, own),
    signatures,
    precision: own.precision,
  });
  const plain = compile(tf, {
    variables: variablesOf(architecture, settings),
    signatures: { train: trainSignature(tf, architecture, settings, 4) },
  });
  afterAll(() => {
    program.dispose();
    plain.dispose();
  });
  const feeds = { ...feedsOf(4), ...scalarFeeds(stepScalars(adam, 1e-3, 1)) };

  function trainFrom(lossScale: number, goodSteps: number) {
    const state = { lossScale: Float32Array.of(lossScale), goodSteps: Float32Array.of(goodSteps) };
    program.write({ ...initial(), ...state });
    const fetched = program.run('train', feeds);
    return { fetched, after: program.read() };
  }

  it('scales the loss and not the update', () => {
    const { fetched, after } = trainFrom(2 ** 15, 0);
    expect([fetched['applied']![0], fetched['lossScale']![0]]).toEqual([1, 2 ** 15]);
    plain.write(initial());
    const exact = plain.run('train', feeds)['crossEntropySum']![0]!;
    expect(Math.abs(fetched['crossEntropySum']![0]! / exact - 1)).toBeLessThan(0.01);
    expect(fetched['crossEntropySum']![0]).not.toBe(exact);
    // The first moment is a tenth of the gradient.
    expect(distance(after['m']!, plain.read()['m']!)).toBeLessThan(0.1);
    expect([after['lossScale']![0], after['goodSteps']![0]]).toEqual([2 ** 15, 1]);
  });

  it('leaves out an update whose gradient overflows, and halves the scale', () => {
    const before = initial();
    const { fetched, after } = trainFrom(2 ** 120, 7);
    expect(fetched['applied']![0]).toBe(0);
    for (const name of ['parameters', 'm', 'v']) expect(distance(after[name]!, before[name]!)).toBe(0);
    expect([after['lossScale']![0], after['goodSteps']![0]]).toEqual([2 ** 119, 0]);
    // The forward pass was finite: its statistics count.
    const moved = distance(after['movingMean']!, before['movingMean']!);
    expect(moved > 0 && Number.isFinite(moved)).toBe(true);
  });

  it('doubles the scale after many good steps', () => {
    const { after } = trainFrom(64, GROWTH_STEPS - 1);
    expect([after['lossScale']![0], after['goodSteps']![0]]).toEqual([128, 0]);
  });
});
