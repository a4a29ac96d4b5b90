import { afterAll, describe, expect, it } from 'vitest';
import { openEngine, setThreads } from '../../../services/trainer/runner/engine.js';
import type { Tensor, TensorFlow } from '../../../services/trainer/runner/graph/binding.js';
import { nativeBackend } from '../../../services/trainer/runner/graph/binding.js';
import { compile } from '../../../services/trainer/runner/graph/compile.js';
import type { Signature } from '../../../services/trainer/runner/graph/signature.js';
import { parameterTensors } from '../../../services/trainer/runner/recipes/images/architecture.js';
import {
  initialParameters,
  initialStatistics,
} from '../../../services/trainer/runner/recipes/images/initializers.js';
import { GROWTH_STEPS } from '../../../services/trainer/runner/recipes/images/loss-scale.js';
import { architectureOf, resnetV2 } from '../../../services/trainer/runner/recipes/images/networks.js';
import type { NetworkSettings } from '../../../services/trainer/runner/recipes/images/networks.js';
import { philox, uniform } from '../../../services/trainer/runner/recipes/images/random.js';
import type { OptimizerSettings } from '../../../services/trainer/runner/recipes/images/optimizers.js';
import {
  graphUpdate,
  momentumOf,
  referenceState,
  referenceUpdate,
  slotsOf,
  stepScalars,
} from '../../../services/trainer/runner/recipes/images/optimizers.js';
import type { StepSettings } from '../../../services/trainer/runner/recipes/images/steps.js';
import {
  evaluateSignature,
  scalarFeeds,
  scalarShapes,
  trainSignature,
  variablesOf,
} from '../../../services/trainer/runner/recipes/images/steps.js';

setThreads(2);
const { tf } = openEngine({ model: 'CPU' });
const { binding } = nativeBackend(tf);

const common = { weightDecay: 0, clipNorm: null, semantics: 'keras' } as const;
const adam: OptimizerSettings = { ...common, kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
const still = { rate: 0, decay: 0, momentum: 0, epsilon: 1 };
const architecture = resnetV2(11);
const settings = {
  optimizer: adam,
  decayed: 'all' as const,
  l2: 1e-4,
  bnMomentum: 0.9,
  precision: 'float32' as const,
};

/** The same numbers in every run: smooth ones, and noise like pixels. */
function wave(length: number, frequency: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(frequency * (i + 1)) / 2);
}

const initial = (): Record<string, Float32Array> => {
  const { mean, variance } = initialStatistics(architecture);
  const zeros = () => new Float32Array(architecture.trainable);
  return {
    parameters: initialParameters(architecture, 5),
    m: zeros(),
    v: zeros(),
    movingMean: mean,
    movingVariance: variance,
  };
};

const noise = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => uniform(philox(11, i, 0)[0]) - 0.5);

const feedsOf = (batch: number) => ({
  images: noise(batch * 3072),
  labels: Int32Array.from({ length: batch }, (_, i) => i % 10),
});

/** A signature's step run op by op on real tensors. */
function eagerly(
  signature: Signature,
  state: Readonly<Record<string, Float32Array>>,
  feeds: Readonly<Record<string, Float32Array | Int32Array>>,
): Record<string, Float32Array> {
  const read = (tensors: Readonly<Record<string, Tensor>> = {}) =>
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.dataSync() as Float32Array] as const);
  return tf.tidy(() => {
    const variables = Object.entries(state).map(([name, values]) => [name, tf.tensor1d(values)] as const);
    const fed = Object.entries(feeds).map(([name, values]) => {
      const { shape, dtype = 'float32' } = signature.feeds[name]!;
      return [name, tf.tensor(values, [...shape], dtype)] as const;
    });
    const result = signature.step(Object.fromEntries(variables), Object.fromEntries(fed));
    return Object.fromEntries([...read(result.state), ...read(result.fetches)]) as never;
  });
}

/** Largest difference, relative to the largest value. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let largest = 1e-12;
  for (let i = 0; i < a.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference / largest;
}

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

  it('computes convolutions in bfloat16 close to float32, with float32 everywhere else', () => {
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

describe('the optimizers in the graph', () => {
  const sgd: OptimizerSettings = { ...common, kind: 'sgd', momentum: 0.9, nesterov: false };
  const ofKeras: OptimizerSettings[] = [
    adam,
    { ...adam, kind: 'adamw', weightDecay: 0.1 },
    { ...sgd, momentum: 0, weightDecay: 0.01 },
    sgd,
    { ...sgd, nesterov: true, weightDecay: 5e-4, clipNorm: 3 },
  ];
  const cases = [
    ...ofKeras,
    ...ofKeras.map((settings): OptimizerSettings => ({ ...settings, semantics: 'pytorch' })),
  ];
  /** Every third weight does not decay. */
  const decays = Float32Array.from({ length: 64 }, (_, i) => (i % 3 === 0 ? 0 : 1));
  it.each(cases)('follow the float64 reference over 20 steps: %j', (optimizer) => {
    const length = 64;
    const slots = slotsOf(optimizer);
    const shape = [length];
    const program = compile(tf, {
      variables: Object.fromEntries(['weights', ...slots].map((name) => [name, { shape }])),
      signatures: {
        update: {
          feeds: { gradient: { shape }, ...scalarShapes },
          step: (state, { gradient, ...scalars }) => {
            const own = Object.fromEntries(slots.map((slot) => [slot, state[slot]!]));
            const next = graphUpdate(
              tf,
              optimizer,
              { weights: state['weights']!, slots: own },
              gradient!,
              scalars as Parameters<typeof graphUpdate>[4],
              tf.tensor1d(decays),
            );
            return { state: { weights: next.weights, ...next.slots } };
          },
        },
      },
    });
    const start = wave(length, 1.3);
    const reference = referenceState(optimizer, [...start]);
    program.write({
      weights: start,
      ...Object.fromEntries(slots.map((slot) => [slot, new Float32Array(length)])),
    });
    for (let step = 1; step <= 20; step++) {
      const gradient = wave(length, 0.7 * step);
      // As a 1cycle schedule and one of the weight decay would move them.
      const moved =
        step <= 10
          ? undefined
          : { weightDecay: optimizer.weightDecay / 2, momentum: momentumOf(optimizer) * (1 - step / 100) };
      program.run('update', { gradient, ...scalarFeeds(stepScalars(optimizer, 0.01, step, moved)) });
      referenceUpdate(optimizer, reference, gradient, 0.01, step, moved, decays);
    }
    expect(distance(program.read()['weights']!, reference.weights)).toBeLessThan(2e-6);
    program.dispose();
  });
});

describe('variables', () => {
  it('are read before they are overwritten, also by a value that does not depend on them', () => {
    const program = compile(tf, {
      variables: { x: { shape: [2] } },
      signatures: {
        swap: {
          feeds: { next: { shape: [2] } },
          step: ({ x }, { next }) => ({ state: { x: next!.add(0) }, fetches: { before: x!.mul(1) } }),
        },
      },
    });
    program.write({ x: Float32Array.of(0, 0) });
    for (let i = 1; i <= 50; i++) {
      expect([...program.run('swap', { next: Float32Array.of(i, -i) })['before']!].map(Math.abs)).toEqual([
        i - 1,
        i - 1,
      ]);
    }
    program.dispose();
  });

  it('keep their own copy of what was written', () => {
    const program = compile(tf, { variables: { x: { shape: [3] } }, signatures: {} });
    const values = Float32Array.of(1, 2, 3);
    program.write({ x: values });
    values.fill(9);
    expect([...program.read()['x']!]).toEqual([1, 2, 3]);
    program.dispose();
  });
});

describe('what cannot be compiled or run', () => {
  const trace = (step: Signature['step']) => () =>
    compile(tf, {
      variables: { x: { shape: [2] } },
      signatures: { s: { feeds: { y: { shape: [2] } }, step } },
    });
  const outside = tf.keep(tf.tensor1d([1, 2]).add(1));
  afterAll(() => outside.dispose());

  it.each<[string, Signature['step'], RegExp]>([
    [
      'data read inside',
      ({ x }) => ({ fetches: { z: tf.scalar(x!.exp().dataSync()[0]!) } }),
      /data of Exp's result is read/,
    ],
    ['a variable read inside', ({ x }) => ({ fetches: { z: tf.scalar(x!.dataSync()[0]!) } }), /variable 'x'/],
    [
      'a tensor made outside',
      ({ x }) => ({ fetches: { z: x!.add(outside) } }),
      /Add: it reads a tensor that was made outside/,
    ],
    [
      'a shape that depends on data',
      (_state, { y }) => ({ fetches: { z: where(tf, y!) } }),
      /Where: the shape of its result depends on data/,
    ],
    [
      'an update of another shape',
      () => ({ state: { x: tf.zeros([3]) } }),
      /update of 'x' has shape \[3\] where \[2\]/,
    ],
    [
      'an update of an unknown variable',
      ({ x }) => ({ state: { w: x! } }),
      /updates 'w', which is no variable/,
    ],
    [
      'an operation that TensorFlow refuses',
      ({ x }) => ({ fetches: { z: raw(tf, 'NoSuchOp', x!) } }),
      /cannot trace NoSuchOp/,
    ],
  ])('%s', (_case, step, message) => expect(trace(step)).toThrow(message));

  it('leaves the backend as it was', () => {
    expect(nativeBackend(tf).binding).toBe(binding);
    expect([...tf.tidy(() => tf.tensor1d([1, 2]).add(1).dataSync())]).toEqual([2, 3]);
  });

  it('names a feed that is missing, unknown, of another length or type, and a signature that is none', () => {
    const program = trace(({ x }, { y }) => ({ fetches: { z: x!.add(y!) } }))();
    program.write({ x: Float32Array.of(1, 2) });
    expect(() => program.run('s')).toThrow(/needs the feed 'y'/);
    expect(() => program.run('s', { y: Float32Array.of(1, 2), w: Float32Array.of(1) })).toThrow(
      /takes no feed 'w'/,
    );
    expect(() => program.run('s', { y: Float32Array.of(1) })).toThrow(
      /'y' of signature 's' takes 2 float32 values/,
    );
    expect(() => program.run('s', { y: Int32Array.of(1, 2) })).toThrow(/not 2 in a Int32Array/);
    expect(() => program.run('t')).toThrow(/no signature 't'/);
    program.dispose();
    expect(() => program.run('s', { y: Float32Array.of(1, 2) })).toThrow(/disposed/);
  });
});

it('compiles, runs and disposes without a leak', () => {
  const once = () => {
    const program = compile(tf, {
      variables: { x: { shape: [1000, 1000] } },
      signatures: {
        double: { feeds: {}, step: ({ x }) => ({ state: { x: x!.mul(2) }, fetches: { sum: x!.sum() } }) },
      },
    });
    program.write({ x: new Float32Array(1e6).fill(1) });
    program.run('double');
    program.dispose();
  };
  const tensors = () => [binding.getNumOfTensors(), binding.getNumOfSavedModels(), tf.memory().numTensors];
  for (let i = 0; i < 10; i++) once();
  const before = tensors();
  const residentBefore = process.memoryUsage().rss;
  for (let i = 0; i < 50; i++) once();
  expect(tensors()).toEqual(before);
  expect((process.memoryUsage().rss - residentBefore) / 1e6).toBeLessThan(60);
});

function raw(tensorflow: TensorFlow, op: string, input: Tensor): Tensor {
  return nativeBackend(tensorflow).executeSingleOutput(op, [], [input]);
}

function where(tensorflow: TensorFlow, input: Tensor): Tensor {
  return nativeBackend(tensorflow).executeSingleOutput('Where', [], [input.greater(0)]);
}
