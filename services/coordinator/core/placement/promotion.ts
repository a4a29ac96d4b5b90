/**
 * Trials that wait at a rung for their promotion: which of them takes a free slot, and which can no longer be promoted
 * and end. Rules without pauses have neither.
 */
import { waitingIn } from '../lookups/contenders.js';
import type { LedgerEventType } from '../events.js';
import { ruleOf } from '../find.js';
import { endTrial, nextFirstRun } from '../sweeps/lifecycle.js';
import type { SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';
import type { Field, Promotion, Waiting } from '../stopping/index.js';

const fieldOf = (sweep: SweepState): Field => ({
  made: Math.min(sweep.nextIndex, sweep.points),
  isSearchDone: nextFirstRun(sweep) === null,
});

/** The trial that the rule promotes next, with its decision; null for none. */
export const nextPromotion = (sweep: SweepState): Promotion | null =>
  waitingIn(sweep, ruleOf(sweep))?.next(fieldOf(sweep)) ?? null;

/** Trials that wait and can no longer be promoted; they are told once. */
export const hopelessIn = (sweep: SweepState): ReturnType<Waiting['hopeless']> =>
  waitingIn(sweep, ruleOf(sweep))?.hopeless(fieldOf(sweep)) ?? [];

/** Promotes the trial that takes the next free slot; null when none may. */
export function promote(step: Step, sweep: SweepState): TrialRecord | null {
  const promotion = nextPromotion(sweep);
  if (promotion === null) return null;
  const { trialId, decision } = promotion;
  const ref = { sweepId: sweep.sweepId, trialId };
  step.emit({ type: 'decision_made', ...ref, decision, at: step.at });
  const reason = `promoted from rung ${String(decision.rung)}`;
  step.emit({ type: 'trial_requeued', ...ref, reason, notBefore: step.at, at: step.at });
  return sweep.trials.get(trialId) ?? null;
}

/** Without one of these nobody begins to wait in vain. */
const TURNS: ReadonlySet<LedgerEventType> = new Set([
  'trial_created',
  'search_exhausted',
  'trial_paused',
  'trial_ended',
  'sweep_resumed',
]);

/** Ends the trials that wait in vain. True when there was one. */
export function endHopeless(step: Step, sweep: SweepState): boolean {
  if (ruleOf(sweep).promotions === undefined || sweep.status !== 'running') return false;
  if (!step.events.some(({ type }) => TURNS.has(type))) return false;
  const hopeless = hopelessIn(sweep);
  for (const { trialId, reason } of hopeless) {
    const trial = sweep.trials.get(trialId);
    if (trial !== undefined) endTrial(step, sweep, trial, 'stopped', reason);
  }
  return hopeless.length > 0;
}
