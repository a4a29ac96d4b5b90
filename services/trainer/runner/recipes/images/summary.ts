/** What a setting of the recipe means, before anything is spent: layers, counts, steps, learning rates. Pure. */
import type { Parameters } from '../../../protocol/runner.js';
import type { Architecture, ParameterLayer } from './architecture.js';
import { parameterCount, stepsPerEpoch } from './architecture.js';
import type { ImageRecipe } from './image-recipe.js';
import { architectureOf } from './networks.js';
import { momentumOf } from './optimizers.js';
import type { ScheduleRow } from './schedule.js';
import { scheduleTable, turns } from './schedule.js';
import { parseSettings } from './settings.js';

export interface LayerRow {
  readonly name: string;
  readonly kind: ParameterLayer['kind'];
  /** Without the batch: [side, side, channels] or [features]. */
  readonly output: readonly number[];
  readonly parameters: number;
}

export interface RecipeSummary {
  readonly architecture: Architecture;
  readonly layers: readonly LayerRow[];
  readonly trainable: number;
  readonly nonTrainable: number;
  /** Multiply-accumulates of one image's forward pass. */
  readonly forwardMacs: number;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Rates at the steps asked for, else where the schedule turns. */
  readonly schedule: readonly ScheduleRow[];
}

function outputOf(layer: ParameterLayer): readonly number[] {
  switch (layer.kind) {
    case 'conv':
      return [layer.side, layer.side, layer.outChannels];
    case 'batch-norm':
      return [layer.side, layer.side, layer.channels];
    case 'dense':
      return [layer.outFeatures];
  }
}

/**
 * The summary of `parameters`, with defaults for what is not given.
 *
 * @param steps 1-based steps to tabulate.
 * @throws WattsweepError PARAMETER_REFUSED, as a trainer would.
 */
export function summarize(
  parameters: Parameters,
  maxEpochs: number,
  steps?: readonly number[],
  recipe?: ImageRecipe,
): RecipeSummary {
  const settings = parseSettings(parameters, maxEpochs, recipe);
  const architecture = architectureOf(settings.network, settings.data);
  const epochSteps = stepsPerEpoch(settings.trainImages, settings.batchSize);
  const totalSteps = epochSteps * maxEpochs;
  const context = {
    ...settings,
    weightDecay: settings.optimizer.weightDecay,
    momentum: momentumOf(settings.optimizer),
    maxEpochs,
    stepsPerEpoch: epochSteps,
  };
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      name: layer.name,
      kind: layer.kind,
      output: outputOf(layer),
      parameters: parameterCount(layer),
    })),
    trainable: architecture.trainable,
    nonTrainable: architecture.nonTrainable,
    forwardMacs: architecture.forwardMacs,
    stepsPerEpoch: epochSteps,
    totalSteps,
    schedule: scheduleTable(context, steps ?? turns(context)),
  };
}
