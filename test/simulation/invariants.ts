/** What holds once a run has come to rest. */
import { isDeepStrictEqual } from 'node:util';
import {
  decide,
  fold,
  hasEnded,
  initialState,
  type LedgerEvent,
  type State,
  type SweepSpec,
  type TrialRecord,
} from '../../services/coordinator/core/index.js';
import { freeze, trainer } from '../support/core.js';
import type { Recorder } from './recorder.js';
import type { SimAttempt, SimTrainer } from './trainer.js';

export function isFoldOf(state: State, events: readonly LedgerEvent[]): boolean {
  const folded = initialState();
  for (const event of events) fold(folded, event);
  return freeze(folded) === freeze(state);
}

export function checkRest(state: State, recorder: Recorder, trainers: readonly SimTrainer[]): void {
  const { events } = recorder;
  if (!isFoldOf(state, events)) recorder.blame('the fold of the ledger is not the state');
  for (const sweep of state.sweeps.values()) {
    if (sweep.trials.size !== sweep.points)
      recorder.blame(`${sweep.sweepId} made ${sweep.trials.size} of ${sweep.points} trials`);
    for (const trial of sweep.trials.values())
      if (!hasEnded(trial)) recorder.blame(`${sweep.sweepId}/${trial.trialId} never ended`);
    if (sweep.active.size + sweep.queue.size + sweep.openTrials > 0)
      recorder.blame(`${sweep.sweepId} ended with trials active, waiting or open`);
  }
  for (const { info, holders } of state.trainers.values())
    if (holders.size > 0) recorder.blame(`slots of ${info.trainerId} are held by nobody's attempts`);
  for (const { running, setup } of trainers)
    for (const { id } of running) recorder.blame(`${setup.trainerId} still runs ${id}`);
  for (const { attempts } of trainers)
    for (const attempt of attempts.values()) checkReports(state, recorder, attempt);
  checkDecisions(state, events, recorder);
}

/** An attempt that told its end itself was live until then: all that it reported before is in the ledger. */
function checkReports(state: State, recorder: Recorder, { id, key, spool }: SimAttempt): void {
  const trial = state.sweeps.get(key.sweepId)?.trials.get(key.trialId);
  const recorded = trial?.attempts[key.attempt - 1];
  if (trial === undefined || recorded === undefined) {
    recorder.blame(`${id} ran and is not in the ledger`);
    return;
  }
  const accepted = new Map(trial.epochs.map((record) => [record.epoch, record]));
  const last = trial.epochs.at(-1)?.epoch ?? 0;
  for (const { fact } of spool) {
    if (fact?.$case !== 'epoch') continue;
    const record = accepted.get(fact.value.epoch);
    if (record !== undefined) {
      if (!isDeepStrictEqual(record.metrics, fact.value.metrics))
        recorder.blame(`${id}: epoch ${record.epoch} is in the ledger with another value`);
    } else if (recorded.end?.seconds !== null && !(hasEnded(trial) && fact.value.epoch > last)) {
      recorder.blame(`${id}: epoch ${fact.value.epoch} was reported by the live attempt and is lost`);
    }
  }
}

/** A core without faults, with a slot for every trial, that hears the accepted epochs in their order decides the same. */
function checkDecisions(state: State, events: readonly LedgerEvent[], recorder: Recorder): void {
  const quiet = initialState();
  const at = 1;
  const settings = { retries: { crashed: 0, lost: 0, preempted: 0 } };
  const trials = [...state.sweeps.values()].reduce((sum, sweep) => sum + sweep.points, 0);
  decide(quiet, { type: 'lead', ledgerId: 'quiet', coordinatorId: 'quiet', settings, at });
  decide(quiet, { type: 'trainer_seen', trainer: trainer('all', trials), at });
  for (const { sweepId, spec } of state.sweeps.values())
    decide(quiet, { type: 'submit', sweepId, spec: bare(spec), source: '', requestId: '', at });
  for (const event of events) {
    if (event.type !== 'epoch_accepted') continue;
    const { sweepId, trialId, record } = event;
    decide(quiet, {
      type: 'reported',
      trainerId: 'all',
      report: { kind: 'epoch', sweepId, trialId, attempt: 1, record },
      at,
    });
  }
  for (const { sweepId, trials: ours } of state.sweeps.values()) {
    for (const trial of ours.values()) {
      const other = quiet.sweeps.get(sweepId)?.trials.get(trial.trialId);
      if (other === undefined || !isDeepStrictEqual(other.parameters, trial.parameters))
        recorder.blame(`${sweepId}/${trial.trialId} has other parameters than without faults`);
      else if (!isDeepStrictEqual(other.decisions, trial.decisions))
        recorder.blame(`${sweepId}/${trial.trialId} was decided otherwise than without faults`);
      else if (isDecided(trial) && (other.state !== trial.state || other.reason !== trial.reason))
        recorder.blame(`${sweepId}/${trial.trialId} is ${trial.state}, without faults ${other.state}`);
    }
  }
}

/** As many at a time as there are slots: what is new is made in the same order. */
const bare = (spec: SweepSpec): SweepSpec => ({ ...spec, maxParallel: null });

const isDecided = (trial: TrialRecord): boolean =>
  trial.state === 'succeeded' || trial.state === 'stopped' || trial.code === 'NON_FINITE';
