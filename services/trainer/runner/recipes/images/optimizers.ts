/**
 * Update rules, twice: on float64 arrays, as the reference that golden values pin down, and as tfjs operations on the flat
 * parameter vector, which the graph compiler traces. In Keras semantics (keras.optimizers, version 3) or in PyTorch's
 * (torch.optim), which differ in where epsilon stands, in what weight decay means, and in what momentum keeps.
 *
 * The gradient goes through three steps: clipping by its global norm, weight decay, the rule itself.
 */
import type { Tensor, TensorFlow } from '../../graph/binding.js';

interface Common {
  /** Weight decay, 0 for none: decoupled or not, see {@link isCoupled}. */
  readonly weightDecay: number;
  /** Largest 2-norm that the whole gradient may have; above it is scaled down. Null for no limit. */
  readonly clipNorm: number | null;
  readonly semantics: 'keras' | 'pytorch';
}

export type OptimizerSettings = Common &
  (
    | {
        readonly kind: 'adam' | 'adamw';
        readonly beta1: number;
        readonly beta2: number;
        /** Added to sqrt(v) before bias correction by Keras ("epsilon hat", Kingma & Ba 2015, section 2), after it by PyTorch. */
        readonly epsilon: number;
      }
    | { readonly kind: 'sgd'; readonly momentum: number; readonly nesterov: boolean }
  );

/** Vectors, each as long as the parameters, that an optimizer carries from step to step; all start at 0. */
export const slotsOf = (settings: OptimizerSettings): readonly string[] =>
  settings.kind === 'sgd' ? (settings.momentum > 0 ? ['velocity'] : []) : ['m', 'v'];

/**
 * Whether weight decay joins the gradient (g <- g + weight_decay * w), as PyTorch's SGD and Adam have it. Decoupled is
 * w <- w - lr * weight_decay * w before the update: AdamW's, and in Keras every optimizer's, so that there adam with weight
 * decay equals adamw.
 */
const isCoupled = ({ semantics, kind }: OptimizerSettings): boolean =>
  semantics === 'pytorch' && kind !== 'adamw';

/** What changes from step to step beside the gradient, computed in float64. */
export interface StepScalars {
  /** Bias-corrected step size of Adam, alpha = lr * sqrt(1 - beta2^t) / (1 - beta1^t), or lr itself. */
  readonly rate: number;
  /** Share of the weights that decay takes: of the weight, lr * weight_decay; of the gradient, weight_decay. */
  readonly decay: number;
  /** Momentum of sgd, or the gradient's share in Adam's first moment, 1 - beta1. */
  readonly momentum: number;
  /** What is added to sqrt(v): PyTorch's epsilon is that of the corrected moment, so here epsilon * sqrt(1 - beta2^t). */
  readonly epsilon: number;
}

export const SCALARS = ['rate', 'decay', 'momentum', 'epsilon'] as const satisfies (keyof StepScalars)[];

/**
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
): StepScalars {
  const decay = isCoupled(settings) ? moved.weightDecay : lr * moved.weightDecay;
  if (settings.kind === 'sgd') return { rate: lr, decay, momentum: moved.momentum, epsilon: 0 };
  const correction = Math.sqrt(1 - settings.beta2 ** step);
  return {
    rate: (lr * correction) / (1 - moved.momentum ** step),
    decay,
    momentum: 1 - moved.momentum,
    epsilon: settings.epsilon * (settings.semantics === 'pytorch' ? correction : 1),
  };
}

/** Momentum of sgd, beta1 of Adam: what a 1cycle schedule moves. */
export const momentumOf = (settings: OptimizerSettings): number =>
  settings.kind === 'sgd' ? settings.momentum : settings.beta1;

/** Keeps PyTorch's division by the norm finite (torch.nn.utils.clip_grad_norm_); Keras has none. */
const CLIP_EPSILON = 1e-6;

export interface ReferenceState {
  readonly weights: Float64Array;
  readonly slots: Readonly<Record<string, Float64Array>>;
}

export const referenceState = (settings: OptimizerSettings, weights: readonly number[]): ReferenceState => ({
  weights: Float64Array.from(weights),
  slots: Object.fromEntries(slotsOf(settings).map((slot) => [slot, new Float64Array(weights.length)])),
});

/** What the gradient is multiplied with, at most 1. */
function clipFactor({ clipNorm, semantics }: OptimizerSettings, gradient: ArrayLike<number>): number {
  if (clipNorm === null) return 1;
  let squares = 0;
  for (let i = 0; i < gradient.length; i++) squares += (gradient[i] ?? 0) ** 2;
  const norm = Math.sqrt(squares);
  return semantics === 'keras'
    ? clipNorm / Math.max(norm, clipNorm)
    : Math.min(1, clipNorm / (norm + CLIP_EPSILON));
}

/**
 * One update on float64 arrays, in place; the last parameters as in {@link stepScalars}.
 *
 * @param decays 1 for each weight that decays, 0 for the others; null: all do.
 */
export function referenceUpdate(
  settings: OptimizerSettings,
  state: ReferenceState,
  gradient: ArrayLike<number>,
  lr: number,
  step: number,
  moved?: Parameters<typeof stepScalars>[3],
  decays: ArrayLike<number> | null = null,
): void {
  const { rate, decay, momentum, epsilon } = stepScalars(settings, lr, step, moved);
  const { weights, slots } = state;
  const first = slots[settings.kind === 'sgd' ? 'velocity' : 'm'];
  const second = slots['v'];
  const factor = clipFactor(settings, gradient);
  const coupled = isCoupled(settings);
  for (let i = 0; i < weights.length; i++) {
    const decayed = (weights[i] ?? 0) * decay * (decays?.[i] ?? 1);
    const g = (gradient[i] ?? 0) * factor + (coupled ? decayed : 0);
    const w = (weights[i] ?? 0) - (coupled ? 0 : decayed);
    if (settings.kind === 'sgd') {
      if (first === undefined) {
        weights[i] = w - rate * g;
      } else if (settings.semantics === 'pytorch') {
        const velocity = momentum * (first[i] ?? 0) + g;
        first[i] = velocity;
        weights[i] = w - rate * (settings.nesterov ? g + momentum * velocity : velocity);
      } else {
        const velocity = momentum * (first[i] ?? 0) - rate * g;
        first[i] = velocity;
        weights[i] = settings.nesterov ? w + momentum * velocity - rate * g : w + velocity;
      }
      continue;
    }
    if (first === undefined || second === undefined) throw new Error('adam without its moments');
    const m = (first[i] ?? 0) + (g - (first[i] ?? 0)) * momentum;
    const v = (second[i] ?? 0) + (g * g - (second[i] ?? 0)) * (1 - settings.beta2);
    first[i] = m;
    second[i] = v;
    weights[i] = w - (rate * m) / (Math.sqrt(v) + epsilon);
  }
}

export interface GraphState {
  readonly weights: Tensor;
  readonly slots: Readonly<Record<string, Tensor>>;
}

/**
 * One update as tfjs operations. All tensors are float32 vectors of one length.
 *
 * @param scalars Those of {@link stepScalars}, as scalar tensors.
 * @param decays 1 for each weight that decays, 0 for the others; null: all do.
 */
export function graphUpdate(
  tf: TensorFlow,
  settings: OptimizerSettings,
  { weights, slots }: GraphState,
  raw: Tensor,
  scalars: Readonly<Record<keyof StepScalars, Tensor>>,
  decays: Tensor | null,
): GraphState {
  const { rate, momentum } = scalars;
  const clipped = settings.clipNorm === null ? raw : raw.mul(graphClipFactor(tf, settings, raw));
  const decayed =
    settings.weightDecay === 0 ? null : (decays === null ? weights : weights.mul(decays)).mul(scalars.decay);
  const coupled = isCoupled(settings);
  const gradient = coupled && decayed !== null ? clipped.add(decayed) : clipped;
  const kept = coupled || decayed === null ? weights : weights.sub(decayed);
  if (settings.kind === 'sgd') {
    const velocity = slots['velocity'];
    if (velocity === undefined) return { weights: kept.sub(gradient.mul(rate)), slots: {} };
    if (settings.semantics === 'pytorch') {
      const next = velocity.mul(momentum).add(gradient);
      const direction = settings.nesterov ? next.mul(momentum).add(gradient) : next;
      return { weights: kept.sub(direction.mul(rate)), slots: { velocity: next } };
    }
    const stepped = gradient.mul(rate);
    const next = velocity.mul(momentum).sub(stepped);
    const moved = settings.nesterov ? next.mul(momentum).sub(stepped) : next;
    return { weights: kept.add(moved), slots: { velocity: next } };
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
  const change = nextM.mul(rate).div(nextV.sqrt().add(scalars.epsilon));
  return { weights: kept.sub(change), slots: { m: nextM, v: nextV } };
}

function graphClipFactor(
  tf: TensorFlow,
  { clipNorm, semantics }: OptimizerSettings,
  gradient: Tensor,
): Tensor {
  const limit = tf.scalar(clipNorm ?? Infinity);
  const norm = tf.square(gradient).sum().sqrt();
  return semantics === 'keras'
    ? limit.div(norm.maximum(limit))
    : limit.div(norm.add(CLIP_EPSILON)).minimum(1);
}
