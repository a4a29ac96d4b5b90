import { afterAll, describe, expect, it } from 'vitest';
import type { Tensor, TensorFlow } from '../../../services/trainer/runner/graph/binding.js';
import { nativeBackend } from '../../../services/trainer/runner/graph/binding.js';
import { compile } from '../../../services/trainer/runner/graph/compile.js';
import type { Signature } from '../../../services/trainer/runner/graph/signature.js';
import type { OptimizerSettings } from '../../../services/trainer/runner/recipes/images/optimizers.js';
import {
  graphUpdate,
  momentumOf,
  referenceState,
  referenceUpdate,
  slotsOf,
  stepScalars,
} from '../../../services/trainer/runner/recipes/images/optimizers.js';
import { scalarFeeds, scalarShapes } from '../../../services/trainer/runner/recipes/images/steps.js';

import { tf, binding, common, adam, wave, distance } from './steps.js';

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
