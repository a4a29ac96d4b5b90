/**
 * The first runs of sweeps whose rule pauses trials: a look-up beside the state, so that a free slot finds the trial that
 * is promoted without looking at all of them. The fold keeps it up; from any state it is made anew.
 */
import type { SweepState, TrialRecord } from '../state.js';
import type { Observation, StoppingRule, Waiting } from '../stopping/index.js';

interface Known {
  readonly waiting: Waiting;
  /** First runs that it was told of. */
  readonly made: Map<string, number>;
}

const known = new WeakMap<SweepState, Known>();

/** To be told after each change of a trial; of an epoch, with what the rule has absorbed. */
export function noteContender(sweep: SweepState, trial: TrialRecord, absorbed?: Observation): void {
  const look = known.get(sweep);
  if (look === undefined || trial.repeat > 1) return;
  if (absorbed !== undefined) look.waiting.absorbed(absorbed);
  note(look, trial);
}

function note({ waiting, made }: Known, trial: TrialRecord): void {
  const { trialId, index, parameters } = trial;
  const order = made.get(trialId) ?? made.size;
  made.set(trialId, order);
  waiting.note({
    trialId,
    index,
    made: order,
    parameters,
    epoch: trial.epochs.at(-1)?.epoch ?? 0,
    waitsAt: trial.state === 'paused' ? trial.waitsAtRung : null,
    isOpen: trial.endedAt === null,
  });
}

/** The sweep has another spec now, and its trials perhaps other positions: the look-up is made anew. */
export const forgetContenders = (sweep: SweepState): void => void known.delete(sweep);

/** Who waits in the sweep; null when its rule pauses nobody. */
export function waitingIn(sweep: SweepState, { promotions }: StoppingRule): Waiting | null {
  if (promotions === undefined) return null;
  let look = known.get(sweep);
  if (look === undefined) {
    look = { waiting: promotions(sweep.rule), made: new Map() };
    for (const trial of sweep.trials.values()) if (trial.repeat === 1) note(look, trial);
    known.set(sweep, look);
  }
  return look.waiting;
}
