/**
 * Update rules in Keras semantics (keras.optimizers, version 3), twice: on float64 arrays, as the reference that golden
 * values pin down, and as tfjs operations on the flat parameter vector, which the graph compiler traces.
 *
 * Weight decay is decoupled and Keras' own: w <- w - lr * weight_decay * w before the update, on every trainable
 * variable, for every optimizer; so adam with weight decay equals adamw.
 */
import type { Tensor, TensorFlow } from '../../graph/binding.js';

export type OptimizerSettings =
  | {
      readonly kind: 'adam' | 'adamw';
      readonly beta1: number;
      readonly beta2: number;
      /** Added to sqrt(v) before bias correction ("epsilon hat", Kingma & Ba 2015, section 2). */
      readonly epsilon: number;
      readonly weightDecay: number;
    }
  | {
      readonly kind: 'sgd';
      readonly momentum: number;
      readonly nesterov: boolean;
      readonly weightDecay: number;
    };

/** Vectors, each as long as the parameters, that an optimizer carries from step to step; all start at 0. */
export const slotsOf = (settings: OptimizerSettings): readonly string[] =>
  settings.kind === 'sgd' ? (settings.momentum > 0 ? ['velocity'] : []) : ['m', 'v'];

/**
 * What changes from step to step beside the gradient: `[rate, decay, momentum]`, computed in float64.
 *
 * `rate` is the bias-corrected step size of Adam, alpha = lr * sqrt(1 - beta2^t) / (1 - beta1^t), or lr itself;
 * `decay` is lr * weight_decay; `momentum` is that of sgd, or the gradient's share in Adam's first moment, 1 - beta1.
 *
 * @param step 1-based.
 * @param moved Weight decay, and momentum or beta1, where a schedule moves them. The correction takes the step's own
 * beta1, as PyTorch does under a cycled one.
 */
export function stepScalars(
  settings: OptimizerSettings,
  lr: number,
  step: number,
  moved: { readonly weightDecay: number; readonly momentum: number } = {
    weightDecay: settings.weightDecay,
    momentum: momentumOf(settings),
  },
): [rate: number, decay: number, momentum: number] {
  const decay = lr * moved.weightDecay;
  if (settings.kind === 'sgd') return [lr, decay, moved.momentum];
  const rate = (lr * Math.sqrt(1 - settings.beta2 ** step)) / (1 - moved.momentum ** step);
  return [rate, decay, 1 - moved.momentum];
}

/** Momentum of sgd, beta1 of Adam: what a 1cycle schedule moves. */
export const momentumOf = (settings: OptimizerSettings): number =>
  settings.kind === 'sgd' ? settings.momentum : settings.beta1;

export interface ReferenceState {
  readonly weights: Float64Array;
  readonly slots: Readonly<Record<string, Float64Array>>;
}

export const referenceState = (settings: OptimizerSettings, weights: readonly number[]): ReferenceState => ({
  weights: Float64Array.from(weights),
  slots: Object.fromEntries(slotsOf(settings).map((slot) => [slot, new Float64Array(weights.length)])),
});

/** One update on float64 arrays, in place; parameters as in {@link stepScalars}. */
export function referenceUpdate(
  settings: OptimizerSettings,
  state: ReferenceState,
  gradient: ArrayLike<number>,
  lr: number,
  step: number,
  moved?: Parameters<typeof stepScalars>[3],
): void {
  const [rate, decay, momentum] = stepScalars(settings, lr, step, moved);
  const { weights, slots } = state;
  const first = slots[settings.kind === 'sgd' ? 'velocity' : 'm'];
  const second = slots['v'];
  for (let i = 0; i < weights.length; i++) {
    const g = gradient[i] ?? 0;
    const w = (weights[i] ?? 0) * (1 - decay);
    if (settings.kind === 'sgd') {
      if (first === undefined) {
        weights[i] = w - rate * g;
        continue;
      }
      const velocity = momentum * (first[i] ?? 0) - rate * g;
      first[i] = velocity;
      weights[i] = settings.nesterov ? w + momentum * velocity - rate * g : w + velocity;
      continue;
    }
    if (first === undefined || second === undefined) throw new Error('adam without its moments');
    const m = (first[i] ?? 0) + (g - (first[i] ?? 0)) * momentum;
    const v = (second[i] ?? 0) + (g * g - (second[i] ?? 0)) * (1 - settings.beta2);
    first[i] = m;
    second[i] = v;
    weights[i] = w - (rate * m) / (Math.sqrt(v) + settings.epsilon);
  }
}

export interface GraphState {
  readonly weights: Tensor;
  readonly slots: Readonly<Record<string, Tensor>>;
}

/**
 * One update as tfjs operations. All tensors are float32 vectors of one length, `rate`, `decay` and `momentum` scalars from
 * {@link stepScalars}.
 */
export function graphUpdate(
  tf: TensorFlow,
  settings: OptimizerSettings,
  { weights, slots }: GraphState,
  gradient: Tensor,
  rate: Tensor,
  decay: Tensor,
  momentum: Tensor,
): GraphState {
  const decayed = settings.weightDecay === 0 ? weights : weights.sub(weights.mul(decay));
  if (settings.kind === 'sgd') {
    const stepped = gradient.mul(rate);
    const velocity = slots['velocity'];
    if (velocity === undefined) return { weights: decayed.sub(stepped), slots: {} };
    const next = velocity.mul(momentum).sub(stepped);
    const moved = settings.nesterov ? next.mul(momentum).sub(stepped) : next;
    return { weights: decayed.add(moved), slots: { velocity: next } };
  }
  const { m, v } = slots;
  if (m === undefined || v === undefined) throw new Error('adam without its moments');
  const nextM = m.add(gradient.sub(m).mul(momentum));
  const nextV = v.add(
    tf
      .square(gradient)
      .sub(v)
      .mul(1 - settings.beta2),
  );
  const change = nextM.mul(rate).div(nextV.sqrt().add(settings.epsilon));
  return { weights: decayed.sub(change), slots: { m: nextM, v: nextV } };
}
