/**
 * The smoke test: the first points of the search run one epoch before all others, so that an out-of-memory shows in
 * minutes. A trial that has its epoch gives its slot to the next one, with a checkpoint, and goes on when all have passed;
 * when one has failed the sweep is paused.
 */
import { hasEnded } from '../find.js';
import { liveAttempt, nextPosition, requestStop } from './lifecycle.js';
import type { SweepState, TrialRecord } from '../state.js';
import type { Step } from '../step.js';

const hasEpoch = (trial: TrialRecord): boolean => trial.epochs.length > 0;

/** To be called after each input, before slots are given away. */
export function settleSmoke(step: Step, sweep: SweepState): void {
  if (sweep.smoke?.isOpen !== true || sweep.status !== 'running') return;
  const trials = [...sweep.trials.values()];
  const isWaiting = nextPosition(sweep) !== null || trials.some(waitsForFirstEpoch);
  if (isWaiting) {
    for (const trial of trials)
      if (!hasEnded(trial) && hasEpoch(trial))
        requestStop(step, sweep, trial, 'pause', 'smoke test: it has its epoch, and others come first');
    return;
  }
  if (trials.some((trial) => !hasEnded(trial) && !hasEpoch(trial))) return;
  endSmoke(step, sweep, trials);
}

const waitsForFirstEpoch = (trial: TrialRecord): boolean =>
  !hasEnded(trial) && !hasEpoch(trial) && liveAttempt(trial) === null;

function endSmoke(step: Step, sweep: SweepState, trials: readonly TrialRecord[]): void {
  const { sweepId } = sweep;
  const failed = trials.filter(({ state }) => state === 'failed' || state === 'diverged');
  const names = failed.map((trial) => `${trial.trialId} (${shown(trial)}) ${trial.state}: ${trial.reason}`);
  const message =
    failed.length === 0
      ? `smoke test passed: ${trials.length} extreme points have run an epoch`
      : `smoke test: ${failed.length} of ${trials.length} extreme points failed: ${names.join('; ')}`;
  step.emit({ type: 'smoke_ended', sweepId, passed: failed.length === 0, message, at: step.at });
  if (failed.length === 0) return;
  step.emit({ type: 'sweep_paused', sweepId, reason: message, at: step.at });
  for (const trial of trials)
    if (!hasEnded(trial)) requestStop(step, sweep, trial, 'pause', 'the smoke test has failed');
}

/** Its numbers and names, not its structures. */
const shown = ({ parameters }: TrialRecord): string =>
  Object.entries(parameters)
    .flatMap(([name, value]) => (typeof value === 'object' ? [] : [`${name}=${String(value)}`]))
    .join(' ');
