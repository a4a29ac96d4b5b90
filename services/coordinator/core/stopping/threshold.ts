/** Threshold: the guard against trials that go nowhere. Stops at any epoch from `fromEpoch` on that is worse than `bound`. */
import type { Goal, ThresholdSpec } from '../spec.js';
import { show, signOf, type StoppingRule } from './rule.js';

export function threshold(spec: ThresholdSpec, goal: Goal): StoppingRule {
  const sign = signOf(goal);
  return {
    id: 'threshold@1',
    init: () => ({}),
    absorb: () => undefined,
    judge(_state, { epoch, value }) {
      if (epoch < spec.fromEpoch) return [];
      const stops = sign * value < sign * spec.bound;
      return [
        {
          rule: 'threshold@1',
          action: stops ? 'stop' : 'continue',
          epoch,
          rung: null,
          value,
          rank: null,
          n: null,
          threshold: spec.bound,
          reason: `${show(value)} is ${stops ? 'worse' : 'not worse'} than the bound ${show(spec.bound)}`,
        },
      ];
    },
  };
}
