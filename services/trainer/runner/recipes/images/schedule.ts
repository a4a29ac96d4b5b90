/**
 * Learning rate, weight decay and momentum of each step. Pure: the same numbers for the trainer, `wattsweep recipe` and
 * the tests. `schedule-settings.ts` checks what a sweep asks for; `one-cycle.ts` has the 1cycle policy.
 */
import type { OneCycle } from './one-cycle.js';
import { oneCycle, oneCycleBegins } from './one-cycle.js';

interface Common {
  /** Length of a straight rise from 0 at the start, which multiplies the curve; a boundary, 0 for none. */
  readonly warmup: number;
  /** Whether the curve moves with every step or only between epochs. */
  readonly per: 'step' | 'epoch';
}

/**
 * A curve that multiplies a peak value. Boundaries (`at`, `from`, `to`, `warmup`): below 1 a fraction of max_epochs, else
 * completed epochs.
 */
export type Schedule =
  | (Common & { readonly kind: 'constant' })
  | (Common & {
      readonly kind: 'piecewise';
      /** Rising. */
      readonly at: readonly number[];
      /** Multiplies the value so far at each boundary: one for all, or one for each. */
      readonly factor: number | readonly number[];
    })
  | (Common & { readonly kind: 'keras-cifar10' })
  | (Common & {
      /** Straight from 1 at the start to each `factor` (of the peak) at its boundary, then constant. */
      readonly kind: 'linear';
      readonly at: readonly number[];
      readonly factor: readonly number[];
    })
  | (Common & {
      /** From 1 to `floor` along half a wave ("cosine") or a quarter of one, which is steepest at its end. */
      readonly kind: 'cosine' | 'quarter-cosine';
      readonly from: number;
      /** Null: the end of the run. */
      readonly to: number | null;
      readonly floor: number;
    })
  | OneCycle;

export interface ScheduleContext {
  readonly schedule: Schedule;
  readonly weightDecaySchedule: Schedule;
  readonly lrPeak: number;
  readonly weightDecay: number;
  /** Momentum of sgd or beta_1 of Adam, where no 1cycle schedule moves it. */
  readonly momentum: number;
  readonly maxEpochs: number;
  readonly stepsPerEpoch: number;
}

/** What one step trains with. */
export interface Rates {
  readonly lr: number;
  readonly weightDecay: number;
  readonly momentum: number;
}

type Run = Pick<ScheduleContext, 'maxEpochs' | 'stepsPerEpoch'>;

/**
 * The Keras example's `lr_schedule`: its strict `epoch > 80` on 0-based epochs gives 81, 40, 40, 20 and, of 200, 19
 * epochs at 1, 0.1, 0.01, 0.001 and 0.0005 of the peak.
 */
const KERAS_CIFAR10 = { at: [81, 121, 161, 181], factor: [0.1, 0.1, 0.1, 0.5] } as const;

const epochsOf = (boundary: number, { maxEpochs }: Run): number =>
  boundary < 1 ? boundary * maxEpochs : boundary;

/** Steps before a boundary; a rounding error of the product must not move it by a step. */
const stepsBefore = (boundary: number, run: Run): number =>
  Math.ceil(epochsOf(boundary, run) * run.stepsPerEpoch - 1e-6);

/** The curve's value, apart from warm-up, after so many steps. */
function curve(schedule: Exclude<Schedule, OneCycle>, done: number, run: Run): number {
  const steps = schedule.per === 'epoch' ? done - (done % run.stepsPerEpoch) : done;
  const epoch = steps / run.stepsPerEpoch;
  switch (schedule.kind) {
    case 'constant':
      return 1;
    case 'keras-cifar10':
    case 'piecewise': {
      const { at, factor } = schedule.kind === 'piecewise' ? schedule : KERAS_CIFAR10;
      return at.reduce(
        (value, boundary, index) =>
          steps < stepsBefore(boundary, run)
            ? value
            : value * (typeof factor === 'number' ? factor : (factor[index] ?? 1)),
        1,
      );
    }
    case 'linear': {
      let [before, value] = [0, 1];
      for (const [index, boundary] of schedule.at.entries()) {
        const [at, target] = [epochsOf(boundary, run), schedule.factor[index] ?? 1];
        if (epoch < at) return value + ((target - value) * (epoch - before)) / (at - before);
        [before, value] = [at, target];
      }
      return value;
    }
    case 'cosine':
    case 'quarter-cosine': {
      const from = epochsOf(schedule.from, run);
      const to = schedule.to === null ? run.maxEpochs : epochsOf(schedule.to, run);
      const part = Math.min(1, Math.max(0, (epoch - from) / (to - from)));
      const wave =
        schedule.kind === 'cosine' ? (1 + Math.cos(Math.PI * part)) / 2 : Math.cos((Math.PI / 2) * part);
      return schedule.floor + (1 - schedule.floor) * wave;
    }
  }
}

/** @param step 1-based. */
function multiplier(schedule: Schedule, step: number, run: Run): number {
  if (schedule.kind === '1cycle')
    return oneCycle(schedule, step - 1, run.maxEpochs * run.stepsPerEpoch).multiplier;
  const rise = schedule.warmup === 0 ? 0 : stepsBefore(schedule.warmup, run);
  return curve(schedule, step - 1, run) * (step < rise ? step / rise : 1);
}

/** What `step` (1-based, counted over the whole trial) trains with. */
export function ratesAt(context: ScheduleContext, step: number): Rates {
  const { schedule, weightDecaySchedule, lrPeak, weightDecay, momentum } = context;
  const cycled =
    schedule.kind === '1cycle'
      ? oneCycle(schedule, step - 1, context.maxEpochs * context.stepsPerEpoch).momentum
      : null;
  return {
    lr: lrPeak * multiplier(schedule, step, context),
    weightDecay: weightDecay * multiplier(weightDecaySchedule, step, context),
    momentum: cycled ?? momentum,
  };
}

/** Steps (1-based) at which one of the curves turns, the first of them 1, and the run's last step where one is bent. */
export function turns(context: ScheduleContext): number[] {
  const total = context.maxEpochs * context.stepsPerEpoch;
  const of = (schedule: Schedule): number[] => {
    const begin = (boundary: number): number => stepsBefore(boundary, context) + 1;
    if (schedule.kind === '1cycle') return [...oneCycleBegins(schedule, total), total];
    const rise = schedule.warmup === 0 ? [] : [begin(schedule.warmup)];
    switch (schedule.kind) {
      case 'constant':
        return rise;
      case 'keras-cifar10':
        return [...rise, ...KERAS_CIFAR10.at.map(begin)];
      case 'piecewise':
        return [...rise, ...schedule.at.map(begin)];
      case 'linear':
        return [...rise, ...schedule.at.map(begin), total];
      case 'cosine':
      case 'quarter-cosine':
        return [...rise, begin(schedule.from), ...(schedule.to === null ? [] : [begin(schedule.to)]), total];
    }
  };
  const all = [1, ...of(context.schedule), ...of(context.weightDecaySchedule)];
  return [...new Set(all)].filter((step) => step <= total).sort((a, b) => a - b);
}

/** A row of {@link scheduleTable}. */
export interface ScheduleRow extends Rates {
  readonly step: number;
  /** 1-based epoch that the step belongs to. */
  readonly epoch: number;
}

/** The rates of the given steps (1-based), as `wattsweep recipe --schedule` prints them. */
export function scheduleTable(context: ScheduleContext, steps: readonly number[]): ScheduleRow[] {
  return steps.map((step) => ({
    step,
    epoch: Math.floor((step - 1) / context.stepsPerEpoch) + 1,
    ...ratesAt(context, step),
  }));
}
