/** The compiled network with its variables: one training step, one evaluation, state in and out. */
import type { TensorFlow } from '../../graph/binding.js';
import type { ProgramSource, Runnable, Signature } from '../../graph/signature.js';
import type { Architecture } from './architecture.js';
import { initialParameters, initialStatistics } from './initializers.js';
import { INITIAL_LOSS_SCALE, isScaled } from './loss-scale.js';
import { momentumOf, slotsOf, stepScalars } from './optimizers.js';
import { type Images, pixelsOf } from './pictures.js';
import type { Rates } from './schedule.js';
import type { Settings } from './settings.js';
import { evaluateSignature, scalarFeeds, trainSignature, variablesOf } from './steps.js';

/** Larger batches evaluate no faster on a CPU, and cost memory. */
const EVALUATION_BATCH = 100;

export interface Tally {
  /** Sum over the images, in nats. */
  readonly crossEntropySum: number;
  readonly correct: number;
  readonly images: number;
}

export interface Trained extends Tally {
  /** Whether all of the forward pass was. */
  readonly finite: boolean;
  /** False where the gradient was not finite and, in float16, the update was left out. */
  readonly applied: boolean;
  /** Of this step; 1 where the loss is not scaled. */
  readonly lossScale: number;
}

export const noTally: Tally = { crossEntropySum: 0, correct: 0, images: 0 };

export const sum = (a: Tally, b: Tally): Tally => ({
  crossEntropySum: a.crossEntropySum + b.crossEntropySum,
  correct: a.correct + b.correct,
  images: a.images + b.images,
});

const scalar = (fetched: Readonly<Record<string, ArrayLike<number>>>, name: string): number =>
  fetched[name]?.[0] ?? NaN;

export class Model {
  readonly #program: Runnable;
  readonly #settings: Settings;

  /** @param program Made from {@link source}, for settings with the same {@link programKey}; its variables have no values yet. */
  constructor(program: Runnable, settings: Settings) {
    this.#program = program;
    this.#settings = settings;
  }

  /** Variables and signatures that an attempt with these settings needs. */
  static source(tf: TensorFlow, architecture: Architecture, settings: Settings): ProgramSource {
    const sizes = (images: number, batch: number): Set<number> =>
      new Set([Math.min(batch, images), images % batch || Math.min(batch, images)]);
    const signatures: Record<string, Signature> = {};
    for (const size of sizes(settings.trainImages, settings.batchSize)) {
      signatures[`train_${size}`] = trainSignature(tf, architecture, settings, size);
    }
    for (const images of [settings.testImages, settings.heldOut ?? settings.testImages]) {
      for (const size of sizes(images, EVALUATION_BATCH)) {
        signatures[`evaluate_${size}`] ??= evaluateSignature(tf, architecture, size);
      }
    }
    const variables = variablesOf(architecture, settings);
    return { variables, signatures, precision: settings.precision };
  }

  /**
   * Equal for settings that make the same program: all but what is fed to it, or never reaches it. Of weight decay and
   * momentum only whether there are any stands in it.
   */
  static programKey(settings: Settings): string {
    const { optimizer } = settings;
    return JSON.stringify({
      ...settings,
      ...{ lrPeak: null, schedule: null, weightDecaySchedule: null, augment: null },
      optimizer: {
        ...optimizer,
        ...{ beta1: null, epsilon: null, momentum: slotsOf(optimizer) },
        weightDecay: optimizer.weightDecay !== 0,
      },
    });
  }

  /** Lengths of the variables, by name. */
  static vectors(architecture: Architecture, settings: Settings): Record<string, number> {
    const variables = Object.entries(variablesOf(architecture, settings));
    return Object.fromEntries(variables.map(([name, { shape }]) => [name, shape[0] ?? 0]));
  }

  /** Initial values of all variables: seeded weights, everything else as Keras starts it. */
  static initial(architecture: Architecture, settings: Settings, seed: number): Record<string, Float32Array> {
    const zeros = Object.entries(Model.vectors(architecture, settings)).map(
      ([name, length]) => [name, new Float32Array(length)] as const,
    );
    const { mean, variance } = initialStatistics(architecture);
    const parameters = initialParameters(architecture, seed);
    return {
      ...Object.fromEntries(zeros),
      parameters,
      movingMean: mean,
      movingVariance: variance,
      ...(isScaled(settings.precision) ? { lossScale: Float32Array.of(INITIAL_LOSS_SCALE) } : {}),
    };
  }

  /**
   * One optimizer step; returns the batch's sums before the update.
   *
   * @param rates Weight decay and momentum stand at the settings' own where they are not given.
   * @param step 1-based, over the whole trial, without those that were not applied.
   */
  train(
    images: Float32Array,
    labels: Int32Array,
    rates: Pick<Rates, 'lr'> & Partial<Rates>,
    step: number,
  ): Trained {
    const { optimizer } = this.#settings;
    const { lr, weightDecay = optimizer.weightDecay, momentum = momentumOf(optimizer) } = rates;
    const scalars = scalarFeeds(stepScalars(optimizer, lr, step, { weightDecay, momentum }));
    const fetched = this.#program.run(`train_${labels.length}`, { images, labels, ...scalars });
    const crossEntropySum = scalar(fetched, 'crossEntropySum');
    const finite = Number.isFinite(crossEntropySum) && Number.isFinite(scalar(fetched, 'activations'));
    const isLossScaled = isScaled(this.#settings.precision);
    return {
      ...{ crossEntropySum, correct: scalar(fetched, 'correct'), images: labels.length, finite },
      applied: !isLossScaled || scalar(fetched, 'applied') === 1,
      lossScale: isLossScaled ? scalar(fetched, 'lossScale') : 1,
    };
  }

  /**
   * Evaluates all of `data` with the moving statistics.
   *
   * @param proceed Awaited between batches; false ends the evaluation early, with null.
   */
  async evaluate(data: Images, mean: Float32Array, proceed: () => Promise<boolean>): Promise<Tally | null> {
    const pixels = pixelsOf(data.side);
    let total = noTally;
    for (let begin = 0; begin < data.count; begin += EVALUATION_BATCH) {
      if (!(await proceed())) return null;
      const size = Math.min(EVALUATION_BATCH, data.count - begin);
      const images = new Float32Array(size * pixels);
      for (let i = 0; i < images.length; i++) {
        images[i] = Math.fround((data.pixels[begin * pixels + i] ?? 0) / 255) - (mean[i % pixels] ?? 0);
      }
      const labels = Int32Array.from(data.labels.subarray(begin, begin + size));
      const fetched = this.#program.run(`evaluate_${size}`, { images, labels });
      const crossEntropySum = scalar(fetched, 'crossEntropySum');
      total = sum(total, { crossEntropySum, correct: scalar(fetched, 'correct'), images: size });
    }
    return total;
  }

  read(): Record<string, Float32Array> {
    return this.#program.read();
  }

  write(values: Readonly<Record<string, Float32Array>>): void {
    this.#program.write(values);
  }
}
