/** An attempt's parameters, checked and complete. */
import type { Parameters } from '../../../protocol/runner.js';
import type { Precision } from '../../graph/precision.js';
import { completeParameters, refuse, suggestion } from '../validate.js';
import type { AugmentSettings } from './augment.js';
import type { DataSet, Selection } from './data.js';
import type { ImageRecipe } from './image-recipe.js';
import type { NetworkSettings } from './networks.js';
import type { OptimizerSettings } from './optimizers.js';
import type { PlateauSettings } from './plateau.js';
import { parsePlateau } from './plateau.js';
import { resnetCifar10 } from './recipes/resnet-cifar10.js';
import { parseSchedule } from './schedule-settings.js';
import type { Schedule } from './schedule.js';

export interface Settings extends Selection {
  readonly network: NetworkSettings;
  readonly batchSize: number;
  readonly optimizer: OptimizerSettings;
  /** Which weights decay: all trainable ones, or the kernels of convolutions and of the dense layer. */
  readonly decayed: 'all' | 'kernels';
  readonly lrPeak: number;
  readonly schedule: Schedule;
  readonly weightDecaySchedule: Schedule;
  readonly plateau: PlateauSettings | null;
  readonly l2: number;
  readonly augment: AugmentSettings;
  readonly bnMomentum: number;
  readonly precision: Precision;
}

/** What the two libraries take where nothing is given. */
const ADAMW_WEIGHT_DECAY = { keras: 0.004, pytorch: 0.01 } as const;
const PYTORCH_EPSILON = 1e-8;

/**
 * The settings that `given` asks for.
 *
 * @throws WattsweepError PARAMETER_REFUSED with a sentence that names the parameter; DATASET_INVALID.
 */
export function parseSettings(
  given: Parameters,
  maxEpochs: number,
  recipe: ImageRecipe = resnetCifar10,
): Settings {
  const all = completeParameters(recipe.descriptor, given);
  const number = (name: string): number => all[name] as number;
  const network = recipe.network(all);
  const data = recipe.data(all);
  const kind = all['optimizer'] as OptimizerSettings['kind'];
  const semantics = all['optimizer_semantics'] as OptimizerSettings['semantics'];
  const weightDecay =
    given['weight_decay'] === undefined && kind === 'adamw'
      ? ADAMW_WEIGHT_DECAY[semantics]
      : number('weight_decay');
  const epsilon =
    given['epsilon'] === undefined && semantics === 'pytorch' ? PYTORCH_EPSILON : number('epsilon');
  const schedule = parseSchedule(all['schedule'] ?? null, maxEpochs);
  // Where the schedule moves momentum, it begins with its own.
  const cycled = schedule.kind === '1cycle' ? schedule.momentum?.[0] : undefined;
  const common = { weightDecay, clipNorm: all['clip_norm'] as number | null, semantics };
  const optimizer: OptimizerSettings =
    kind === 'sgd'
      ? { ...common, kind, momentum: cycled ?? number('momentum'), nesterov: all['nesterov'] as boolean }
      : { ...common, kind, beta1: number('beta_1'), beta2: number('beta_2'), epsilon };
  return {
    network,
    batchSize: number('batch_size'),
    optimizer,
    decayed: all['weight_decay_on'] as Settings['decayed'],
    lrPeak: number('lr_peak'),
    schedule,
    weightDecaySchedule: parseSchedule(
      all['weight_decay_schedule'] ?? null,
      maxEpochs,
      'weight_decay_schedule',
    ),
    plateau: parsePlateau(all['reduce_on_plateau'] ?? {}),
    l2: number('l2'),
    augment: parseAugment(given, all),
    bnMomentum: number('bn_momentum'),
    ...parseImages(given, all, data),
    precision: all['precision'] as Precision,
  };
}

/** A crop stands instead of the shift, which has a default of its own. */
function parseAugment(given: Parameters, all: Parameters): AugmentSettings {
  const [shift, crop] = [all['shift'] as number, all['crop'] as number];
  if (crop > 0 && given['shift'] !== undefined && shift > 0)
    refuse('crop', `${crop} beside a shift of ${shift}; give one of them`);
  return {
    shift: crop > 0 ? 0 : shift,
    crop,
    fill: all['fill'] as AugmentSettings['fill'],
    flip: all['flip'] as boolean,
  };
}

const HELD_OUT = 5_000;

function parseImages(
  given: Parameters,
  all: Parameters,
  data: DataSet,
): Pick<Settings, 'data' | 'trainImages' | 'heldOut' | 'testImages'> {
  const { trainingImages } = data;
  const count = (name: string, held: number): number => {
    const wanted = (all[name] ?? held) as number;
    if (wanted > held) refuse(name, `${wanted} are more than the ${held} that ${data.name} has`);
    return wanted;
  };
  const testImages = count('validation_images', data.testImages);
  const validation = all['validation'] as Parameters;
  const keys = ['from', 'size'];
  const unknown = Object.keys(validation).find((key) => !keys.includes(key));
  if (unknown !== undefined) {
    refuse('validation', `no key '${unknown}'; known are ${keys.join(' and ')}${suggestion(unknown, keys)}`);
  }
  const { from, size = HELD_OUT } = validation;
  if (from === 'test') {
    if (validation['size'] !== undefined)
      refuse('validation', 'size goes with from: train; validation_images counts test images');
    return { data, trainImages: count('train_images', trainingImages), heldOut: null, testImages };
  }
  if (from !== 'train') refuse('validation', `from is ${JSON.stringify(from)}; give test or train`);
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size >= trainingImages) {
    refuse('validation', `size is ${JSON.stringify(size)}; give images from 1 to ${trainingImages - 1}`);
  }
  const left = trainingImages - size;
  const trainImages = (given['train_images'] as number | undefined) ?? left;
  if (trainImages > left) {
    refuse(
      'train_images',
      `${trainImages} are more than the ${left} that validation leaves of ${trainingImages}`,
    );
  }
  return { data, trainImages, heldOut: size, testImages };
}
