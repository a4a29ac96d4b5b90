import { WattsweepError } from '../../../proto/errors.js';
import type { State, SweepState, TrialRecord } from '../core/index.js';

/** @param sweepId empty for the newest @throws SWEEP_NOT_FOUND */
export function sweepIn(state: State, sweepId: string): SweepState {
  const sweep = sweepId === '' ? [...state.sweeps.values()].at(-1) : state.sweeps.get(sweepId);
  if (sweep !== undefined) return sweep;
  throw new WattsweepError('SWEEP_NOT_FOUND', missing(state, sweepId));
}

function missing({ sweeps, deleted }: State, sweepId: string): string {
  if (sweepId === '') return 'there is no sweep';
  if (deleted.has(sweepId)) return `the sweep ${sweepId} was deleted`;
  // A sweep's id is made of its name: whoever types the name means the newest of them.
  const meant = [...sweeps.values()].findLast(
    ({ sweepId: id, spec }) => id.startsWith(sweepId) || spec.name === sweepId,
  );
  return `there is no sweep ${sweepId}${meant === undefined ? '' : `; did you mean ${meant.sweepId}?`}`;
}

/** @throws TRIAL_NOT_FOUND */
export function trialIn(sweep: SweepState, trialId: string): TrialRecord {
  const trial = sweep.trials.get(trialId);
  if (trial === undefined)
    throw new WattsweepError('TRIAL_NOT_FOUND', `the sweep ${sweep.sweepId} has no trial ${trialId}`);
  return trial;
}
