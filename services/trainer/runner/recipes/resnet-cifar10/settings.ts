/** An attempt's parameters, checked and complete. */
import type { ParameterValue, Parameters } from '../../../protocol/runner.js';
import type { Precision } from '../../graph/precision.js';
import { completeParameters, refuse, suggestion } from '../validate.js';
import { isDepth } from './architecture.js';
import type { AugmentSettings } from './augment.js';
import type { OptimizerSettings } from './optimizers.js';
import { resnetCifar10 } from './recipe.js';
import type { Schedule } from './schedule.js';

export interface Settings {
  readonly depth: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerSettings;
  readonly lrPeak: number;
  readonly schedule: Schedule;
  readonly l2: number;
  readonly augment: AugmentSettings;
  readonly bnMomentum: number;
  readonly trainImages: number;
  readonly validationImages: number;
  readonly precision: Precision;
}

/** Keras' AdamW decays by so much where nothing is given. */
const ADAMW_WEIGHT_DECAY = 0.004;

/**
 * The settings that `given` asks for.
 *
 * @throws WattsweepError PARAMETER_REFUSED with a sentence that names the parameter.
 */
export function parseSettings(given: Parameters, maxEpochs: number): Settings {
  const all = completeParameters(resnetCifar10, given);
  const number = (name: string): number => all[name] as number;
  const depth = number('depth');
  if (!isDepth(depth)) refuse('depth', `${depth} is not 9n+2; near are ${nearDepths(depth).join(' and ')}`);
  const kind = all['optimizer'] as OptimizerSettings['kind'];
  const weightDecay =
    given['weight_decay'] === undefined && kind === 'adamw' ? ADAMW_WEIGHT_DECAY : number('weight_decay');
  const optimizer: OptimizerSettings =
    kind === 'sgd'
      ? { kind, momentum: number('momentum'), nesterov: all['nesterov'] as boolean, weightDecay }
      : { kind, beta1: number('beta_1'), beta2: number('beta_2'), epsilon: number('epsilon'), weightDecay };
  return {
    depth,
    batchSize: number('batch_size'),
    optimizer,
    lrPeak: number('lr_peak'),
    schedule: parseSchedule(all['schedule'] ?? null, maxEpochs),
    l2: number('l2'),
    augment: { shift: number('shift'), flip: all['flip'] as boolean },
    bnMomentum: number('bn_momentum'),
    trainImages: number('train_images'),
    validationImages: number('validation_images'),
    precision: all['precision'] as Precision,
  };
}

const nearDepths = (depth: number): [number, number] => {
  const below = Math.max(11, Math.floor((depth - 2) / 9) * 9 + 2);
  return [below, below + 9];
};

const SCHEDULE_KEYS: Readonly<Record<Schedule['kind'], readonly string[]>> = {
  constant: ['kind'],
  piecewise: ['kind', 'at', 'factor'],
  'keras-cifar10': ['kind'],
};

/**
 * A `schedule` parameter, checked.
 *
 * @throws WattsweepError PARAMETER_REFUSED: unknown kind or key, boundaries that do not rise or lie outside the run.
 */
export function parseSchedule(value: ParameterValue, maxEpochs: number): Schedule {
  const given = value as Parameters;
  const kinds = Object.keys(SCHEDULE_KEYS);
  const kind = given['kind'];
  if (typeof kind !== 'string' || !Object.hasOwn(SCHEDULE_KEYS, kind)) {
    const hint = typeof kind === 'string' ? suggestion(kind, kinds) : '';
    refuse('schedule.kind', `${JSON.stringify(kind)} is none of ${kinds.join(', ')}${hint}`);
  }
  const keys = SCHEDULE_KEYS[kind as Schedule['kind']];
  for (const key of Object.keys(given)) {
    if (!keys.includes(key))
      refuse(`schedule.${key}`, `a ${kind} schedule has no such key${suggestion(key, keys)}`);
  }
  if (kind !== 'piecewise') return { kind: kind as 'constant' | 'keras-cifar10' };
  const at = positiveNumbers('schedule.at', given['at']);
  const epochs = at.map((boundary) => (boundary < 1 ? boundary * maxEpochs : boundary));
  epochs.forEach((epoch, index) => {
    if (index > 0 && epoch <= (epochs[index - 1] ?? 0)) refuse('schedule.at', 'the boundaries do not rise');
  });
  const factor = given['factor'];
  if (typeof factor === 'number') {
    positiveNumbers('schedule.factor', [factor]);
    return { kind, at, factor };
  }
  const factors = positiveNumbers('schedule.factor', factor);
  if (factors.length !== at.length) {
    refuse(
      'schedule.factor',
      `${factors.length} factors for ${at.length} boundaries; give one, or one for each`,
    );
  }
  return { kind, at, factor: factors };
}

function positiveNumbers(name: string, value: ParameterValue | undefined): number[] {
  const valid = (item: unknown): item is number =>
    typeof item === 'number' && Number.isFinite(item) && item > 0;
  if (!Array.isArray(value) || !value.every(valid))
    refuse(name, `${JSON.stringify(value)} is no list of positive numbers`);
  return value;
}
