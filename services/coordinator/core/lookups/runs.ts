/**
 * How many trials of each setting ran on which device model and on which box: a look-up beside the state, for blocked
 * sweeps. The fold keeps it up; from any state it is made anew.
 */
import type { SweepState, TrialRecord } from '../state.js';

/** How many trials of a setting ran where: by device model and by box. */
type Runs = Map<string, Map<string, number>>;
const known = new WeakMap<SweepState, Runs>();

const placesOf = ({ attempts }: TrialRecord, index: number): readonly string[] => {
  const attempt = attempts.at(index);
  return attempt === undefined ? [] : [`model ${attempt.slotModel}`, `box ${attempt.trainerId}`];
};

function count(runs: Runs, { pointHash }: TrialRecord, places: readonly string[], by: 1 | -1): void {
  let ofPoint = runs.get(pointHash);
  if (ofPoint === undefined) runs.set(pointHash, (ofPoint = new Map<string, number>()));
  for (const place of places) ofPoint.set(place, (ofPoint.get(place) ?? 0) + by);
}

/** To be told after each assignment: the trial's last attempt is the new one, and the only one that counts. */
export function noteRun(sweep: SweepState, trial: TrialRecord): void {
  const runs = known.get(sweep);
  if (runs === undefined) return;
  count(runs, trial, placesOf(trial, -2), -1);
  count(runs, trial, placesOf(trial, -1), 1);
}

function runsOf(sweep: SweepState): Runs {
  const found = known.get(sweep);
  if (found !== undefined) return found;
  const runs: Runs = new Map();
  for (const trial of sweep.trials.values()) count(runs, trial, placesOf(trial, -1), 1);
  known.set(sweep, runs);
  return runs;
}

/** Other trials of the setting that ran at a place: `model NAME` or `box ID`. */
export function othersAt(sweep: SweepState, trial: TrialRecord, place: string): number {
  const own = placesOf(trial, -1).includes(place) ? 1 : 0;
  return (runsOf(sweep).get(trial.pointHash)?.get(place) ?? 0) - own;
}
