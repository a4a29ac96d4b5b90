/**
 * What follows from a trial's newest epoch: the decisions of target, stopping rule and limits, and whether the trial
 * ends by them. Asked once, when the epoch is accepted; the answer is recorded. Asked again of the same arrivals
 * (`simulation.ts`, `replay.ts`), it is the same.
 */
import type { Decision, TrialEndState } from './events.js';
import { observationOf, ruleOf } from './lookup.js';
import type { SweepState, TrialRecord } from './state.js';
import { judgeLimits, judgeTarget, type Spending } from './stopping/index.js';

export interface Verdict {
  /** In the order in which they are recorded. */
  readonly decisions: readonly Decision[];
  /** Null when the trial goes on. */
  readonly end: { readonly state: TrialEndState; readonly reason: string; readonly code: string } | null;
}

/** Judges the newest epoch of the trial, which the state has already. */
export function judgeNewest(sweep: SweepState, trial: TrialRecord): Verdict {
  const { objective, maxEpochs, trialLimits } = sweep.spec;
  const observation = observationOf(sweep, trial);
  const { epoch, value } = observation;
  if (!Number.isFinite(value)) return diverged(sweep, trial, epoch, value);
  const target = judgeTarget(objective, trial.epochs);
  if (target !== null)
    return { decisions: [target], end: { state: 'succeeded', reason: target.reason, code: '' } };
  // The rule is asked at the last epoch, too: passed rungs stand in the log. But there a trial has nothing to lose.
  const decisions = [
    ...ruleOf(sweep).judge(sweep.rule, observation),
    ...(trialLimits === undefined ? [] : judgeLimits(trialLimits, epoch, spendingOf(trial), trial.decisions)),
  ];
  if (epoch >= maxEpochs)
    return { decisions, end: { state: 'succeeded', reason: `complete: ${maxEpochs} epochs`, code: '' } };
  const stops = decisions.filter((decision) => decision.action === 'stop');
  if (stops.length === 0) return { decisions, end: null };
  const reasons = stops
    .filter(({ rule }, index) => stops.findIndex((stop) => stop.rule === rule) === index)
    .map(({ rule, reason }) => `${rule}: ${reason}`);
  return { decisions, end: { state: 'stopped', reason: reasons.join('; '), code: '' } };
}

function diverged({ spec }: SweepState, trial: TrialRecord, epoch: number, value: number): Verdict {
  const { metric } = spec.objective;
  const present = Object.hasOwn(trial.epochs.at(-1)?.metrics ?? {}, metric);
  const reason = present
    ? `${metric} is ${String(value)} at epoch ${epoch}`
    : `epoch ${epoch} reports no ${metric}`;
  const decision: Decision = {
    rule: 'finite@1',
    action: 'diverge',
    epoch,
    rung: null,
    value: null,
    rank: null,
    n: null,
    threshold: null,
    reason,
  };
  return { decisions: [decision], end: { state: 'diverged', reason, code: 'NON_FINITE' } };
}

/** Seconds and joules of all attempts, as far as they were read. */
function spendingOf(trial: TrialRecord): Spending {
  const sum = (readings: readonly (number | null)[]): number | null =>
    readings.reduce((total, reading) => (reading === null ? total : (total ?? 0) + reading), null);
  return {
    seconds: sum(
      trial.epochs.flatMap(({ trainSeconds, evaluationSeconds }) => [trainSeconds, evaluationSeconds]),
    ),
    joules: sum(trial.attempts.flatMap(({ acceptedJoules, wastedJoules }) => [acceptedJoules, wastedJoules])),
  };
}
