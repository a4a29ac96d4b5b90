import { describe, expect, it } from 'vitest';
import type { Parameters } from '../../../services/trainer/protocol/runner.js';
import {
  afterEpoch,
  parsePlateau,
  reduced,
  untouched,
} from '../../../services/trainer/runner/recipes/images/plateau.js';

const losses = [
  2.0, 1.5, 1.49995, 1.6, 1.5, 1.2, 1.3, 1.3, 1.3, 1.3, 1.3, 1.19995, 1.1, 1.2, 1.2, 1.2, 1.2, 1.2,
];

function ratesAfter(given: Parameters, scheduled = 1): number[] {
  const settings = parsePlateau(given)!;
  let state = untouched;
  return losses.map((loss) => {
    state = afterEpoch(settings, state, { val_cross_entropy: loss, val_accuracy: 1 - loss / 4 }, scheduled);
    return reduced(settings, state, scheduled);
  });
}

/** The optimizer's rate after each epoch, printed by ReduceLROnPlateau of Keras 3.15.1. */
const cases: [Parameters, number[]][] = [
  [
    { factor: 0.5, patience: 2 },
    [
      1,
      1,
      1,
      0.5,
      0.5,
      0.5,
      0.5,
      0.25,
      0.25,
      0.125,
      0.125,
      2 ** -4,
      2 ** -4,
      2 ** -4,
      2 ** -5,
      2 ** -5,
      2 ** -6,
      2 ** -6,
    ],
  ],
  [
    { factor: 0.5, patience: 2, cooldown: 2 },
    [
      1,
      1,
      1,
      0.5,
      0.5,
      0.5,
      0.5,
      0.25,
      0.25,
      0.25,
      0.125,
      0.125,
      0.125,
      0.125,
      2 ** -4,
      2 ** -4,
      2 ** -4,
      2 ** -5,
    ],
  ],
  [{ factor: 0.1, patience: 1, min_lr: 0.05 }, [1, 1, 0.1, ...Array.from({ length: 15 }, () => 0.05)]],
  [
    { factor: 0.5, patience: 0, cooldown: 1 },
    [0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14].map((n) => 2 ** -n),
  ],
  [
    { factor: 0.5, patience: 2, min_delta: 0.01, monitor: 'val_accuracy' },
    [
      1,
      1,
      1,
      0.5,
      0.5,
      0.5,
      0.5,
      0.25,
      0.25,
      0.125,
      0.125,
      2 ** -4,
      2 ** -4,
      2 ** -4,
      2 ** -5,
      2 ** -5,
      2 ** -6,
      2 ** -6,
    ],
  ],
];

describe('reduction on a plateau', () => {
  it.each(cases)('reduces when Keras does: %j', (given, expected) => {
    ratesAfter(given).forEach((rate, epoch) => expect(rate).toBeCloseTo(expected[epoch]!, 12));
  });

  it('multiplies what the schedule says', () => {
    const given = { factor: 0.5, patience: 2 };
    expect(ratesAfter(given, 0.25)).toEqual(ratesAfter(given).map((rate) => rate / 4));
  });

  it('leaves a schedule alone that goes below min_lr by itself', () => {
    const settings = parsePlateau({ factor: 0.5, min_lr: 0.1 })!;
    expect(reduced(settings, { ...untouched, reduction: 0.5 }, 0.04)).toBe(0.04);
    expect(reduced(settings, { ...untouched, reduction: 0.5 }, 0.15)).toBe(0.1);
  });

  it('is off for an empty mapping', () => expect(parsePlateau({})).toBeNull());

  it.each([
    [{ factor: 1 }, 'reduce_on_plateau.factor: 1 reduces nothing; give a number below 1'],
    [{ patiance: 1 }, `reduce_on_plateau.patiance: the reduction has no such key; did you mean 'patience'?`],
    [{ monitor: 'val_loss' }, 'reduce_on_plateau.monitor: "val_loss" is none of'],
    [{ cooldown: -1 }, 'reduce_on_plateau.cooldown: -1 is no number at least 0'],
  ])('refuses %j', (given, message) => expect(() => parsePlateau(given)).toThrow(message));
});
