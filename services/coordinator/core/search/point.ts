/** Puts a point together: fixed parameters, drawn or listed ones, and those that expressions compute from them. */
import type { Axes, Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { compileExpression, type Expression } from './expression.js';

/** What every point of a sweep has. */
export type Context = Pick<SweepSpec, 'fixed' | 'maxEpochs'>;

/** In an order in which each refers to earlier ones only; those of a circle come last and have no value. */
export type OrderedExpressions = readonly {
  readonly name: string;
  readonly expression: Expression | null;
}[];

export function orderedExpressions(axes: Axes): OrderedExpressions {
  const waiting = new Map<string, Expression | null>();
  for (const { name, domain } of axes) {
    if (domain.kind !== 'expression') continue;
    const outcome = compileExpression(domain.expression);
    waiting.set(name, 'expression' in outcome ? outcome.expression : null);
  }
  const done: { name: string; expression: Expression | null }[] = [];
  for (let before = -1; before !== done.length;) {
    before = done.length;
    for (const [name, expression] of waiting) {
      if (expression?.names.some((other) => waiting.has(other)) === true) continue;
      done.push({ name, expression });
      waiting.delete(name);
    }
  }
  return [...done, ...[...waiting.keys()].map((name) => ({ name, expression: null }))];
}

export const scopeOf = (
  { fixed, maxEpochs }: Context,
  values: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> =>
  new Map<string, ParameterValue>([['max_epochs', maxEpochs], ...Object.entries(fixed), ...values]);

/** Adds what the expressions give to `values`; null where one has no finite value. */
export function addExpressions(
  context: Context,
  expressions: OrderedExpressions,
  values: Map<string, ParameterValue>,
): void {
  if (expressions.length === 0) return;
  const scope = scopeOf(context, values);
  for (const { name, expression } of expressions) {
    const outcome = expression?.evaluate(scope);
    const value = outcome !== undefined && 'value' in outcome ? outcome.value : null;
    scope.set(name, value);
    values.set(name, value);
  }
}

/** The whole point, keys in code unit order. */
export const pointOf = (context: Context, values: ReadonlyMap<string, ParameterValue>): Parameters =>
  Object.fromEntries([...Object.entries(context.fixed), ...values].sort(([a], [b]) => (a < b ? -1 : 1)));
