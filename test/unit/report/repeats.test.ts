import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import {
  aggregate,
  kaplanMeierMedian,
  paretoFront,
  spread,
  type CostPair,
  type LevelObservation,
} from '../../../services/coordinator/report/index.js';

const seen = (value: number): LevelObservation => ({ value, status: 'confirmed', endedBy: 'limit' });
const unconfirmed = (value: number): LevelObservation => ({ value, status: 'unconfirmed', endedBy: 'limit' });
const missed = (value: number): LevelObservation => ({ value, status: 'censored', endedBy: 'limit' });
const stopped = (value: number): LevelObservation => ({ value, status: 'censored', endedBy: 'rule' });
const diverged = (value: number): LevelObservation => ({ value, status: 'censored', endedBy: 'divergence' });

describe('repeats that all reached the level for sure', () => {
  it('have a mean with its spread', () => {
    const a = aggregate([seen(82), seen(84), seen(89)]);
    expect(a).toMatchObject({ kind: 'mean', value: 85, min: 82, max: 89, n: 3, reached: 3 });
    expect(a.sd).toBeCloseTo(3.6056, 4);
  });
  it('have no spread when there is one', () =>
    expect(aggregate([seen(84)])).toMatchObject({ kind: 'mean', value: 84, sd: null, n: 1 }));
});

describe('repeats of which some did not reach the level', () => {
  it('have no mean but the Kaplan-Meier median', () =>
    // S: 2/3 at 84, 1/3 at 90.
    expect(aggregate([seen(84), seen(90), missed(160)])).toMatchObject({
      kind: 'median',
      value: 90,
      sd: null,
      reached: 2,
      n: 3,
    }));

  it('have a lower bound when fewer than half got there', () =>
    expect(aggregate([seen(84), missed(160), missed(200)])).toMatchObject({
      kind: 'bound',
      value: 200,
      reached: 1,
      n: 3,
    }));

  it('count an early censoring at its time only', () =>
    // At 10 one leaves; of the two left both reach: S = 1/2 at 20.
    expect(aggregate([missed(10), seen(20), seen(30)])).toMatchObject({ kind: 'median', value: 20 }));

  it('say that a median rests on an unconfirmed one', () =>
    expect(aggregate([unconfirmed(84)])).toMatchObject({
      kind: 'median',
      value: 84,
      unconfirmed: 1,
      reached: 1,
    }));

  it('keep those that a rule stopped out of the median, and count them as not reached', () => {
    const a = aggregate([seen(84), stopped(40), stopped(40)]);
    expect(a).toMatchObject({ kind: 'median', value: 84, reached: 1, n: 3, stoppedByRule: 2 });
    expect(aggregate([missed(160), diverged(3)])).toMatchObject({ kind: 'bound', value: 160, diverged: 1 });
  });

  it('look as far as the longest when a rule stopped all', () =>
    expect(aggregate([stopped(40), stopped(120)])).toMatchObject({ kind: 'bound', value: 120, n: 2 }));
});

it('leaves out repeats without a reading, and is unread without any', () => {
  expect(aggregate([seen(5), null])).toMatchObject({ kind: 'mean', value: 5, n: 1 });
  expect(aggregate([null, null])).toMatchObject({ kind: 'unread', value: null, n: 0 });
});

it('agrees with the remission times of Freireich et al. (1963), the textbook example: median 23 weeks', () => {
  const events = [6, 6, 6, 7, 10, 13, 16, 22, 23];
  const censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
  expect(kaplanMeierMedian([...events.map(seen), ...censored.map(missed)])).toBe(23);
});

property.prop([fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 })])(
  'is the lower median of the values when nothing is censored',
  (times) => {
    const sorted = [...times].sort((a, b) => a - b);
    expect(kaplanMeierMedian(times.map(seen))).toBe(sorted[Math.ceil(times.length / 2) - 1]);
  },
);

it('spreads over what was read', () => {
  expect(spread([1, null, 3])).toEqual({ mean: 2, sd: Math.SQRT2, n: 2, min: 1, max: 3 });
  expect(spread([null])).toBeNull();
  // 0.1 summed up three times, and 0.3: the same reading.
  expect(spread([0.1 + 0.1 + 0.1, 0.3])?.sd).toBe(0);
});

describe('the Pareto front', () => {
  it('keeps what nothing beats in both costs, equal points too', () =>
    expect(
      paretoFront([
        [3, 1],
        [1, 3],
        [2, 2],
        [3, 3],
        [2, 2],
        [1, 4],
        [4, 1],
      ]),
    ).toEqual([1, 2, 4, 0]));

  const point = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 8 }));
  property.prop([fc.array(point, { maxLength: 30 })])('is what comparing all pairs gives', (points) => {
    const beats = (a: CostPair, b: CostPair): boolean =>
      a[0] <= b[0] && a[1] <= b[1] && (a[0] < b[0] || a[1] < b[1]);
    const expected = points.map((_, i) => i).filter((i) => !points.some((p) => beats(p, points[i]!)));
    expect([...paretoFront(points)].sort((a, b) => a - b)).toEqual(expected);
  });
});
