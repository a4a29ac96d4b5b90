import { describe, expect, it, onTestFinished } from 'vitest';
import type { Engine } from '../../../services/trainer/runner/engine.js';
import { openEngine, openEngineOf, setThreads } from '../../../services/trainer/runner/engine.js';
import { Model } from '../../../services/trainer/runner/recipes/images/model.js';
import { architectureOf } from '../../../services/trainer/runner/recipes/images/networks.js';
import { philox, uniform } from '../../../services/trainer/runner/recipes/images/random.js';
import { imageClassifier } from '../../../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';
import { attemptOf, runAttempt } from './harness.js';

const BATCH = 3;
const SLOT = { kind: 'cpu', uuids: [], model: 'CPU', threads: 1 } as const;

const images = Float32Array.from({ length: BATCH * 3072 }, (_, i) => uniform(philox(3, i, 0)[0]) - 0.5);
const labels = Int32Array.of(1, 7, 4);
const sizes = { batch_size: BATCH, train_images: BATCH, validation_images: BATCH, optimizer: 'sgd' };

/** Every operation and every shape of a convolution that the networks have. */
const networks = {
  'resnet-v2': { network: 'resnet-v2', depth: 11 },
  'resnet-v1, shortcuts of 3x3': { network: 'resnet-v1', depth: 8, shortcut_kernel: 3, activation: 'elu' },
  'wide-resnet, no biases': { network: 'wide-resnet', depth: 10, width: 1, activation: 'leaky-relu' },
  cnn: { network: 'cnn', depth: 2, width: 8, activation: 'swish', weight_decay: 0.01, clip_norm: 1 },
} as const;

/** Two steps and an evaluation from the same weights. */
async function trained(engine: Engine, parameters: (typeof networks)[keyof typeof networks]) {
  const settings = parseSettings({ ...sizes, ...parameters }, 1, imageClassifier);
  const architecture = architectureOf(settings.network, settings.data);
  const program = engine.program(Model.source(engine.tf, architecture, settings));
  const model = new Model(program, settings);
  model.write(Model.initial(architecture, settings, 2));
  const held = engine.heldTensors();
  const steps = [1, 2].map((step) => model.train(images, labels, { lr: 0.01 }, step));
  const pictures = {
    count: BATCH,
    side: 32,
    pixels: new Uint8Array(new SharedArrayBuffer(BATCH * 3072)).map((_, i) => (i * 37) % 256),
    labels: new Uint16Array(new SharedArrayBuffer(BATCH * 2)).fill(3),
  };
  const evaluated = await model.evaluate(pictures as never, new Float32Array(3072), () =>
    Promise.resolve(true),
  );
  expect(engine.heldTensors(), 'tensors that a step leaves').toBe(held);
  const state = model.read();
  program.dispose();
  return { steps, evaluated, state };
}

function furthest(a: Float32Array = new Float32Array(), b: Float32Array = new Float32Array()): number {
  expect(a.length).toBe(b.length);
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0) / scale;
}

describe('the WebAssembly engine', () => {
  it('takes the steps of the native one, on every network', async () => {
    setThreads(2);
    const native = openEngine(SLOT);
    onTestFinished(async () => {
      await native.tf.setBackend('tensorflow');
    });
    const expected = new Map<string, Awaited<ReturnType<typeof trained>>>();
    for (const [name, parameters] of Object.entries(networks))
      expected.set(name, await trained(native, parameters));

    process.env['WATTSWEEP_WASM'] = '1';
    const wasm = await openEngineOf(SLOT).finally(() => delete process.env['WATTSWEEP_WASM']);
    expect(wasm).toMatchObject({ name: 'tfjs-wasm', mode: 'eager', fallback: expect.any(String) as string });
    for (const [name, parameters] of Object.entries(networks)) {
      const [ours, theirs] = [await trained(wasm, parameters), expected.get(name)];
      if (theirs === undefined) throw new Error(name);
      ours.steps.forEach(({ crossEntropySum, correct }, step) => {
        const other = theirs.steps[step];
        expect(crossEntropySum, `${name}, step ${step}`).toBeCloseTo(other?.crossEntropySum ?? NaN, 3);
        expect(correct).toBe(other?.correct);
      });
      expect(ours.evaluated?.crossEntropySum, name).toBeCloseTo(theirs.evaluated?.crossEntropySum ?? NaN, 2);
      for (const variable of ['parameters', 'velocity', 'movingMean', 'movingVariance'])
        expect(furthest(ours.state[variable], theirs.state[variable]), `${name}: ${variable}`).toBeLessThan(
          2e-3,
        );
    }
  });

  it('trains an attempt where it is told to, and says so in facts and log', async () => {
    const parameters = { ...sizes, depth: 11, bn_momentum: 0.9 };
    const wasm = { WATTSWEEP_WASM: '1' };
    const [forced, native] = await Promise.all([
      runAttempt(attemptOf(parameters, { maxEpochs: 1 }), wasm),
      runAttempt(attemptOf(parameters, { maxEpochs: 1 })),
    ]);
    expect(forced.end).toMatchObject({ class: 'completed', stays: true });
    expect(forced.of('started')[0]).toMatchObject({
      engine: { name: 'tfjs-wasm', mode: 'eager', precision: 'float32' },
      device: { kind: 'cpu', name: expect.stringContaining('WebAssembly') as string },
    });
    expect(forced.errors).toContain('THE WEBASSEMBLY ENGINE TRAINS');
    expect(native.errors).not.toContain('WEBASSEMBLY');
    const [ours, theirs] = [forced, native].map((runner) => runner.of('epoch')[0]?.metrics ?? {});
    for (const metric of ['train_cross_entropy', 'val_cross_entropy', 'l2_penalty'])
      expect(ours?.[metric], metric).toBeCloseTo(theirs?.[metric] ?? NaN, 3);

    const refused = await runAttempt(attemptOf({ ...parameters, precision: 'bfloat16' }), wasm);
    expect(refused.end).toMatchObject({ class: 'crashed', code: 'ENGINE_MISSING' });
    expect(refused.end.message).toContain('bfloat16 needs the native engine');
  });
});
