import { WattsweepError } from '../../../proto/errors.js';
import type { State, SweepState, TrialRecord } from '../core/index.js';

/** @param sweepId empty for the newest @throws SWEEP_NOT_FOUND */
export function sweepIn(state: State, sweepId: string): SweepState {
  const sweep = sweepId === '' ? [...state.sweeps.values()].at(-1) : state.sweeps.get(sweepId);
  if (sweep !== undefined) return sweep;
  const wasDeleted = state.deleted.has(sweepId);
  throw new WattsweepError(
    'SWEEP_NOT_FOUND',
    sweepId === ''
      ? 'there is no sweep'
      : wasDeleted
        ? `the sweep ${sweepId} was deleted`
        : `there is no sweep ${sweepId}`,
  );
}

/** @throws TRIAL_NOT_FOUND */
export function trialIn(sweep: SweepState, trialId: string): TrialRecord {
  const trial = sweep.trials.get(trialId);
  if (trial === undefined)
    throw new WattsweepError('TRIAL_NOT_FOUND', `the sweep ${sweep.sweepId} has no trial ${trialId}`);
  return trial;
}
