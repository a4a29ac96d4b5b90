import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { judgeTarget } from '../../../services/coordinator/core/stopping/index.js';
import {
  best,
  defaultHold,
  final,
  firstHit,
  meanOfLast5,
  transition,
  type Hold,
} from '../../../services/coordinator/report/index.js';
import { epochRecord } from '../../support/core.js';

const short: Hold = { ...defaultHold, window: 3 };

describe('a level that is touched, left and held', () => {
  const a = [0.9, 0.921, 0.915, 0.922, 0.9215, 0.9212, 0.923, 0.9225];

  it('is hit first where it is touched', () => expect(firstHit(a, 0.92, 'maximize')).toBe(2));

  it('is reached where it holds: epoch 2 fails on .915', () =>
    expect(transition(a, 0.92, short)).toEqual({ status: 'confirmed', epoch: 4, ranEpochs: 8 }));

  it('is reached earlier by the mean of the window, .919875', () =>
    expect(transition(a, 0.92, { ...short, variant: 'mean' })).toEqual({
      status: 'confirmed',
      epoch: 2,
      ranEpochs: 8,
    }));
});

describe('a window that the end cuts short', () => {
  it('leaves the level unconfirmed', () => {
    expect(firstHit([0.91, 0.92], 0.92, 'maximize')).toBe(2);
    expect(transition([0.91, 0.92], 0.92, short)).toEqual({ status: 'unconfirmed', epoch: 2, ranEpochs: 2 });
  });

  it('confirms at exactly k epochs after the hit', () => {
    expect(transition([0.91, 0.92, 0.92, 0.92, 0.92], 0.92, short).status).toBe('confirmed');
    expect(transition([0.91, 0.92, 0.92, 0.92], 0.92, short).status).toBe('unconfirmed');
  });
});

it('is censored when no value reaches the level, with the epochs that ran', () => {
  const c = [0.9, 0.91, 0.915, 0.9199999, 0.91, 0.9, 0.9, 0.9];
  expect(firstHit(c, 0.92, 'maximize')).toBeNull();
  expect(transition(c, 0.92, short)).toEqual({ status: 'censored', epoch: null, ranEpochs: 8 });
  expect(transition([], 0.92, short)).toEqual({ status: 'censored', epoch: null, ranEpochs: 0 });
});

it('compares unrounded: 0.91999 is not 0.92', () => {
  expect(transition([0.91999], 0.92).status).toBe('censored');
  expect(transition([0.92], 0.92).epoch).toBe(1);
});

it('minimizes by the same definition, mirrored', () => {
  const loss = [0.5, 0.29, 0.31, 0.3, 0.301, 0.302, 0.3];
  const hold: Hold = { window: 2, tolerance: 0.002, goal: 'minimize' };
  expect(firstHit(loss, 0.3, 'minimize')).toBe(2);
  expect(transition(loss, 0.3, hold)).toEqual({ status: 'confirmed', epoch: 4, ranEpochs: 7 });
  expect(best(loss, 'minimize')).toEqual({ value: 0.29, epoch: 2 });
});

it('lets NaN reach and hold nothing', () => {
  expect(firstHit([NaN, 0.93], 0.92, 'maximize')).toBe(2);
  expect(transition([0.93, NaN, 0.93], 0.92, short)).toMatchObject({ status: 'unconfirmed', epoch: 3 });
  expect(transition([0.93, null, 0.93], 0.92, { ...short, variant: 'mean' }).epoch).toBe(3);
  expect(best([NaN, 0.5, Infinity], 'maximize')).toEqual({ value: 0.5, epoch: 2 });
});

it('passes over epochs that the program left out', () => {
  const sparse = [undefined, 0.93, undefined, 0.931, undefined, 0.93];
  expect(transition(sparse, 0.92, short)).toEqual({ status: 'confirmed', epoch: 2, ranEpochs: 6 });
  expect(meanOfLast5([undefined, 1, undefined, 2])).toBe(1.5);
});

describe('best, final and mean of the last five', () => {
  it('takes the earliest of equal bests', () =>
    expect(best([0.1, 0.3, 0.3], 'maximize')).toEqual({ value: 0.3, epoch: 2 }));
  it('is null where nothing ran or the value is not finite', () => {
    expect(best([], 'maximize')).toBeNull();
    expect(final([])).toBeNull();
    expect(final([0.1, NaN])).toBeNull();
    expect(meanOfLast5([])).toBeNull();
    expect(meanOfLast5([1, 1, 1, 1, 1, NaN])).toBeNull();
  });
  it('means what ran when that is less than five', () => {
    expect(meanOfLast5([1, 3])).toBe(2);
    expect(meanOfLast5([100, 1, 2, 3, 4, 5])).toBe(3);
    expect(final([1, 2])).toBe(2);
  });
});

const value = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 880, max: 930 }).map((n) => n / 1000) },
  fc.constant(NaN),
);
const values = fc.array(value, { maxLength: 40 });
const level = fc.integer({ min: 890, max: 930 }).map((n) => n / 1000);
const anyHold = fc.record({
  window: fc.integer({ min: 0, max: 6 }),
  tolerance: fc.constantFrom(0, 0.002, 0.01),
  goal: fc.constant('maximize' as const),
});

property.prop([values, level, level, anyHold])('never comes earlier for a harder level', (a, t, u, hold) => {
  const easy = transition(a, Math.min(t, u), hold).epoch ?? Infinity;
  const hard = transition(a, Math.max(t, u), hold).epoch ?? Infinity;
  expect(hard).toBeGreaterThanOrEqual(easy);
});

property.prop([values, level, anyHold])(
  'never comes before the first hit, nor later than its window allows',
  (a, t, hold) => {
    const found = transition(a, t, hold);
    const hit = firstHit(a, t, 'maximize');
    if (found.epoch === null) return;
    expect(found.epoch).toBeGreaterThanOrEqual(hit ?? Infinity);
    expect(found.status === 'confirmed').toBe(found.epoch + hold.window <= a.length);
    expect(a[found.epoch - 1]).toBeGreaterThanOrEqual(t);
  },
);

property.prop([values, value, level, anyHold])(
  'stays where it is once confirmed, whatever follows',
  (a, next, t, hold) => {
    const before = transition(a, t, hold);
    if (before.status !== 'confirmed') return;
    expect(transition([...a, next], t, hold)).toMatchObject({ status: 'confirmed', epoch: before.epoch });
  },
);

property.prop([values, level, anyHold])('mirrors under negation', (a, t, hold) => {
  const mirrored = transition(
    a.map((v) => -v),
    -t,
    { ...hold, goal: 'minimize' },
  );
  expect(mirrored).toEqual(transition(a, t, hold));
});

property.prop([
  fc.array(
    fc.integer({ min: 900, max: 930 }).map((n) => n / 1000),
    { minLength: 1, maxLength: 30 },
  ),
  level,
])('is confirmed in the epoch in which the target rule ends the trial', (a, target) => {
  const objective = {
    metric: 'val_accuracy',
    goal: 'maximize' as const,
    target,
    holdEpochs: 3,
    holdTolerance: 0.002,
  };
  const decided = a.findIndex(
    (_, i) =>
      judgeTarget(
        objective,
        a.slice(0, i + 1).map((v, e) => epochRecord(e + 1, v)),
      ) !== null,
  );
  const confirmed = a.findIndex(
    (_, i) => transition(a.slice(0, i + 1), target, short).status === 'confirmed',
  );
  expect(decided).toBe(confirmed);
});
