/** Parameters and metrics that all recipes of images share. Pure data; see `image-recipe.ts`. */
import type { MetricDescriptor, ParameterDescriptor } from '../../../../../proto/recipes.js';

type Descriptors = Readonly<Record<string, ParameterDescriptor>>;

/** What residual networks take beside their depth. */
export const residualParameters: Descriptors = {
  units: {
    type: 'list',
    description:
      'Units of each stage, instead of depth: [6, 6, 6] is ResNet v2 of depth 56. Each stage but the first halves the side and doubles the channels.',
    default: null,
  },
  activation: {
    type: 'string',
    description: 'Activation of every layer but the last (leaky-relu: slope 0.01; swish: x * sigmoid(x)).',
    default: 'relu',
    choices: ['relu', 'leaky-relu', 'elu', 'swish'],
  },
  shortcut_kernel: {
    type: 'integer',
    description: "Side of the kernel of the shortcut's convolution, where a stage changes the shape: 1 or 3.",
    default: 1,
    choices: [1, 3],
  },
};

/** How a network is trained. */
export const trainingParameters: Descriptors = {
  gpu_power_limit_watts: {
    type: 'number',
    description:
      'Watts that the GPU may draw during the trial; none: as it is. The box sets it before and puts it back after; it wants a trainer that runs as root, and a GPU that no other slot shares.',
    default: null,
    min: 1,
    unit: 'watts',
  },
  batch_size: {
    type: 'integer',
    description: 'Images a step. The last batch of an epoch holds what is left.',
    default: 32,
    min: 1,
    max: 8192,
    unit: 'images',
  },
  optimizer: {
    type: 'string',
    description: 'Update rule; as Keras has it, `adam` with weight_decay equals `adamw`.',
    default: 'adam',
    choices: ['adam', 'adamw', 'sgd'],
  },
  optimizer_semantics: {
    type: 'string',
    description:
      "Whose definition of the update rule: they differ in where epsilon stands, in weight decay (PyTorch adds it to the gradient but in adamw), in momentum under a moving rate, and in the defaults of epsilon (1e-8) and of adamw's weight_decay (0.01).",
    default: 'keras',
    choices: ['keras', 'pytorch'],
  },
  clip_norm: {
    type: 'number',
    description:
      'Largest 2-norm of the whole gradient, L2 included; above it the gradient is scaled down (Keras global_clipnorm, PyTorch clip_grad_norm_). None where it is left out.',
    default: null,
    min: 1e-12,
    max: 1e12,
  },
  lr_peak: {
    type: 'number',
    description: 'Peak learning rate: the schedule multiplies it.',
    default: 1e-3,
    min: 0,
    max: 1e9,
  },
  schedule: {
    type: 'object',
    description:
      'Learning rate over the run, a multiple of lr_peak: {kind: constant}; {kind: piecewise, at: [0.5, 0.75], factor: 0.1} where boundaries below 1 are fractions of max_epochs, others completed epochs, and factor is one number or a list of one per boundary, each multiplying the rate so far; {kind: keras-cifar10}, the 81/40/40/20/19 epochs of the Keras example; {kind: linear, at, factor}; {kind: cosine} or {kind: quarter-cosine} with from, to, floor; {kind: 1cycle}. All but 1cycle take warmup (a boundary) and per (step or epoch). See docs/recipes.md.',
    default: { kind: 'constant' },
  },
  weight_decay_schedule: {
    type: 'object',
    description: 'Weight decay over the run, a multiple of weight_decay: the same kinds as schedule.',
    default: { kind: 'constant' },
  },
  reduce_on_plateau: {
    type: 'object',
    description:
      'Multiplies what schedule says by factor (0.1) once patience (10) epochs in a row have not improved monitor (val_cross_entropy, or val_accuracy) by more than min_delta (1e-4); cooldown (0) epochs after it do not count; never below min_lr (0). As ReduceLROnPlateau of Keras. Empty: off.',
    default: {},
  },
  momentum: {
    type: 'number',
    description: 'Momentum of sgd; the other optimizers ignore it.',
    default: 0.9,
    min: 0,
    max: 0.99999,
  },
  nesterov: { type: 'boolean', description: 'Nesterov momentum for sgd.', default: false },
  beta_1: {
    type: 'number',
    description: 'Decay of the first moment (adam, adamw).',
    default: 0.9,
    min: 0,
    max: 0.99999,
  },
  beta_2: {
    type: 'number',
    description: 'Decay of the second moment (adam, adamw).',
    default: 0.999,
    min: 0,
    max: 0.9999999,
  },
  epsilon: {
    type: 'number',
    description:
      "Added to the root of the second moment before bias correction, Keras' place for it (adam, adamw).",
    default: 1e-7,
    min: 1e-30,
    max: 1,
  },
  l2: {
    type: 'number',
    description:
      'Penalty l2 * sum(w^2) over the convolution kernels, as part of the loss (Keras L2: no factor 1/2).',
    default: 1e-4,
    min: 0,
    max: 1,
  },
  weight_decay: {
    type: 'number',
    description:
      'Decoupled decay w <- w - lr * weight_decay * w before each update (Keras; see optimizer_semantics). 0 for none; adamw takes 0.004 where nothing is given.',
    default: 0,
    min: 0,
    max: 10,
  },
  weight_decay_on: {
    type: 'string',
    description:
      'Which weights decay: all trainable ones, as Keras and PyTorch do by themselves, or only kernels, leaving out biases and the gammas and betas of batch normalisation.',
    default: 'all',
    choices: ['all', 'kernels'],
  },
  shift: {
    type: 'number',
    description:
      'Random shift of each training image in both directions, uniform, as a fraction of its side; 0 for none.',
    default: 0.1,
    min: 0,
    max: 0.5,
  },
  crop: {
    type: 'integer',
    description:
      'Instead of shift: pad each training image by so many pixels and cut one of its size out at random (4 in He et al. 2015, with fill zero); 0 for none.',
    default: 0,
    min: 0,
    max: 16,
    unit: 'pixels',
  },
  fill: {
    type: 'string',
    description:
      'What a shift or crop finds beyond the edge: the edge (Keras fill_mode nearest), the image mirrored without repeating its edge (PyTorch reflect), or zero, the mean.',
    default: 'nearest',
    choices: ['nearest', 'reflect', 'zero'],
  },
  flip: { type: 'boolean', description: 'Mirror each training image with probability 1/2.', default: true },
  bn_momentum: {
    type: 'number',
    description:
      "Momentum of batch normalisation's moving statistics. With 0.99, validation before about 300 steps says nothing: take 0.9 in short runs.",
    default: 0.99,
    min: 0,
    max: 0.99999,
  },
  validation: {
    type: 'object',
    description:
      'What validates: {from: test}, the test images, as the Keras example does, or {from: train, size: 5000}, the last training images, which then do not train; the test images are measured once, after the last epoch.',
    default: { from: 'test' },
  },
  precision: {
    type: 'string',
    description:
      'Arithmetic of the layers; weights, statistics of batch normalisation, loss and optimizer stay in float32. bfloat16 pays off on CPUs with avx512_bf16 or amx and on GPUs since Ampere; float16, with dynamic loss scaling, is for GPUs only.',
    default: 'float32',
    choices: ['float32', 'bfloat16', 'float16'],
  },
};

export const metrics: readonly MetricDescriptor[] = [
  {
    name: 'val_accuracy',
    description: 'Share of validation images classified correctly.',
    goal: 'maximize',
  },
  {
    name: 'val_cross_entropy',
    description: 'Mean cross-entropy on the validation images, without the L2 penalty.',
    goal: 'minimize',
    unit: 'nats',
  },
  {
    name: 'train_accuracy',
    description: "Share of the epoch's augmented training images classified correctly, while training.",
    goal: 'maximize',
  },
  {
    name: 'train_cross_entropy',
    description: "Mean cross-entropy over the epoch's augmented training images, while training.",
    goal: 'minimize',
    unit: 'nats',
  },
  {
    name: 'l2_penalty',
    description: 'l2 * sum(w^2) over the convolution kernels at the end of the epoch.',
    goal: 'minimize',
    unit: 'nats',
  },
  {
    name: 'test_accuracy',
    description: 'Share of test images classified correctly, where other images validate.',
    goal: 'maximize',
    lastEpochOnly: true,
  },
  {
    name: 'test_cross_entropy',
    description: 'Mean cross-entropy on the test images, where other images validate.',
    goal: 'minimize',
    unit: 'nats',
    lastEpochOnly: true,
  },
  { name: 'learning_rate', description: "The rate used in the epoch's last step.", goal: 'minimize' },
  {
    name: 'loss_scale',
    description: "float16 only: what the loss was multiplied with in the epoch's last step.",
    goal: 'maximize',
    noObjective: true,
  },
  {
    name: 'skipped_steps',
    description:
      'float16 only: steps without an update since the trial began, as the gradient was not finite.',
    goal: 'minimize',
    noObjective: true,
  },
];
