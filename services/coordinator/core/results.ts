/** What a sweep's search is told of its trials: the first run of every point, in the order of their making. */
import { hasEnded } from './fold.js';
import type { SearchResult } from './search/index.js';
import type { SweepState, TrialRecord } from './state.js';

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
