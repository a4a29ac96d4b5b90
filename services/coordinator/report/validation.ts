/** What the choice by validation is worth: on which data each recipe validates, and what a test apart from it measured. */
import type { SweepState } from '../core/state.js';
import { objectiveText } from './render/format.js';
import type { TrialSummary } from './types.js';

const ON_TEST_IMAGES =
  'Validation uses the test images, as the Keras example of ResNet does: the best of many looks at them is biased upwards, ' +
  'the final value and the mean of the last 5 epochs less so. With validation {from: train} training images are held out instead.';

const HELD_OUT =
  'Validation uses training images that did not train; the best of many looks at them is biased upwards, the test images are not.';

const GENERIC =
  'The best of many epochs and trials, chosen on the data that measured it, is biased upwards, ' +
  'the final value and the mean of the last 5 epochs less so.';

/** Recipes with the parameter `validation`. */
const OF_IMAGES: ReadonlySet<string> = new Set(['resnet-cifar10', 'image-classifier']);

/** Trials that are named with their test accuracy. */
const NAMED = 3;

export function validationRemark(
  { spec, trials: states }: SweepState,
  trials: readonly TrialSummary[],
): string {
  if (!OF_IMAGES.has(spec.recipe)) return GENERIC;
  const heldOut = trials.every(({ parameters }) => {
    const { validation } = parameters;
    return typeof validation === 'object' && validation !== null && 'from' in validation
      ? validation['from'] === 'train'
      : false;
  });
  if (!heldOut) return ON_TEST_IMAGES;
  const tested = trials
    .filter(({ rank }) => rank !== null)
    .toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
    .flatMap(({ trialId, label }) => {
      const accuracy = states.get(trialId)?.epochs.at(-1)?.metrics['test_accuracy'];
      return accuracy === undefined ? [] : [`${label} ${objectiveText(accuracy)}`];
    });
  return tested.length === 0
    ? `${HELD_OUT} No trial reached its last epoch, after which they are measured.`
    : `${HELD_OUT} Measured on them once, after the last epoch: ${tested.slice(0, NAMED).join('; ')}.`;
}
