/** Sweeps for tests of search: a space in few words, its points, and a trial loop with a known objective. */
import { pointAt, searchSize, type SearchResult } from '../../services/coordinator/core/search/index.js';
import type {
  Axes,
  Domain,
  Parameters,
  ParameterValue,
  SearchSpec,
  SweepSpec,
  TpeSpec,
} from '../../services/coordinator/core/spec.js';
import { sweepSpec } from './core.js';

export const range = (
  min: number,
  max: number,
  over: Partial<Extract<Domain, { kind: 'range' }>> = {},
): Domain => ({
  kind: 'range',
  min,
  max,
  scale: 'linear',
  integer: false,
  count: null,
  ...over,
});

export const list = (...values: ParameterValue[]): Domain => ({ kind: 'list', values });
export const constant = (value: ParameterValue): Domain => ({ kind: 'constant', value });

export const axes = (domains: Readonly<Record<string, Domain>>): Axes =>
  Object.entries(domains).map(([name, domain]) => ({ name, domain }));

export const drawn = (
  method: 'random' | 'sobol' | 'tpe',
  trials: number,
  cases = 1,
  over: Partial<TpeSpec> = {},
): SearchSpec => {
  const common = {
    trials,
    caseWeights: Array<number>(cases).fill(1),
    ...(over.enqueue && { enqueue: over.enqueue }),
  };
  switch (method) {
    case 'random':
      return { method, ...common };
    case 'sobol':
      return { method, scramble: 'owen', ...common };
    case 'tpe':
      return { method, startup: 10, candidates: 24, gamma: 0.1, warmStart: null, ...common, ...over };
  }
};

export const searchSpec = (sweep: Axes, search: SearchSpec, over: Partial<SweepSpec> = {}): SweepSpec =>
  sweepSpec({ sweep, search, ...over });

/** All points of a search that does not learn, or that is told nothing but what runs. */
export function allPoints(spec: SweepSpec): Parameters[] {
  const points: Parameters[] = [];
  for (const size = searchSize(spec); points.length < size;) {
    const point = pointAt(spec, points.length, () => points.map(running));
    if (point === null) break;
    points.push(point);
  }
  return points;
}

export const running = (parameters: Parameters): SearchResult => ({
  parameters,
  status: 'open',
  lastEpoch: 0,
  valueAt: () => NaN,
});

export const ended = (parameters: Parameters, value: number, lastEpoch = 1): SearchResult => ({
  parameters,
  status: 'ended',
  lastEpoch,
  valueAt: () => value,
});

/** Minimises `objective` with so many points at a time; returns its values in the order of the points. */
export function minimise(spec: SweepSpec, objective: (point: Parameters) => number, atATime = 1): number[] {
  const points: Parameters[] = [];
  const values: number[] = [];
  for (const size = searchSize(spec); points.length < size;) {
    const point = pointAt(spec, points.length, () =>
      points.map((parameters, index) => {
        const value = values[index];
        return value === undefined || index > points.length - atATime
          ? running(parameters)
          : ended(parameters, value);
      }),
    );
    if (point === null) break;
    points.push(point);
    values.push(objective(point));
  }
  return values;
}
