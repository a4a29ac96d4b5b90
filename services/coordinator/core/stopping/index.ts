/** Stopping rules, one file each: told of accepted reports, they answer continue or stop with a reason. */
import { ownRule } from '../own-modules.js';
import type { SingleRuleSpec, SweepSpec } from '../spec.js';
import { asha, ashaPromotion } from './asha.js';
import { composite } from './composite.js';
import { energyToTarget } from './energy.js';
import { hyperband } from './hyperband.js';
import { median } from './median.js';
import { ashaPareto } from './pareto.js';
import { patience } from './patience.js';
import type { StoppingRule } from './rule.js';
import { threshold } from './threshold.js';

export { ashaRungs } from './asha.js';
export { hyperbandBrackets } from './hyperband.js';
export { judgeLimits, type Spending } from './limits.js';
export { judgeTarget } from './target.js';
export type { Contender, Field, Observation, Promotion, RuleState, StoppingRule, Waiting } from './rule.js';

const none: StoppingRule = { id: 'none@1', init: () => ({}), absorb: () => undefined, judge: () => [] };

/** The rule that `spec` asks for. */
export function stoppingRule(spec: SweepSpec, sweepId: string): StoppingRule {
  const { stopping } = spec;
  if (stopping.rule === 'none') return none;
  if (stopping.rule === 'module') return ownRule(stopping.ref);
  if (stopping.rule === 'hyperband') return hyperband(stopping, spec.maxEpochs, spec.objective.goal);
  if (stopping.rule !== 'composite') return singleRule(stopping, spec, sweepId);
  return composite(stopping.rules.map((rule) => singleRule(rule, spec, sweepId)));
}

function singleRule(
  rule: SingleRuleSpec,
  { objective, maxEpochs }: SweepSpec,
  sweepId: string,
): StoppingRule {
  switch (rule.rule) {
    case 'asha':
      if (rule.mode === 'promote') return ashaPromotion(rule, maxEpochs, objective.goal, sweepId);
      return rule.pareto === undefined
        ? asha(rule, maxEpochs, objective.goal, sweepId)
        : ashaPareto(rule, rule.pareto, maxEpochs, objective.goal, sweepId);
    case 'patience':
      return patience(rule, objective.goal);
    case 'threshold':
      return threshold(rule, objective.goal);
    case 'median':
      return median(rule, objective.goal);
    case 'energy_to_target':
      return energyToTarget(rule, objective, maxEpochs);
  }
}
