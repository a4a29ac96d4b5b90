/** Constraints: expressions that must be true at every point that runs. */
import type { Parameters, SweepSpec } from '../spec.js';
import { compileExpression, expressionConstants } from './expression.js';

/** Whether a point satisfies every constraint that concerns it: one whose parameters it has. */
export type Feasible = (point: Parameters) => boolean;

export function feasibility({ constraints = [], maxEpochs }: SweepSpec): Feasible {
  const expressions = constraints.flatMap((text) => {
    const outcome = compileExpression(text);
    return 'expression' in outcome ? [outcome.expression] : [];
  });
  if (expressions.length === 0) return () => true;
  return (point) => {
    const scope = new Map([['max_epochs', maxEpochs], ...Object.entries(point)]);
    return expressions.every((expression) => {
      if (!expression.names.every((name) => scope.has(name) || expressionConstants.has(name))) return true;
      const outcome = expression.evaluate(scope);
      return 'value' in outcome && outcome.value === true;
    });
  };
}
