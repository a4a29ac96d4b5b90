/**
 * What people ask of a sweep after its submission: run failed trials again, more points, repeats or epochs, other
 * limits, tags, archive, deletion. What cannot be done changes nothing; the API says why before it asks.
 */
import { isBlocked } from '../placement/blocks.js';
import { hasEnded } from '../find.js';
import type { ChangeInput, RerunSelection } from '../inputs.js';
import { stopSweep } from './lifecycle.js';
import { checkBudget, spentBudget } from './reports.js';
import { searchSize } from '../search/index.js';
import type { Limits } from '../spec.js';
import type { SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

/** Trials that may run again: ended, without success. */
export const isRerunnable = (trial: TrialRecord): boolean => hasEnded(trial) && trial.state !== 'succeeded';

/** The trials that a rerun would take up now, in the order of their making. */
export function selectRerun(sweep: SweepState, selection: RerunSelection): TrialRecord[] {
  const { trialIds, cancelled, diverged } = selection;
  const named = trialIds === null ? null : new Set(trialIds);
  const endedWithSweep = ({ state, reason }: TrialRecord): boolean =>
    state === 'cancelled' || (state === 'stopped' && sweep.status === 'stopped' && reason === sweep.reason);
  return [...sweep.trials.values()].filter((trial) => {
    if (named !== null) return named.has(trial.trialId) && isRerunnable(trial);
    if (trial.state === 'failed') return true;
    return (diverged && trial.state === 'diverged') || (cancelled && endedWithSweep(trial));
  });
}

export function onChange(step: Step, input: ChangeInput): void {
  const sweep = step.state.sweeps.get(input.sweepId);
  if (sweep === undefined) return;
  switch (input.type) {
    case 'rerun':
      rerun(step, sweep, input);
      return;
    case 'extend':
      extend(step, sweep, input);
      return;
    case 'set_limits':
      setLimits(step, sweep, input);
      return;
    case 'tag': {
      const kept = sweep.tags.filter((tag) => !input.remove.includes(tag));
      const tags = [...new Set([...kept, ...input.add])];
      if (tags.join('\n') !== sweep.tags.join('\n'))
        step.emit({ type: 'sweep_tagged', sweepId: sweep.sweepId, tags, at: step.at });
      return;
    }
    case 'archive': {
      const { archived } = input;
      if (archived !== sweep.archived)
        step.emit({ type: 'sweep_archived', sweepId: sweep.sweepId, archived, at: step.at });
      return;
    }
    case 'delete':
      deleteSweep(step, sweep, input.force);
      return;
  }
}

/** A sweep that is being stopped takes nothing up, nor does one with nothing left to spend: it would stop at once. */
const canGoOn = (step: Step, sweep: SweepState): boolean =>
  sweep.status !== 'stopping' && spentBudget(sweep, step.at) === null;

type InputOf<T extends ChangeInput['type']> = Extract<ChangeInput, { type: T }>;

function rerun(step: Step, sweep: SweepState, { selection }: InputOf<'rerun'>): void {
  if (!canGoOn(step, sweep)) return;
  const trials = selectRerun(sweep, selection);
  if (trials.length === 0) return;
  reopen(step, sweep, 'trials run again');
  for (const trial of trials) reopenTrial(step, sweep, trial, 'runs again, as a person asked');
}

function reopen(step: Step, sweep: SweepState, reason: string): void {
  if (sweep.endedAt !== null)
    step.emit({ type: 'sweep_reopened', sweepId: sweep.sweepId, reason, at: step.at });
}

function reopenTrial(step: Step, sweep: SweepState, trial: TrialRecord, reason: string): void {
  const { sweepId } = sweep;
  // Its weights are spoilt, perhaps for some epochs already.
  const fromStart = trial.state === 'diverged';
  step.emit({ type: 'trial_reopened', sweepId, trialId: trial.trialId, reason, fromStart, at: step.at });
}

function extend(step: Step, sweep: SweepState, { spec, change }: InputOf<'extend'>): void {
  if (!canGoOn(step, sweep)) return;
  // The order within blocks follows from their size: with another one, points that ran would come again.
  if (isBlocked(sweep.spec) && searchSize(spec) !== sweep.points) return;
  const { sweepId } = sweep;
  const { maxEpochs } = sweep.spec;
  // Those that hold the target, or ended by themselves before, are done; so is what a rule has stopped.
  const complete = [...sweep.trials.values()].filter(
    (trial) =>
      spec.maxEpochs > maxEpochs &&
      trial.state === 'succeeded' &&
      (trial.epochs.at(-1)?.epoch ?? 0) >= maxEpochs &&
      trial.decisions.at(-1)?.action !== 'succeed',
  );
  reopen(step, sweep, `extended: ${change}`);
  step.emit({ type: 'sweep_extended', sweepId, spec, points: searchSize(spec), change, at: step.at });
  for (const trial of complete)
    reopenTrial(step, sweep, trial, `goes on from epoch ${maxEpochs} to ${spec.maxEpochs}`);
}

function setLimits(step: Step, sweep: SweepState, { changes }: InputOf<'set_limits'>): void {
  const limits: Limits = { ...sweep.limits, ...changes };
  const words = LIMIT_NAMES.flatMap(([field, name]) =>
    limits[field] === sweep.limits[field]
      ? []
      : [`${name} ${sweep.limits[field] ?? 'none'} -> ${limits[field] ?? 'none'}`],
  );
  if (words.length === 0) return;
  const change = words.join(', ');
  const { energyWh, hours } = sweep.limits;
  step.emit({ type: 'limits_changed', sweepId: sweep.sweepId, limits, change, at: step.at });
  // A pause puts off the end by a budget that time or late reports have spent, but not that by a person's new one.
  const isNewBudget = limits.energyWh !== energyWh || limits.hours !== hours;
  checkBudget(step, sweep, isNewBudget ? ['running', 'paused'] : ['running']);
}

/** As the sweep file calls them. */
const LIMIT_NAMES: readonly (readonly [keyof Limits, string])[] = [
  ['maxParallel', 'max_parallel'],
  ['energyWh', 'budget.energy_wh'],
  ['hours', 'budget.hours'],
  ['priority', 'priority'],
];

function deleteSweep(step: Step, sweep: SweepState, force: boolean): void {
  const { sweepId } = sweep;
  if (sweep.endedAt !== null) step.emit({ type: 'sweep_deleted', sweepId, at: step.at });
  else if (force) stopSweep(step, sweep, 'cancelled', 'deleted by a person', true);
}
