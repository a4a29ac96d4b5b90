/** Stopping rules, one file each: told of accepted reports, they answer continue or stop with a reason. */
import type { SweepSpec } from '../spec.js';
import { asha } from './asha.js';
import { patience } from './patience.js';
import type { StoppingRule } from './rule.js';
import { threshold } from './threshold.js';

export { ashaRungs } from './asha.js';
export { judgeTarget } from './target.js';
export type { Observation, RuleState, StoppingRule } from './rule.js';

const none: StoppingRule = { id: 'none@1', init: () => ({}), absorb: () => undefined, judge: () => [] };

/** The rule that `spec` asks for. */
export function stoppingRule(spec: SweepSpec, sweepId: string): StoppingRule {
  const { stopping, objective, maxEpochs } = spec;
  switch (stopping.rule) {
    case 'asha':
      return asha(stopping, maxEpochs, objective.goal, sweepId);
    case 'patience':
      return patience(stopping, objective.goal);
    case 'threshold':
      return threshold(stopping, objective.goal);
    case 'none':
      return none;
  }
}
