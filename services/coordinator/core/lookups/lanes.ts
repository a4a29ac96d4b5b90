/**
 * Trials that wait, in lanes of equal demands: a look-up beside the state, so that a free slot finds its trial without
 * passing all those that wait for a larger device. The fold keeps it up; from any state it is made anew.
 */
import type { SweepState, TrialRecord } from '../state.js';

/** By memory that a device must have more of, in bytes; -1 for any. */
type Lanes = Map<number, Set<string>>;

const known = new WeakMap<SweepState, Lanes>();

const laneOf = ({ memoryAboveBytes }: TrialRecord): number => memoryAboveBytes ?? -1;

function add(lanes: Lanes, trial: TrialRecord): void {
  const lane = lanes.get(laneOf(trial));
  if (lane === undefined) lanes.set(laneOf(trial), new Set([trial.trialId]));
  else lane.add(trial.trialId);
}

/** The trial waits from now on. Its demands change only while it does not. */
export function enqueue(sweep: SweepState, trial: TrialRecord): void {
  sweep.queue.add(trial.trialId);
  const lanes = known.get(sweep);
  if (lanes !== undefined) add(lanes, trial);
}

export function dequeue(sweep: SweepState, trial: TrialRecord): void {
  sweep.queue.delete(trial.trialId);
  const lanes = known.get(sweep);
  const lane = lanes?.get(laneOf(trial));
  lane?.delete(trial.trialId);
  if (lane?.size === 0) lanes?.delete(laneOf(trial));
}

/** The first trial that waits and that `takes` accepts, among those that a device of so much memory may take. */
export function firstWaiting(
  sweep: SweepState,
  memoryBytes: number | null,
  takes: (trial: TrialRecord) => boolean,
): TrialRecord | null {
  if (sweep.queue.size === 0) return null;
  let lanes = known.get(sweep);
  if (lanes === undefined) {
    lanes = new Map();
    for (const trialId of sweep.queue) {
      const trial = sweep.trials.get(trialId);
      if (trial !== undefined) add(lanes, trial);
    }
    known.set(sweep, lanes);
  }
  for (const [above, lane] of lanes) {
    if (above >= 0 && (memoryBytes ?? 0) <= above) continue;
    for (const trialId of lane) {
      const trial = sweep.trials.get(trialId);
      if (trial !== undefined && takes(trial)) return trial;
    }
  }
  return null;
}

/** Whether any trial waits that `takes` accepts, wherever it may go. */
export const someWaiting = (sweep: SweepState, takes: (trial: TrialRecord) => boolean): boolean =>
  firstWaiting(sweep, Infinity, takes) !== null;
