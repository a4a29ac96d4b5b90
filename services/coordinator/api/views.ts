/** The core's state as the API shows it. What was not read stays absent, never 0. */
import {
  SweepState as SweepStateView,
  TrainerState as TrainerStateView,
  TrialState as TrialStateView,
  type Decision as DecisionView,
  type ReplaySweepResponse,
  type Sweep,
  type Trainer,
  type Trial,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import {
  waitingReason,
  webhookHost,
  type NamedAttempt,
  type Decision,
  type Replay,
  type State,
  type SweepState,
  type TrainerState,
  type TrialRecord,
  type TrialState,
} from '../core/index.js';
import { epochJoules, epochSeconds, meanWatts, powerMethods, sumOrNull } from '../report/analysis/cost.js';

const SWEEP_STATES: Readonly<Record<SweepState['status'], SweepStateView>> = {
  running: SweepStateView.RUNNING,
  paused: SweepStateView.PAUSED,
  stopping: SweepStateView.STOPPING,
  completed: SweepStateView.COMPLETED,
  stopped: SweepStateView.STOPPED,
};

const TRIAL_STATES: Readonly<Record<TrialState, TrialStateView>> = {
  queued: TrialStateView.QUEUED,
  starting: TrialStateView.STARTING,
  running: TrialStateView.RUNNING,
  paused: TrialStateView.PAUSED,
  succeeded: TrialStateView.SUCCEEDED,
  stopped: TrialStateView.STOPPED,
  diverged: TrialStateView.DIVERGED,
  failed: TrialStateView.FAILED,
  cancelled: TrialStateView.CANCELLED,
};

const TRAINER_STATES: Readonly<Record<TrainerState['status'], TrainerStateView>> = {
  alive: TrainerStateView.ALIVE,
  suspect: TrainerStateView.SUSPECT,
  lost: TrainerStateView.LOST,
};

const orAbsent = (value: number | null): number | undefined => value ?? undefined;

export function sweepView(sweep: SweepState, state: State): Sweep {
  const { spec } = sweep;
  const trialsByState: Record<string, number> = {};
  for (const { state } of sweep.trials.values()) trialsByState[state] = (trialsByState[state] ?? 0) + 1;
  // Under a stopping rule only points that do well earn their repeats.
  const known = Number.isFinite(sweep.points) && (spec.repeats === 1 || spec.stopping.rule === 'none');
  return {
    sweepId: sweep.sweepId,
    name: spec.name,
    state: SWEEP_STATES[sweep.status],
    objectiveMetric: spec.objective.metric,
    objectiveGoal: spec.objective.goal,
    trialsTotal: known ? sweep.points * spec.repeats : undefined,
    trialsByState,
    maxEpochs: spec.maxEpochs,
    stoppingRule: spec.stopping.rule === 'none' ? '' : spec.stopping.rule,
    submittedAtUnixMs: sweep.submittedAt,
    endedAtUnixMs: sweep.endedAt ?? 0,
    joules: orAbsent(sweep.spentJoules),
    reason: sweep.reason,
    waiting: waitingReason(state, sweep),
    tags: sweep.tags,
    archived: sweep.archived,
    priority: sweep.limits.priority,
    maxParallel: orAbsent(sweep.limits.maxParallel),
    budgetEnergyWh: orAbsent(sweep.limits.energyWh),
    budgetHours: orAbsent(sweep.limits.hours),
    bestObjective: sweep.best?.value,
    bestTrialId: sweep.best?.trialId ?? '',
    webhook: webhookText(sweep),
    smoke: sweep.smoke === null ? '' : sweep.smoke.isOpen ? 'running' : sweep.smoke.message,
  };
}

/** `webhook of HOST: 3 delivered, 1 waits`; the rest of the URL may be a secret. */
function webhookText({ spec, notify }: SweepState): string {
  if (spec.notify === undefined) return '';
  const { count, delivered, givenUp, lastFault } = notify;
  const waiting = count - delivered - givenUp;
  const parts = [
    `${delivered} delivered`,
    ...(waiting > 0 ? [`${waiting} not taken yet`] : []),
    ...(givenUp > 0 ? [`${givenUp} given up, the last one: ${lastFault}`] : []),
  ];
  return `webhook of ${webhookHost(spec.notify.webhook)}: ${parts.join(', ')}`;
}

export function trialView(sweep: SweepState, trial: TrialRecord): Trial {
  const { metric, goal } = sweep.spec.objective;
  const { epochs } = trial;
  const attempt = trial.attempts.at(-1);
  const last = epochs.at(-1);
  let best: { value: number; epoch: number } | null = null;
  for (const record of epochs) {
    const value = record.metrics[metric];
    if (value === undefined || !Number.isFinite(value)) continue;
    if (best === null || (goal === 'maximize' ? value > best.value : value < best.value)) {
      best = { value, epoch: record.epoch };
    }
  }
  const seconds = epochs.map(epochSeconds);
  const joules = epochs.map(epochJoules);
  const total = sumOrNull(joules);
  return {
    trialId: trial.trialId,
    state: TRIAL_STATES[trial.state],
    parametersJson: JSON.stringify(trial.parameters),
    pointHash: trial.pointHash,
    repeat: trial.repeat,
    attempts: trial.attempts.length,
    epoch: last?.epoch ?? 0,
    objective: last?.metrics[metric],
    bestObjective: best?.value,
    bestEpoch: best?.epoch ?? 0,
    seconds: orAbsent(sumOrNull(seconds)),
    joules: orAbsent(total),
    meanWatts: orAbsent(
      total === null ? null : meanWatts({ epochs: epochs.map((e) => e.epoch), seconds, joules }),
    ),
    powerMethod: powerMethods(epochs).join(', '),
    trainerId: attempt?.trainerId ?? '',
    slotId: attempt?.slotId ?? '',
    deviceModel: trial.attempts.findLast((a) => a.deviceModel !== '')?.deviceModel ?? '',
    reason: trial.reason,
    errorCode: trial.code,
  };
}

/** `SWEEP/TRIAL#ATTEMPT`, with the id of the term where it is told: this ledger may have given the number once more. */
export const heldName = ({ sweepId, trialId, attempt, termId = '' }: NamedAttempt): string =>
  `${sweepId}/${trialId}#${attempt}${termId === '' ? '' : `.${termId}`}`;

export const trainerView = (trainer: TrainerState): Trainer => ({
  trainerId: trainer.info.trainerId,
  state: TRAINER_STATES[trainer.status],
  address: trainer.info.address,
  slots: trainer.info.slots.map(({ slotId, deviceModel, memoryBytes, sharedBy, cpus }) => {
    const holder = trainer.holders.get(slotId);
    const quarantine = trainer.slotQuarantines.get(slotId)?.reason ?? '';
    const name = holder === undefined ? '' : heldName(holder);
    const memory = memoryBytes ?? undefined;
    return { slotId, deviceModel, holder: name, quarantine, memoryBytes: memory, sharedBy, cpus };
  }),
  powerMethod: trainer.info.powerMethod,
  draining: trainer.info.draining,
  drained: trainer.drained,
  quarantine: trainer.quarantine?.reason ?? '',
  quarantinedAtUnixMs: trainer.quarantine?.since ?? 0,
  held: [...trainer.held.values()].map((one) => ({
    ledgerId: one.ledgerId,
    attempt: heldName(one),
    slotIds: one.slotIds,
    sinceUnixMs: one.since,
    stopping: one.stopRequested,
  })),
  failures: trainer.failures.length,
});

export function replayView(replay: Replay): ReplaySweepResponse {
  const found = replay.finish();
  const { sweepId, reports, decisions } = replay;
  const viewOf = (decision: Decision | null): DecisionView | undefined =>
    decision === null ? undefined : decisionView(decision);
  const difference =
    found === null
      ? undefined
      : { ...found, recorded: viewOf(found.recorded), recomputed: viewOf(found.recomputed) };
  return { sweepId, reports, decisions, difference };
}

export const decisionView = (decision: Decision): DecisionView => ({
  rule: decision.rule,
  action: decision.action,
  epoch: decision.epoch,
  rung: orAbsent(decision.rung),
  value: orAbsent(decision.value),
  rank: orAbsent(decision.rank),
  n: orAbsent(decision.n),
  threshold: orAbsent(decision.threshold),
  reason: decision.reason,
});
