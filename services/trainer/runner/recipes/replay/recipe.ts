/** What `replay` accepts and reports: pure data, see `../images/recipes/resnet-cifar10.ts` for where it goes. */
import type { RecipeDescriptor } from '../../../../../proto/recipes.js';

export const replay: RecipeDescriptor = {
  name: 'replay',
  description:
    'Trains nothing: replays real training runs on a Tesla V100 as the Zeus project published them (You, Chung, Chowdhury, NSDI 2023). Seconds and joules are the published ones at any speed. The trace says in which epoch a run first met a target, not how its metric went, so it is good for time and energy to that target and for nothing else.',
  parameters: {
    dataset: {
      type: 'string',
      description: 'Dataset of the recorded runs.',
      default: 'cifar100',
      choices: ['cifar100', 'imagenet', 'librispeech', 'movielens-1m', 'sentiment140', 'squad'],
    },
    network: {
      type: 'string',
      description: 'Network of the recorded runs; by default the one that was recorded with the dataset.',
      default: null,
    },
    batch_size: { type: 'integer', description: 'Batch size of the recorded runs.', default: 128, min: 1 },
    optimizer: {
      type: 'string',
      description: 'Optimizer of the recorded runs; by default the one that was recorded.',
      default: null,
    },
    lr_peak: {
      type: 'number',
      description:
        'Learning rate of the recorded runs; by default the one that was recorded with the batch size.',
      default: null,
      min: 0,
    },
    gpu_power_limit_watts: {
      type: 'integer',
      description: 'Power limit of the V100: 100, 125, ... 250.',
      default: 250,
      min: 1,
      unit: 'watts',
    },
    target_level: {
      type: 'number',
      description:
        "The level of the dataset's own metric that `target_reached` is about, one of those that the trace holds: for cifar100 0.05, 0.1, ... 0.95 of validation accuracy.",
      default: 0.6,
    },
    run: {
      type: 'integer',
      description:
        'Which recorded run, by its number in the trace. 0: the first repeat of a setting replays its first run, and so on; with more repeats than runs they begin anew.',
      default: 0,
      min: 0,
    },
    speed: {
      type: 'number',
      description: 'Times faster than it was: 1 is real time, 1000 shows an hour in 3.6 seconds.',
      default: 1,
      min: 0.01,
      max: 1e9,
    },
  },
  metrics: [
    {
      name: 'target_reached',
      description:
        '1 from the epoch on in which the recorded run first met target_level, 0 before. No measured curve: the trace has none. The attempt ends there, so that a sweep needs `hold_epochs: 0`.',
      goal: 'maximize',
    },
    { name: 'recorded_run', description: 'Number of the recorded run in the trace.', goal: 'maximize' },
  ],
  energyMethod: 'replay',
};
