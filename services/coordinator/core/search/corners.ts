/** The extreme points of a search: what a smoke test runs first, since memory and time are largest or smallest there. */
import type { Axes, Parameters, ParameterValue, SearchSpec, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import { feasibility } from './constraints.js';
import { axisValues } from './domain.js';
import { addExpressions, orderedExpressions, pointOf } from './point.js';

const MOST = 16;

/** One parameter's ends, or its values where they have no order. */
interface Ends {
  readonly name: string;
  readonly low: ParameterValue;
  readonly high: ParameterValue;
  /** Beside the ends; only of names. */
  readonly others: readonly ParameterValue[];
}

/**
 * The spec with its extreme points in front of all others, and how many they are; as it was where there is none. They
 * are points of the sweep: a grid has them anyway, and searches that draw count them among their trials.
 */
export function withSmoke(spec: SweepSpec): SweepSpec {
  const { search } = spec;
  const { enqueue = [] } = search;
  const room = 'trials' in search ? Math.max(1, search.trials - enqueue.length) : MOST;
  const chosen = extremePoints(spec).slice(0, Math.min(MOST, room));
  if (chosen.length === 0) return spec;
  const texts = new Set(chosen.map(canonicalJson));
  const isOther = (point: Parameters): boolean => !texts.has(canonicalJson(point));
  const first = { ...search, enqueue: [...chosen, ...enqueue.filter(isOther)] };
  const points: SearchSpec =
    first.method === 'list' ? { ...first, points: first.points.filter(isOther) } : first;
  return { ...spec, search: points, smoke: chosen.length };
}

function extremePoints(spec: SweepSpec): Parameters[] {
  if (spec.search.method === 'list') return extremesOf(spec.search.points);
  const feasible = feasibility(spec);
  const branches = spec.cases.map((branch) => cornersOf(spec, [...spec.sweep, ...branch]));
  const longest = Math.max(...branches.map(({ length }) => length));
  const found = new Map<string, Parameters>();
  // The largest corner of each branch first.
  for (let rank = 0; rank < longest; rank += 1) {
    for (const corners of branches) {
      const point = corners[rank];
      if (point !== undefined && feasible(point)) found.set(canonicalJson(point), point);
    }
  }
  return [...found.values()];
}

/** All largest, with each name in turn; all smallest; each parameter alone at its largest. */
function cornersOf(spec: SweepSpec, axes: Axes): Parameters[] {
  const ends = axes.flatMap((axis) => endsOf(spec, axis));
  const expressions = orderedExpressions(axes);
  const at = (choose: (end: Ends) => ParameterValue): Parameters => {
    const values = new Map(ends.map((end) => [end.name, choose(end)]));
    addExpressions(spec, expressions, values);
    return pointOf(spec, values);
  };
  return [
    at(({ high }) => high),
    ...ends.flatMap(({ name, others }) =>
      others.map((value) => at((end) => (end.name === name ? value : end.high))),
    ),
    at(({ low }) => low),
    ...ends.map(({ name }) => at((end) => (end.name === name ? end.high : end.low))),
  ];
}

function endsOf(spec: SweepSpec, { name, domain }: Axes[number]): Ends[] {
  if (domain.kind === 'range' && domain.count === null)
    return [{ name, low: domain.min, high: domain.max, others: [] }];
  const values = axisValues(domain);
  if (values === null) return [];
  if (domain.kind === 'range')
    return [{ name, low: values.at(0), high: values.at(values.size - 1), others: [] }];
  const all = Array.from({ length: values.size }, (_, index) => values.at(index));
  const numbers = all.filter((value) => typeof value === 'number').sort((a, b) => a - b);
  const [first = null, ...others] = all;
  return numbers.length === all.length
    ? [{ name, low: numbers[0] ?? null, high: numbers.at(-1) ?? null, others: [] }]
    : [{ name, low: first, high: first, others }];
}

/** Of listed points: those with the largest and the smallest number of each parameter. */
function extremesOf(points: readonly Parameters[]): Parameters[] {
  const names = new Set(points.flatMap((point) => Object.keys(point)));
  const found = new Set<Parameters>();
  for (const sign of [1, -1]) {
    for (const name of names) {
      const numbers = points.flatMap((point) => {
        const value = point[name];
        return typeof value === 'number' ? [{ point, value: sign * value }] : [];
      });
      const [head, ...rest] = numbers;
      if (head === undefined || rest.every(({ value }) => value === head.value)) continue;
      found.add(rest.reduce((best, one) => (one.value > best.value ? one : best), head).point);
    }
  }
  return [...found];
}
