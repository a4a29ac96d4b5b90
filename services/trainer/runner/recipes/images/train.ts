/** One attempt of a recipe of images: settings, data, engine and network made ready for its training run. */
import { WattsweepError } from '../../../../../proto/errors.js';
import { isOutOfMemory } from '../../../protocol/last-words.js';
import type { RunRecipe } from '../recipe.js';
import { refuse } from '../validate.js';
import type { ImageRecipe } from './image-recipe.js';
import { keptData, keptEngine, keptProgram } from './kept.js';
import { assertFits, outOfMemory } from './memory.js';
import { Model } from './model.js';
import { architectureOf } from './networks.js';
import type { Settings } from './settings.js';
import { parseSettings } from './settings.js';
import { TrainingRun } from './training-run.js';

/** Trains one attempt of a recipe of images. @throws WattsweepError for parameters, data, engine, checkpoint. */
export const training =
  (recipe: ImageRecipe): RunRecipe =>
  async (attempt, context) => {
    const settings = parseSettings(attempt.parameters, attempt.maxEpochs, recipe);
    if (settings.precision === 'float16' && attempt.device.kind === 'cpu') {
      refuse(
        'precision',
        `float16 is for GPUs, and this slot is a CPU (${attempt.device.model}); give bfloat16 or float32`,
      );
    }
    const architecture = architectureOf(settings.network, settings.data);
    if (attempt.device.kind === 'cpu') assertFits(architecture, settings);
    const kept = keptData(settings);
    const engine = await keptEngine(attempt.device);
    if (attempt.device.kind === 'gpu' && engine.device.kind !== 'gpu') {
      throw new WattsweepError(
        'ENGINE_MISSING',
        `the slot's ${attempt.device.model} is not used: TensorFlow computes on the CPU`,
      );
    }
    if (engine.fallback !== null) warnOfFallback(engine.fallback, settings);
    const program = keptProgram(engine, architecture, settings);
    const tensors = engine.heldTensors();
    try {
      const model = new Model(program, settings);
      const run = new TrainingRun(attempt, context, settings, architecture, model, kept);
      run.restore();
      const { name, version, mode } = engine;
      context.report({
        type: 'started',
        device: engine.device,
        engine: { name, version, mode, precision: settings.precision },
        trainableParameters: architecture.trainable,
        stepsPerEpoch: run.stepsPerEpoch,
        resumedEpoch: run.epoch,
      });
      return await run.train();
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      if (!isOutOfMemory(message)) throw error;
      console.error(message);
      throw outOfMemory(message.split('\n')[0] ?? message, architecture, settings);
    } finally {
      const left = engine.heldTensors() - tensors;
      if (left > 0) context.spoil(`${left} tensors are left`);
    }
  };

/** @throws WattsweepError ENGINE_MISSING: tfjs has no 16-bit arithmetic. */
function warnOfFallback(why: string, { precision }: Settings): void {
  if (precision !== 'float32')
    throw new WattsweepError(
      'ENGINE_MISSING',
      `${precision} needs the native engine, and this box trains by WebAssembly: ${why}`,
    );
  console.error(
    `THE WEBASSEMBLY ENGINE TRAINS: ${why}. It computes the same on one thread, some twenty times slower; seconds and joules of this attempt say nothing of the native engine.`,
  );
}
