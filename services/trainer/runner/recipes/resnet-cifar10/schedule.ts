/** Learning rate per step. Pure: the same table for the trainer, `wattsweep recipe` and the tests. */

export type Schedule =
  | { readonly kind: 'constant' }
  | {
      readonly kind: 'piecewise';
      /** Rising boundaries: below 1 a fraction of max_epochs, else completed epochs. */
      readonly at: readonly number[];
      /** Multiplies the rate so far at each boundary: one for all, or one for each. */
      readonly factor: number | readonly number[];
    }
  | { readonly kind: 'keras-cifar10' };

export interface ScheduleContext {
  readonly schedule: Schedule;
  readonly lrPeak: number;
  readonly maxEpochs: number;
  readonly stepsPerEpoch: number;
}

/**
 * The Keras example's `lr_schedule`: its strict `epoch > 80` on 0-based epochs gives 81, 40, 40, 20 and, of 200, 19
 * epochs at 1, 0.1, 0.01, 0.001 and 0.0005 of the peak.
 */
const KERAS_CIFAR10 = { at: [81, 121, 161, 181], factor: [0.1, 0.1, 0.1, 0.5] } as const;

interface Segment {
  /** First step of the segment, 1-based. */
  readonly fromStep: number;
  readonly lr: number;
}

/** The stretches of constant rate, in order; the first begins at step 1. */
export function segments({ schedule, lrPeak, maxEpochs, stepsPerEpoch }: ScheduleContext): Segment[] {
  if (schedule.kind === 'constant') return [{ fromStep: 1, lr: lrPeak }];
  const { at, factor } = schedule.kind === 'keras-cifar10' ? KERAS_CIFAR10 : schedule;
  let multiplier = 1;
  const later = at.map((boundary, index) => {
    multiplier *= typeof factor === 'number' ? factor : (factor[index] ?? 1);
    const epochs = boundary < 1 ? boundary * maxEpochs : boundary;
    // The last boundary's rounding error must not move a drop by a step.
    return { fromStep: Math.ceil(epochs * stepsPerEpoch - 1e-6) + 1, lr: lrPeak * multiplier };
  });
  return [{ fromStep: 1, lr: lrPeak }, ...later];
}

/** The rate of `step` (1-based, counted over the whole trial). */
export function learningRate(context: ScheduleContext, step: number): number {
  return segments(context).findLast((segment) => step >= segment.fromStep)?.lr ?? context.lrPeak;
}

/** A row of {@link scheduleTable}. */
export interface ScheduleRow {
  readonly step: number;
  /** 1-based epoch that the step belongs to. */
  readonly epoch: number;
  readonly lr: number;
}

/** The rates of the given steps (1-based), as `wattsweep recipe --schedule` prints them. */
export function scheduleTable(context: ScheduleContext, steps: readonly number[]): ScheduleRow[] {
  return steps.map((step) => ({
    step,
    epoch: Math.floor((step - 1) / context.stepsPerEpoch) + 1,
    lr: learningRate(context, step),
  }));
}
