/**
 * Dynamic loss scaling for float16, whose smallest numbers are too large for many gradients: the loss is multiplied by a
 * scale and the gradient divided by it; a gradient that is not finite takes no step and halves the scale, and many steps
 * without one double it. Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2; the numbers are those of Keras'
 * LossScaleOptimizer.
 */
import type { Tensor, TensorFlow } from '../../graph/binding.js';
import type { Precision } from '../../graph/precision.js';

export const INITIAL_LOSS_SCALE = 2 ** 15;
/** Steps in a row with a finite gradient after which the scale doubles. */
export const GROWTH_STEPS = 2000;
/** A gradient that is not finite at this scale, or below, is not helped by scaling. */
export const LOWEST_LOSS_SCALE = 1;

/** Variables of the program, each of one value; they stand in checkpoints with all others. */
export const LOSS_SCALE_VARIABLES = ['lossScale', 'goodSteps'] as const;

export const isScaled = (precision: Precision): boolean => precision === 'float16';

export interface LossScale {
  readonly lossScale: Tensor;
  /** Steps with a finite gradient since the scale last changed. */
  readonly goodSteps: Tensor;
}

/** @param finite Whether the step's gradient is, a boolean scalar. */
export function nextLossScale(
  tf: TensorFlow,
  { lossScale, goodSteps }: LossScale,
  finite: Tensor,
): LossScale {
  const counted = goodSteps.add(1);
  const grows = counted.greaterEqual(GROWTH_STEPS);
  const grown = tf.where(grows, lossScale.mul(2), lossScale);
  return {
    lossScale: tf.where(finite, grown, lossScale.div(2)),
    goodSteps: tf.where(finite.logicalAnd(grows.logicalNot()), counted, counted.mul(0)),
  };
}
