/** What an attempt's way through the ledger does to the state: its assignment, its epochs, its end. */
import type { EventOf } from '../events.js';
import { noteContender } from '../lookups/contenders.js';
import { addJoules } from '../joules.js';
import { bookEnd } from './failures.js';
import { dequeue, enqueue } from '../lookups/lanes.js';
import { noteTrainer } from '../lookups/openings.js';
import { noteRun } from '../lookups/runs.js';
import { attemptOf, observationOf, ruleOf, sweepOf, trialOf } from '../find.js';
import { signOf } from '../stopping/rule.js';
import type { State } from '../state.js';

export function assignAttempt(state: State, event: EventOf<'attempt_assigned'>): void {
  const sweep = sweepOf(state, event.sweepId);
  const trial = trialOf(state, event);
  const trainer = state.trainers.get(event.trainerId);
  const slot = trainer?.info.slots.find(({ slotId }) => slotId === event.slotId);
  const furtherSlotIds = event.furtherSlotIds ?? [];
  trial.attempts.push({
    attempt: event.attempt,
    trainerId: event.trainerId,
    slotId: event.slotId,
    furtherSlotIds,
    slotModel: slot?.deviceModel ?? '',
    slotMemoryBytes: slot?.memoryBytes ?? null,
    assignedAt: event.at,
    startedAt: null,
    endedAt: null,
    deviceKind: '',
    deviceModel: '',
    engine: {},
    trainableParameters: null,
    stepsPerEpoch: null,
    maxEpochs: sweep.spec.maxEpochs,
    term: state.term,
    termId: trainer?.info.knowsTermIds === true ? state.termId : '',
    mayLackReports: false,
    stopMode: null,
    end: null,
    lastEpoch: 0,
    acceptedJoules: null,
    wastedJoules: null,
  });
  trial.state = 'starting';
  dequeue(sweep, trial);
  noteRun(sweep, trial);
  state.assignments++;
  sweep.lastAssigned = state.assignments;
  sweep.active.add(event.trialId);
  sweep.firstAssignedAt ??= event.at;
  const { sweepId, trialId, attempt } = event;
  if (trainer === undefined) return;
  const holder = { sweepId, trialId, attempt };
  for (const slotId of [event.slotId, ...furtherSlotIds]) trainer.holders.set(slotId, holder);
  noteTrainer(state, trainer);
}

export function acceptEpoch(state: State, event: EventOf<'epoch_accepted'>): void {
  const sweep = sweepOf(state, event.sweepId);
  const trial = trialOf(state, event);
  const attempt = attemptOf(state, event);
  const { record } = event;
  trial.epochs.push(record);
  sweep.hasEpoch = true;
  if (trial.state === 'starting') trial.state = 'running';
  attempt.lastEpoch = record.epoch;
  attempt.mayLackReports = false;
  const joules = addJoules(record.train.joules, record.evaluation.joules);
  attempt.acceptedJoules = addJoules(attempt.acceptedJoules, joules);
  sweep.spentJoules = addJoules(sweep.spentJoules, joules);
  const observation = observationOf(sweep, trial);
  if (!Number.isFinite(observation.value)) {
    noteContender(sweep, trial);
    return;
  }
  ruleOf(sweep).absorb(sweep.rule, observation);
  noteContender(sweep, trial, observation);
  const { value, epoch } = observation;
  const sign = signOf(sweep.spec.objective.goal);
  if (sweep.best === null || sign * value > sign * sweep.best.value)
    sweep.best = { trialId: trial.trialId, value, epoch };
}

export function endAttempt(state: State, event: EventOf<'attempt_ended'>): void {
  const sweep = sweepOf(state, event.sweepId);
  const attempt = attemptOf(state, event);
  const fault = event.fault ?? null;
  attempt.endedAt = event.at;
  attempt.end = {
    fault,
    class: event.class,
    code: event.code,
    message: event.message,
    seconds: event.seconds,
    energy: event.energy,
  };
  if (event.energy.joules !== null) {
    const booked = addJoules(attempt.acceptedJoules, attempt.wastedJoules) ?? 0;
    const rest = Math.max(0, event.energy.joules - booked);
    attempt.wastedJoules = addJoules(attempt.wastedJoules, rest);
    sweep.spentJoules = addJoules(sweep.spentJoules, rest);
  }
  sweep.active.delete(event.trialId);
  bookEnd(state, event.sweepId, trialOf(state, event), { ...event, fault });
  // It was let run again while this attempt was still ending.
  if (trialOf(state, event).state === 'queued') enqueue(sweep, trialOf(state, event));
  const trainer = state.trainers.get(attempt.trainerId);
  if (trainer === undefined) return;
  const { trainerId, instanceId } = trainer.info;
  if (fault === 'pairing') sweep.unfit.set(trainerId, { instanceId, message: event.message });
  for (const slotId of [attempt.slotId, ...attempt.furtherSlotIds]) {
    const holder = trainer.holders.get(slotId);
    const holds =
      holder?.sweepId === event.sweepId &&
      holder.trialId === event.trialId &&
      holder.attempt === event.attempt;
    if (holds) trainer.holders.delete(slotId);
  }
  noteTrainer(state, trainer);
  if (event.slotRetryAt !== null) trainer.blockedUntil.set(attempt.slotId, event.slotRetryAt);
}
