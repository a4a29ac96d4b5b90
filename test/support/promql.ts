/** Looks into PromQL with Prometheus' own grammar: does it parse, and what does it select? */
import { parser } from '@prometheus-io/lezer-promql';
import type { SyntaxNode } from '@lezer/common';
import { metrics, type MetricDefinition } from '../../proto/metrics.js';

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
  /** Range in brackets, as written, e.g. `$__rate_interval`; empty for an instant selector. */
  readonly range: string;
  /** Name of the innermost function around it, e.g. `rate`; empty for none. */
  readonly calledBy: string;
}

/** Grafana's interval variables, in a form that the grammar knows, and back. */
const intervals: Readonly<Record<string, string>> = { $__rate_interval: '1234567s', $__range: '7654321s' };

function withDurations(expression: string): string {
  let text = expression;
  for (const [name, duration] of Object.entries(intervals)) text = text.replaceAll(name, duration);
  return text;
}

const withVariables = (duration: string): string =>
  Object.entries(intervals).find(([, known]) => known === duration)?.[0] ?? duration;

export function parses(expression: string): boolean {
  let valid = expression.trim() !== '';
  parser.parse(withDurations(expression)).iterate({
    enter: (node) => {
      if (node.type.isError) valid = false;
    },
  });
  return valid;
}

export function selectors(expression: string): readonly Selector[] {
  const text = withDurations(expression);
  const found: Selector[] = [];
  parser.parse(text).iterate({
    enter: ({ name, node }) => {
      if (name === 'VectorSelector') found.push(toSelector(text, node));
    },
  });
  return found;
}

/** Labels that the expression groups by, joins on, or takes away. */
export function groupingLabels(expression: string): readonly string[] {
  const text = withDurations(expression);
  const found: string[] = [];
  parser.parse(text).iterate({
    enter: ({ name, node }) => {
      if (name === 'GroupingLabels') {
        found.push(...node.getChildren('LabelName').map(({ from, to }) => text.slice(from, to)));
      }
    },
  });
  return found;
}

/** The definition that a series belongs to, by its own name or as a part of a histogram; undefined for none. */
export const definitionOf = (name: string): MetricDefinition | undefined =>
  Object.values<MetricDefinition>(metrics).find((one) =>
    one.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') === one.name : name === one.name,
  );

function toSelector(text: string, node: SyntaxNode): Selector {
  const slice = (part: SyntaxNode | null): string => (part ? text.slice(part.from, part.to) : '');
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  const matrix = node.parent?.name === 'MatrixSelector' ? node.parent : null;
  let call = node.parent;
  while (call !== null && call.name !== 'FunctionCall') call = call.parent;
  return {
    metric: slice(node.getChild('Identifier')),
    matchers: matchers.map((matcher) => ({
      label: slice(matcher.getChild('LabelName')),
      operator: slice(matcher.getChild('MatchOp')),
      value: slice(matcher.getChild('StringLiteral')).slice(1, -1),
    })),
    range: withVariables(slice(matrix?.lastChild ?? null)),
    calledBy: slice(call?.getChild('FunctionIdentifier') ?? null),
  };
}
