/** The training loop: epochs of steps, validation and checkpoint after each, facts to the supervisor on the way. */
import { WattsweepError } from '../../../../../proto/errors.js';
import type { AttemptSpec, TimeWindow } from '../../../protocol/runner.js';
import type { Checkpoint } from '../../checkpoint.js';
import { readCheckpoint, writeCheckpoint } from '../../checkpoint.js';
import type { AttemptContext, AttemptEnd } from '../recipe.js';
import { completed } from '../recipe.js';
import type { Architecture } from './architecture.js';
import { stepsPerEpoch } from './architecture.js';
import { Feeder } from './feeder.js';
import { l2Penalty } from './initializers.js';
import type { KeptData } from './kept.js';
import type { Tally } from './model.js';
import { Model, noTally, sum } from './model.js';
import { LOWEST_LOSS_SCALE, isScaled } from './loss-scale.js';
import { momentumOf } from './optimizers.js';
import { metrics as allMetrics } from './parameters.js';
import type { Images } from './pictures.js';
import type { PlateauState } from './plateau.js';
import { afterEpoch, reduced, untouched } from './plateau.js';
import type { Rates, ScheduleContext } from './schedule.js';
import { ratesAt } from './schedule.js';
import type { Settings } from './settings.js';

/** Step lines are for looking on, not for the record. */
const STEP_LINE_INTERVAL_MS = 500;

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const seconds = ({ beginMonotonicMs, endMonotonicMs }: TimeWindow): number =>
  (endMonotonicMs - beginMonotonicMs) / 1000;

/** One attempt's way through its epochs. `epoch`, `step` and the sums are what a checkpoint carries. */
export class TrainingRun {
  readonly stepsPerEpoch: number;
  /** Completed epochs. */
  epoch = 0;
  /** Optimizer steps taken since the trial's first. */
  #step = 0;
  /** Sums over the current, half-done epoch. */
  #tally: Tally = noTally;
  #lastStepLine = -Infinity;
  #plateau: PlateauState = untouched;
  #lastFinite = 'none';
  /** The objective after the best epoch so far, larger being better; null before the first. */
  #best: number | null = null;
  /** Steps that float16 left out, since the trial's first, and the scale of the last step. */
  #skipped = 0;
  #lossScale = 1;
  /** Step of the last checkpoint that this attempt has written. */
  #checkpointed = -1;
  readonly #network: string;
  readonly #schedule: ScheduleContext;

  constructor(
    private readonly attempt: AttemptSpec,
    private readonly context: AttemptContext,
    private readonly settings: Settings,
    private readonly architecture: Architecture,
    private readonly model: Model,
    private readonly kept: KeptData,
  ) {
    this.stepsPerEpoch = stepsPerEpoch(settings.trainImages, settings.batchSize);
    const { optimizer } = settings;
    this.#schedule = {
      ...settings,
      weightDecay: optimizer.weightDecay,
      momentum: momentumOf(optimizer),
      maxEpochs: attempt.maxEpochs,
      stepsPerEpoch: this.stepsPerEpoch,
    };
    this.#network = architecture.name;
  }

  /** Initial values, or those of a checkpoint to go on from. @throws WattsweepError CHECKPOINT_INVALID */
  restore(): void {
    const { attempt, architecture, settings, model } = this;
    const checkpoint = attempt.resumeFrom === null ? null : this.#read(attempt.resumeFrom);
    if (checkpoint === null) {
      model.write(Model.initial(architecture, settings, attempt.seed));
      return;
    }
    const { epoch, step, progress, vectors } = checkpoint;
    if (step < epoch * this.stepsPerEpoch || step >= (epoch + 1) * this.stepsPerEpoch) {
      throw new WattsweepError(
        'CHECKPOINT_INVALID',
        `checkpoint ${attempt.resumeFrom}: step ${step} is not in epoch ${epoch + 1} with this batch size`,
      );
    }
    model.write(vectors);
    this.epoch = epoch;
    this.#step = step;
    const {
      crossEntropySum = 0,
      correct = 0,
      images = 0,
      skipped = 0,
      bestObjective = null,
      ...rest
    } = progress;
    this.#best = bestObjective;
    this.#skipped = skipped;
    this.#tally = { crossEntropySum, correct, images };
    this.#plateau = { ...untouched, ...rest };
  }

  /** A damaged one costs the epochs since the one before, not the trial. */
  #read(path: string): Checkpoint | null {
    const expected = { network: this.#network, vectors: Model.vectors(this.architecture, this.settings) };
    const damaged: string[] = [];
    const checkpoint = readCheckpoint(path, expected, (problem) => damaged.push(problem));
    for (const problem of damaged) console.error(`CHECKPOINT_INVALID: ${problem}`);
    if (checkpoint === null)
      console.error('no checkpoint can be read: the trial starts from its first epoch');
    else if (damaged.length > 0)
      console.error(
        `going on from an older checkpoint: ${checkpoint.epoch} epochs, step ${checkpoint.step}; what came later is trained again`,
      );
    return checkpoint;
  }

  async train(): Promise<AttemptEnd> {
    const { attempt, settings } = this;
    if (this.epoch >= attempt.maxEpochs) return completed;
    const feeder = await Feeder.open({
      images: this.kept.data.training,
      mean: this.kept.mean,
      augment: settings.augment,
      batchSize: settings.batchSize,
      seed: attempt.seed,
      firstEpoch: this.epoch + 1,
      skipBatches: this.#step - this.epoch * this.stepsPerEpoch,
      lastEpoch: attempt.maxEpochs,
    });
    try {
      while (this.epoch < attempt.maxEpochs) {
        const end = await this.#trainEpoch(feeder);
        if (end !== null) return end;
      }
      return completed;
    } finally {
      await feeder.close();
    }
  }

  /** One epoch, or what is left of it. @returns The attempt's end, or null when it goes on. */
  async #trainEpoch(feeder: Feeder): Promise<AttemptEnd | null> {
    const begin = monotonicMs();
    const lastStep = (this.epoch + 1) * this.stepsPerEpoch;
    let dataWaitSeconds = 0;
    let images = 0;
    let lr = 0;
    while (this.#step < lastStep) {
      await this.context.breathe();
      const stopped = this.#stopIfAsked();
      if (stopped !== null) return stopped;
      const batch = feeder.next();
      dataWaitSeconds += batch.waitedSeconds;
      const rates = this.#ratesAt(this.#step + 1);
      lr = rates.lr;
      // Fetching the loss waits for the device, so the window below holds all the work.
      const applied = this.#step + 1 - this.#skipped;
      const tally = this.model.train(batch.images, batch.labels, rates, applied);
      batch.release();
      this.#step++;
      images += tally.images;
      this.#tally = sum(this.#tally, tally);
      const crossEntropy = tally.crossEntropySum / tally.images;
      if (!tally.finite) {
        const what = Number.isFinite(crossEntropy)
          ? 'an activation is not finite'
          : `cross-entropy is ${crossEntropy}`;
        return this.#diverged(what);
      }
      this.#lossScale = tally.lossScale;
      if (!tally.applied) {
        this.#skipped++;
        if (tally.lossScale <= LOWEST_LOSS_SCALE)
          return this.#diverged(`the gradient is not finite at a loss scale of ${tally.lossScale}`);
      }
      this.#lastFinite = `cross-entropy ${crossEntropy.toPrecision(6)} in step ${this.#step} at learning rate ${lr}`;
      this.#reportStep(crossEntropy, lr);
    }
    const trainWindow = { beginMonotonicMs: begin, endMonotonicMs: monotonicMs() };
    return this.#finishEpoch(trainWindow, dataWaitSeconds, images, lr);
  }

  async #finishEpoch(
    trainWindow: TimeWindow,
    dataWaitSeconds: number,
    images: number,
    lr: number,
  ): Promise<AttemptEnd | null> {
    const evaluationBegin = monotonicMs();
    const evaluated = await this.#evaluate(this.kept.data.validation);
    if (evaluated === null) return this.#stopIfAsked();
    const evaluationWindow = { beginMonotonicMs: evaluationBegin, endMonotonicMs: monotonicMs() };
    const valCrossEntropy = evaluated.crossEntropySum / evaluated.images;
    if (!Number.isFinite(valCrossEntropy))
      return this.#diverged(`validation cross-entropy is ${valCrossEntropy}`);
    const { test } = this.kept.data;
    const tested =
      test === null || this.epoch + 1 < this.attempt.maxEpochs ? undefined : await this.#evaluate(test);
    if (tested === null) return this.#stopIfAsked();
    const vectors = this.model.read();
    const tally = this.#tally;
    this.epoch++;
    this.#tally = noTally;
    const valAccuracy = evaluated.correct / evaluated.images;
    if (this.settings.plateau !== null) {
      const metrics = { val_accuracy: valAccuracy, val_cross_entropy: valCrossEntropy };
      const scheduled = ratesAt(this.#schedule, this.#step).lr;
      this.#plateau = afterEpoch(this.settings.plateau, this.#plateau, metrics, scheduled);
    }
    const metrics = {
      val_accuracy: valAccuracy,
      val_cross_entropy: valCrossEntropy,
      ...(tested === undefined
        ? {}
        : {
            test_accuracy: tested.correct / tested.images,
            test_cross_entropy: tested.crossEntropySum / tested.images,
          }),
      train_accuracy: tally.correct / tally.images,
      train_cross_entropy: tally.crossEntropySum / tally.images,
      l2_penalty: l2Penalty(this.architecture, vectors['parameters'] ?? new Float32Array(), this.settings.l2),
      learning_rate: lr,
      ...(isScaled(this.settings.precision)
        ? { loss_scale: this.#lossScale, skipped_steps: this.#skipped }
        : {}),
    };
    this.context.report({
      type: 'epoch',
      epoch: this.epoch,
      step: this.#step,
      metrics,
      trainSeconds: seconds(trainWindow),
      evaluationSeconds: seconds(evaluationWindow),
      dataWaitSeconds,
      samplesPerSecond: images / seconds(trainWindow),
      trainWindow,
      evaluationWindow,
    });
    this.#checkpoint(vectors, this.#isBest(metrics));
    return null;
  }

  /** Whether the epoch is the best so far, which it then becomes. */
  #isBest(metrics: Readonly<Record<string, number>>): boolean {
    const { objective } = this.attempt;
    const value = metrics[objective];
    if (value === undefined || !Number.isFinite(value)) return false;
    const goal = allMetrics.find(({ name }) => name === objective)?.goal;
    const merit = goal === 'minimize' ? -value : value;
    if (this.#best !== null && merit <= this.#best) return false;
    this.#best = merit;
    return true;
  }

  #ratesAt(step: number): Rates {
    const rates = ratesAt(this.#schedule, step);
    const { plateau } = this.settings;
    return plateau === null ? rates : { ...rates, lr: reduced(plateau, this.#plateau, rates.lr) };
  }

  /** @returns null when the attempt is cancelled meanwhile. */
  #evaluate(images: Images): Promise<Tally | null> {
    return this.model.evaluate(images, this.kept.mean, async () => {
      await this.context.breathe();
      return this.context.stopRequested() !== 'cancel';
    });
  }

  #reportStep(crossEntropy: number, lr: number): void {
    const now = performance.now();
    if (now - this.#lastStepLine < STEP_LINE_INTERVAL_MS) return;
    this.#lastStepLine = now;
    this.context.report({
      type: 'step',
      epoch: this.epoch + 1,
      step: this.#step,
      metrics: { train_cross_entropy: crossEntropy, learning_rate: lr },
    });
  }

  #stopIfAsked(): AttemptEnd | null {
    const request = this.context.stopRequested();
    if (request === null) return null;
    if (request !== 'cancel' && this.#checkpointed !== this.#step) this.#checkpoint(this.model.read());
    const where = `after step ${this.#step}, in epoch ${this.epoch + 1}`;
    return {
      class: 'stopped',
      code: '',
      message: `${request === 'eof' ? 'supervisor gone' : `asked to ${request}`} ${where}`,
    };
  }

  #checkpoint(vectors: Readonly<Record<string, Float32Array>>, isBest = false): void {
    let path;
    try {
      const checkpoint = {
        network: this.#network,
        epoch: this.epoch,
        step: this.#step,
        progress: {
          ...this.#tally,
          ...(this.settings.plateau === null ? {} : this.#plateau),
          ...(this.#skipped > 0 ? { skipped: this.#skipped } : {}),
          ...(this.#best === null ? {} : { bestObjective: this.#best }),
        },
        vectors,
        trained: {
          recipe: this.attempt.recipe,
          parameters: this.attempt.parameters,
          maxEpochs: this.attempt.maxEpochs,
        },
        extras: { mean: Float32Array.from(this.kept.mean) },
      };
      path = writeCheckpoint(this.attempt.checkpointDir, checkpoint, isBest);
    } catch (error) {
      // A full disk: the attempt goes on, and falls back to an older checkpoint if it is cut short.
      console.error(`no checkpoint of step ${this.#step}: ${String(error)}`);
      return;
    }
    this.#checkpointed = this.#step;
    this.context.report({ type: 'checkpoint', epoch: this.epoch, path });
  }

  /** No checkpoint: the last one before the divergence stays. */
  #diverged(what: string): AttemptEnd {
    const message = `${what} in step ${this.#step} (epoch ${this.epoch + 1}); last finite: ${this.#lastFinite}`;
    return { class: 'diverged', code: 'NON_FINITE', message };
  }
}
