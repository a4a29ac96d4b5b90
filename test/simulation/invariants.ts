/** What holds once a run has come to rest. */
import { isDeepStrictEqual } from 'node:util';
import {
  fold,
  hasEnded,
  initialState,
  type LedgerEvent,
  type State,
  type SweepState,
  type TrialRecord,
} from '../../services/coordinator/core/index.js';
import { freeze } from '../support/core.js';
import type { SimAttempt } from './box.js';
import { checkDecisions } from './quiet.js';
import type { Recorder } from './recorder.js';
import { keyText, type SimTrainer } from './trainer.js';

type Blame = (text: string) => void;

export function isFoldOf(state: State, events: readonly LedgerEvent[]): boolean {
  const folded = initialState();
  for (const event of events) fold(folded, event);
  return freeze(folded) === freeze(state);
}

export function checkRest(state: State, recorder: Recorder, trainers: readonly SimTrainer[]): void {
  const { events } = recorder;
  const blame = (text: string): void => recorder.blame(text);
  if (!isFoldOf(state, events)) blame('the fold of the ledger is not the state');
  const stopped = new Set(
    events.flatMap((event) => (event.type === 'sweep_stopping' ? [event.sweepId] : [])),
  );
  for (const sweep of state.sweeps.values()) checkSweep(sweep, stopped.has(sweep.sweepId), blame);
  for (const { info, holders } of state.trainers.values())
    if (holders.size > 0) blame(`slots of ${info.trainerId} are held by nobody's attempts`);
  for (const { box, setup, isGone } of trainers) {
    for (const { id } of isGone ? [] : box.running) blame(`${setup.trainerId} still runs ${id}`);
    for (const attempt of box.attempts.values()) checkReports(state, recorder, setup.trainerId, attempt);
  }
  checkDecisions(state, events, blame);
}

function checkSweep(sweep: SweepState, wasStopped: boolean, blame: Blame): void {
  const { sweepId, spec, points, exhaustedAt, status, trials } = sweep;
  for (const trial of trials.values()) {
    if (!hasEnded(trial)) blame(`${sweepId}/${trial.trialId} never ended`);
    else checkEnd(sweep, wasStopped, trial, blame);
  }
  if (sweep.active.size + sweep.queue.size + sweep.openTrials > 0)
    blame(`${sweepId} ended with trials active, waiting or open`);
  if (status === 'completed') {
    const firstRuns = exhaustedAt ?? points;
    const most = firstRuns * spec.repeats;
    const least = spec.stopping.rule === 'none' ? most : firstRuns + sweep.earnedRepeats.length;
    if (trials.size < least || trials.size > most || sweep.earnedRepeats.length > 0)
      blame(`${sweepId} completed with ${trials.size} trials of ${least} to ${most}`);
  }
  checkEnergy(sweep, blame);
}

/** Each end has a cause that stands in the ledger. */
function checkEnd(
  { sweepId, spec }: SweepState,
  wasStopped: boolean,
  trial: TrialRecord,
  blame: Blame,
): void {
  const last = trial.epochs.at(-1);
  const has = (action: string): boolean => trial.decisions.some((decision) => decision.action === action);
  const value = last?.metrics[spec.objective.metric] ?? NaN;
  const isSound = {
    succeeded: has('succeed') || (last?.epoch ?? 0) >= spec.maxEpochs,
    stopped: has('stop') || trial.waitsAtRung !== null || wasStopped,
    diverged: has('diverge') && !Number.isFinite(value),
    failed: trial.attempts.at(-1)?.end !== null && trial.code !== '',
    cancelled: wasStopped,
    queued: false,
    starting: false,
    running: false,
    paused: false,
  }[trial.state];
  if (!isSound) blame(`${sweepId}/${trial.trialId} is ${trial.state} without a cause: ${trial.reason}`);
}

/** Every joule is spent once: in an accepted epoch or wasted, and all of it by the sweep. */
function checkEnergy({ sweepId, trials, spentJoules }: SweepState, blame: Blame): void {
  let sum = 0;
  for (const { trialId, attempts } of trials.values())
    for (const { attempt, acceptedJoules, wastedJoules, end } of attempts) {
      const own = (acceptedJoules ?? 0) + (wastedJoules ?? 0);
      sum += own;
      const told = end?.energy.joules ?? null;
      if (told !== null && Math.abs(own - told) > 1e-3)
        blame(`${sweepId}/${trialId}#${attempt} used ${told} J, and ${own} J are booked`);
    }
  if (Math.abs(sum - (spentJoules ?? 0)) > 1e-3)
    blame(`${sweepId} spent ${String(spentJoules)} J; its attempts ${sum} J`);
}

/**
 * An attempt that told its end itself was live until then: all that it reported before is in the ledger. One that began
 * before the ledger was restored may be none of its attempts.
 */
function checkReports(state: State, recorder: Recorder, trainerId: string, attempt: SimAttempt): void {
  const { id, key, spool, request, begunAt } = attempt;
  const blame = (text: string): void => recorder.blame(text);
  if (state.deleted.has(key.sweepId)) return;
  const trial = state.sweeps.get(key.sweepId)?.trials.get(key.trialId);
  const recorded = trial?.attempts.find((one) => one.attempt === key.attempt && one.termId === key.termId);
  if (recorded === undefined && begunAt < (recorder.restoredAt ?? 0)) return;
  if (trial === undefined || recorded === undefined) {
    blame(`${id} ran and is not in the ledger`);
    return;
  }
  if (recorded.trainerId !== trainerId) blame(`${id} ran on ${trainerId}, and not on ${recorded.trainerId}`);
  if (request.parametersJson !== JSON.stringify(trial.parameters))
    blame(`${id} trained ${request.parametersJson}, and its trial has other parameters`);
  // What one attempt's report lost is not made good by another's: epochs rise.
  const names = trial.attempts.map((one) => keyText({ ...key, ...one }));
  const accepted = new Map(trial.epochs.map((record) => [record.epoch, record]));
  const last = trial.epochs.at(-1)?.epoch ?? 0;
  for (const { fact } of spool) {
    if (fact?.$case !== 'epoch') continue;
    const record = accepted.get(fact.value.epoch);
    if (record !== undefined) {
      if (!isDeepStrictEqual(record.metrics, fact.value.metrics))
        blame(`${id}: epoch ${record.epoch} is in the ledger with another value`);
    } else if (
      recorded.end?.seconds !== null &&
      !(hasEnded(trial) && fact.value.epoch > last) &&
      !recorder.isGone(names, fact.value.epoch)
    ) {
      blame(`${id}: epoch ${fact.value.epoch} was reported by the live attempt and is lost`);
    }
  }
}

/**
 * Without faults that keep a word from arriving, a sweep overshoots its energy budget by at most one epoch a slot, and
 * what a slot draws until its attempt has obeyed.
 */
export function checkOvershoot(state: State, trainers: readonly SimTrainer[], blame: Blame): void {
  const LONGEST_STOP_MS = 2_200;
  const slack = trainers.reduce(
    (sum, { setup }) =>
      sum + (setup.slots * (setup.watts ?? 0) * (1.4 * setup.epochMs + LONGEST_STOP_MS)) / 1_000,
    0,
  );
  for (const { sweepId, limits, spentJoules } of state.sweeps.values()) {
    const { energyWh } = limits;
    if (energyWh !== null && (spentJoules ?? 0) > energyWh * 3_600 + slack)
      blame(
        `${sweepId} spent ${String(spentJoules)} J of ${energyWh * 3_600} J; one epoch a slot is ${slack} J`,
      );
  }
}
