/** Several rules together: each judges by itself, every answer stands in the log, and one stop is enough. */
import { type RuleState, type StoppingRule } from './rule.js';

export function composite(rules: readonly StoppingRule[]): StoppingRule {
  const partOf = (state: RuleState, index: number): RuleState => state[index] as RuleState;
  return {
    id: 'composite@1',
    init: () => Object.fromEntries(rules.map((rule, index) => [index, rule.init()])),
    absorb(state, observation) {
      for (const [index, rule] of rules.entries()) rule.absorb(partOf(state, index), observation);
    },
    judge: (state, observation) =>
      rules.flatMap((rule, index) => rule.judge(partOf(state, index), observation)),
  };
}
