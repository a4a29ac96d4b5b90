/** What searches are told of trials: the first run of every point, in the order of their making. */
import { hasEnded } from '../find.js';
import type { SearchResult } from '../search/index.js';
import type { SweepSpec } from '../spec.js';
import type { SweepState, TrialRecord } from '../state.js';

/** Costs time in proportion to the trials' epochs. A cancelled trial without an epoch says nothing and is left out. */
export function searchResults({ spec, trials }: SweepState): SearchResult[] {
  const results: SearchResult[] = [];
  for (const trial of trials.values()) {
    if (trial.repeat > 1) continue;
    const result = resultOf(trial, spec.objective.metric);
    if (trial.state !== 'cancelled' || result.lastEpoch > 0) results.push(result);
  }
  return results;
}

function resultOf(trial: TrialRecord, metric: string): SearchResult {
  const valueOf = (index: number): number => trial.epochs[index]?.metrics[metric] ?? NaN;
  /** Index of the last finite objective at or before `epoch`; -1 for none. */
  const find = (epoch: number): number => {
    let index = trial.epochs.length - 1;
    while (index >= 0 && ((trial.epochs[index]?.epoch ?? 0) > epoch || !Number.isFinite(valueOf(index))))
      index -= 1;
    return index;
  };
  const isFailed = trial.state === 'diverged' || trial.state === 'failed';
  return {
    parameters: trial.parameters,
    status: isFailed ? 'failed' : hasEnded(trial) ? 'ended' : 'open',
    lastEpoch: trial.epochs[find(Infinity)]?.epoch ?? 0,
    valueAt: (epoch) => valueOf(find(epoch)),
  };
}

/** Most results that a warm start takes over: the latest. They are recorded with the sweep. */
const MAX_WARM_RESULTS = 1000;

/** The spec with the results of the sweep that its search starts warm from: none of a sweep with another objective. */
export function withWarmStart(spec: SweepSpec, sweeps: ReadonlyMap<string, SweepState>): SweepSpec {
  const { search } = spec;
  if (search.method !== 'tpe' || search.warmStart === null) return spec;
  const { sweepId } = search.warmStart;
  const earlier = sweeps.get(sweepId);
  const isComparable =
    earlier?.spec.objective.metric === spec.objective.metric &&
    earlier.spec.objective.goal === spec.objective.goal;
  const ended = (isComparable ? searchResults(earlier) : []).filter(
    ({ status, lastEpoch }) => status === 'failed' || (status === 'ended' && lastEpoch > 0),
  );
  const results = ended.slice(-MAX_WARM_RESULTS).map(({ parameters, status, lastEpoch, valueAt }) => ({
    parameters,
    epoch: lastEpoch,
    value: status === 'failed' ? null : valueAt(lastEpoch),
  }));
  return { ...spec, search: { ...search, warmStart: { sweepId, results } } };
}
