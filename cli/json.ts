/**
 * The JSON that `--json` prints of API answers: states as lower-case words, parameters as objects, and null (not 0, not
 * a missing key) for what was not read or has not happened.
 */
import type {
  Decision,
  ExplainTrialResponse,
  Sweep,
  Trainer,
  Trial,
  WatchSweepResponse,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import { parametersOf, sweepStateName, trainerStateName, trialStateName } from './sweep-view.js';

const orNull = (text: string): string | null => (text === '' ? null : text);

export const sweepJson = (sweep: Sweep) => ({
  sweepId: sweep.sweepId,
  name: sweep.name,
  state: sweepStateName(sweep.state),
  objective: { metric: sweep.objectiveMetric, goal: sweep.objectiveGoal },
  trialsTotal: sweep.trialsTotal ?? null,
  trialsByState: sweep.trialsByState,
  maxEpochs: sweep.maxEpochs,
  stoppingRule: sweep.stoppingRule === '' ? null : sweep.stoppingRule,
  submittedAtUnixMs: sweep.submittedAtUnixMs,
  endedAtUnixMs: sweep.endedAtUnixMs === 0 ? null : sweep.endedAtUnixMs,
  joules: sweep.joules ?? null,
  reason: sweep.reason,
  waiting: orNull(sweep.waiting),
  tags: sweep.tags,
  smoke: sweep.smoke === '' ? null : sweep.smoke,
  webhook: orNull(sweep.webhook),
  archived: sweep.archived,
  priority: sweep.priority,
  maxParallel: sweep.maxParallel ?? null,
  budget: { energyWh: sweep.budgetEnergyWh ?? null, hours: sweep.budgetHours ?? null },
  best:
    sweep.bestObjective === undefined ? null : { trialId: sweep.bestTrialId, objective: sweep.bestObjective },
});

export const trialJson = (trial: Trial) => ({
  trialId: trial.trialId,
  state: trialStateName(trial.state),
  parameters: parametersOf(trial),
  pointHash: trial.pointHash,
  repeat: trial.repeat,
  attempts: trial.attempts,
  epoch: trial.epoch,
  objective: trial.objective ?? null,
  bestObjective: trial.bestObjective ?? null,
  bestEpoch: trial.bestEpoch === 0 ? null : trial.bestEpoch,
  seconds: trial.seconds ?? null,
  joules: trial.joules ?? null,
  meanWatts: trial.meanWatts ?? null,
  powerMethod: trial.powerMethod === '' ? null : trial.powerMethod,
  trainerId: trial.trainerId === '' ? null : trial.trainerId,
  slotId: trial.slotId === '' ? null : trial.slotId,
  deviceModel: trial.deviceModel === '' ? null : trial.deviceModel,
  reason: trial.reason,
  errorCode: trial.errorCode === '' ? null : trial.errorCode,
});

export const trainerJson = (trainer: Trainer) => ({
  trainerId: trainer.trainerId,
  state: trainerStateName(trainer.state),
  address: trainer.address,
  slots: trainer.slots.map((slot) => ({
    ...slot,
    holder: orNull(slot.holder),
    quarantine: orNull(slot.quarantine),
    memoryBytes: slot.memoryBytes ?? null,
  })),
  powerMethod: orNull(trainer.powerMethod),
  draining: trainer.draining,
  drained: trainer.drained,
  quarantine:
    trainer.quarantine === ''
      ? null
      : { reason: trainer.quarantine, sinceUnixMs: trainer.quarantinedAtUnixMs },
  failures: trainer.failures,
  held: trainer.held,
});

export const updateJson = (update: WatchSweepResponse) => ({
  sweep: update.sweep === undefined ? null : sweepJson(update.sweep),
  trials: update.trials.map(trialJson),
  messages: update.messages,
  trainers: update.trainers.map(trainerJson),
});

export const decisionJson = (decision: Decision) => ({
  rule: decision.rule,
  action: decision.action,
  epoch: decision.epoch,
  rung: decision.rung ?? null,
  value: decision.value ?? null,
  rank: decision.rank ?? null,
  n: decision.n ?? null,
  threshold: decision.threshold ?? null,
  reason: decision.reason,
});

export const explanationJson = (answer: ExplainTrialResponse) => ({
  trial: answer.trial === undefined ? null : trialJson(answer.trial),
  decisions: answer.decisions.map(decisionJson),
  history: answer.history,
});
