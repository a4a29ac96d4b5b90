/** What ended early by a decision, and what that spared. */
import type { Decision } from '../core/events.js';
import type { SweepState, TrialRecord } from '../core/state.js';
import { sumOrNull } from './analysis/cost.js';
import type { Saving, StoppedTrial, TrialSummary } from './types.js';

/** The decision that ended the trial; null when none did. */
function endingDecision(trial: TrialRecord): Decision | null {
  const action = trial.state === 'stopped' ? 'stop' : trial.state === 'succeeded' ? 'succeed' : null;
  return action === null ? null : (trial.decisions.findLast((d) => d.action === action) ?? null);
}

/** Trials that a rule stopped for being bad. */
export function stoppedByRule(sweep: SweepState): ReadonlySet<string> {
  const ids = [...sweep.trials.values()]
    .filter((trial) => trial.state === 'stopped' && endingDecision(trial) !== null)
    .map((trial) => trial.trialId);
  return new Set(ids);
}

/** Trials that were ended before their last epoch, in the order of the search; failed and diverged ones are not here. */
export function stoppedTrials(
  sweep: SweepState,
  summaries: readonly TrialSummary[],
): readonly StoppedTrial[] {
  return [...summaries]
    .sort((a, b) => a.index - b.index)
    .flatMap((summary) => {
      const trial = sweep.trials.get(summary.trialId);
      if (trial === undefined || summary.epochs >= sweep.spec.maxEpochs) return [];
      const decision = endingDecision(trial);
      if (trial.state !== 'stopped' && trial.state !== 'cancelled' && decision === null) return [];
      return [
        {
          trialId: trial.trialId,
          label: summary.label,
          state: trial.state,
          rule: decision?.rule ?? null,
          epoch: decision?.epoch ?? summary.epochs,
          rung: decision?.rung ?? null,
          value: decision?.value ?? null,
          rank: decision?.rank ?? null,
          n: decision?.n ?? null,
          threshold: decision?.threshold ?? null,
          reason: decision?.reason ?? trial.reason,
        },
      ];
    });
}

/** Per rule: epochs that were not run, times each trial's own mean cost of an epoch. */
export function savings(
  sweep: SweepState,
  stopped: readonly StoppedTrial[],
  summaries: readonly TrialSummary[],
): readonly Saving[] {
  const byId = new Map(summaries.map((summary) => [summary.trialId, summary]));
  const rules = [...new Set(stopped.flatMap((stop) => stop.rule ?? []))];
  return rules.map((rule) => {
    const spared = stopped
      .filter((stop) => stop.rule === rule)
      .flatMap((stop) => byId.get(stop.trialId) ?? [])
      .map((trial) => ({ trial, epochs: sweep.spec.maxEpochs - trial.epochs }));
    const estimate = (perEpoch: (trial: TrialSummary) => number | null): number | null =>
      sumOrNull(
        spared.map(({ trial, epochs }) => {
          const mean = perEpoch(trial);
          return mean === null ? null : mean * epochs;
        }),
      );
    return {
      rule,
      trials: spared.length,
      epochsNotRun: spared.reduce((sum, { epochs }) => sum + epochs, 0),
      estimatedSeconds: estimate((trial) => trial.secondsPerEpoch),
      estimatedJoules: estimate((trial) => trial.joulesPerEpoch),
    };
  });
}
