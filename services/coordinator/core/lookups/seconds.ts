/**
 * Seconds of a trial's accepted epochs, added up once: a look-up beside the state, for limits that ask at each epoch. From
 * any state it is made anew. The sum is the same to the bit whenever it is asked for, since it is taken in the epochs' order.
 */
import type { EpochRecord } from '../events.js';
import type { TrialRecord } from '../state.js';

interface Known {
  readonly count: number;
  readonly last: EpochRecord | undefined;
  readonly seconds: number | null;
}

const known = new WeakMap<TrialRecord, Known>();
const NOTHING: Known = { count: 0, last: undefined, seconds: null };

/** Of training and evaluation, as far as they were read; null while nothing was. */
export function epochSecondsOf(trial: TrialRecord): number | null {
  const { epochs } = trial;
  const before = known.get(trial) ?? NOTHING;
  // Epochs are only ever added, unless the trial has begun anew.
  const isSame = before.count <= epochs.length && epochs[before.count - 1] === before.last;
  const { count } = isSame ? before : NOTHING;
  let { seconds } = isSame ? before : NOTHING;
  for (let i = count; i < epochs.length; i += 1) {
    const { trainSeconds = null, evaluationSeconds = null } = epochs[i] ?? {};
    for (const reading of [trainSeconds, evaluationSeconds])
      if (reading !== null) seconds = (seconds ?? 0) + reading;
  }
  known.set(trial, { count: epochs.length, last: epochs.at(-1), seconds });
  return seconds;
}
