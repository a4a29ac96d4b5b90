/**
 * What follows from a trial's newest epoch: the decisions of target, stopping rule and limits, and whether the trial
 * ends by them. Asked once, when the epoch is accepted; the answer is recorded. Asked again of the same arrivals
 * (`../hindsight/`), it is the same.
 */
import type { Decision, TrialEndState } from '../events.js';
import { observationOf, ruleOf } from '../find.js';
import { addJoules } from '../joules.js';
import { epochSecondsOf } from '../lookups/seconds.js';
import type { SweepState, TrialRecord } from '../state.js';
import { judgeByModule, ModuleFault, moduleId } from '../own-modules.js';
import { judgeLimits, judgeTarget, type Observation, type Spending } from '../stopping/index.js';

export interface Verdict {
  /** In the order in which they are recorded. */
  readonly decisions: readonly Decision[];
  /** Null when the trial goes on. */
  readonly end: { readonly state: TrialEndState; readonly reason: string; readonly code: string } | null;
  /** Why a user's rule did not answer: the sweep waits for a person. */
  readonly fault?: string;
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
  const { said, ...failed } = askRule(sweep, observation);
  const decisions = [
    ...said,
    ...(trialLimits === undefined ? [] : judgeLimits(trialLimits, epoch, spendingOf(trial), trial.decisions)),
  ];
  if (epoch >= maxEpochs) {
    const end = { state: 'succeeded' as const, reason: `complete: ${maxEpochs} epochs`, code: '' };
    return { decisions, end, ...failed };
  }
  const stops = decisions.filter((decision) => decision.action === 'stop');
  if (stops.length === 0) return { decisions, end: null, ...failed };
  const reasons = stops
    .filter(({ rule }, index) => stops.findIndex((stop) => stop.rule === rule) === index)
    .map(({ rule, reason }) => `${rule}: ${reason}`);
  return { decisions, end: { state: 'stopped', reason: reasons.join('; '), code: '' }, ...failed };
}

/** What the sweep's rule says; where a user's rule fails, that it failed, and the trial goes on. */
function askRule(
  sweep: SweepState,
  observation: Observation,
): { readonly said: readonly Decision[]; readonly fault?: string } {
  const { stopping } = sweep.spec;
  if (stopping.rule !== 'module') return { said: ruleOf(sweep).judge(sweep.rule, observation) };
  try {
    return { said: judgeByModule(stopping.ref, sweep, observation, (...at) => observationOf(sweep, ...at)) };
  } catch (error) {
    if (!(error instanceof ModuleFault)) throw error;
    const fault = `the stopping rule ${stopping.ref.module} failed: ${error.message}`;
    const facts = { rung: null, value: null, rank: null, n: null, threshold: null };
    const rule = moduleId(stopping.ref);
    const decision = { rule, action: 'continue' as const, epoch: observation.epoch, ...facts, reason: fault };
    return { said: [decision], fault };
  }
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
const spendingOf = (trial: TrialRecord): Spending => ({
  seconds: epochSecondsOf(trial),
  joules: trial.attempts.reduce<number | null>(
    (sum, { acceptedJoules, wastedJoules }) => addJoules(addJoules(sum, acceptedJoules), wastedJoules),
    null,
  ),
});
