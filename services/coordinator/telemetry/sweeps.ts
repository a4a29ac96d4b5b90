/** Samples of sweeps and trials: the ledger's state, joined with the latest steps. */
import { metrics } from '../../../proto/metrics.js';
import type { AttemptEndClass, TrialState } from '../core/events.js';
import type { State, SweepState, SweepStatus, TrialRecord } from '../core/state.js';
import type { LiveTelemetry } from './live.js';
import { methodLabel, namesOf } from './names.js';
import type { Snapshot } from './registry.js';
import type { SweepTally, Tallies } from './tally.js';

/** A finished trial is shown for two scrapes of the usual 15 s, so that its last values are seen. */
const FINISHED_TRIAL_MS = 30_000;
const FINISHED_SWEEP_MS = 3_600_000;
const MAX_SWEEPS = 100;
const MAX_TRIAL_SERIES = 1000;

const sweepStates = namesOf<SweepStatus>({ running: 1, paused: 1, stopping: 1, completed: 1, stopped: 1 });
const trialStates = namesOf<TrialState>({
  queued: 1,
  starting: 1,
  running: 1,
  paused: 1,
  succeeded: 1,
  stopped: 1,
  diverged: 1,
  failed: 1,
  cancelled: 1,
});
const endClasses = namesOf<AttemptEndClass>({
  completed: 1,
  stopped: 1,
  diverged: 1,
  crashed: 1,
  out_of_memory: 1,
  refused: 1,
  preempted: 1,
  lost: 1,
});

export function addSweeps(
  snapshot: Snapshot,
  state: State,
  tallies: Tallies,
  live: LiveTelemetry,
  nowMs: number,
): void {
  const byState = new Map<string, number>(sweepStates.map((name) => [name, 0]));
  for (const { status } of state.sweeps.values()) byState.set(status, (byState.get(status) ?? 0) + 1);
  for (const [name, count] of byState) snapshot.add(metrics.sweeps, { state: name }, count);

  const shown = shownSweeps(state, nowMs);
  tallies.keepOnly(new Set(shown.map(({ sweepId }) => sweepId)));
  let room = MAX_TRIAL_SERIES;
  for (const sweep of shown) {
    const tally = tallies.update(sweep);
    addSweep(snapshot, sweep, tally);
    for (const trial of shownTrials(sweep, nowMs).slice(0, room)) {
      addTrial(snapshot, sweep, trial, tally, live, nowMs);
      room -= 1;
    }
  }
}

/** Open sweeps and those that ended lately; the youngest ones when there are too many. */
function shownSweeps(state: State, nowMs: number): readonly SweepState[] {
  return [...state.sweeps.values()]
    .filter(({ endedAt }) => endedAt === null || nowMs - endedAt < FINISHED_SWEEP_MS)
    .sort((a, b) => Number(a.endedAt !== null) - Number(b.endedAt !== null) || b.submittedAt - a.submittedAt)
    .slice(0, MAX_SWEEPS);
}

/** Trials that hold a slot, then those that ended just now, the latest first. */
function shownTrials(sweep: SweepState, nowMs: number): readonly TrialRecord[] {
  const ended: { readonly trial: TrialRecord; readonly endedAt: number }[] = [];
  const active: TrialRecord[] = [];
  for (const trial of sweep.trials.values()) {
    if (sweep.active.has(trial.trialId)) active.push(trial);
    else if (
      trial.endedAt !== null &&
      trial.attempts.length > 0 &&
      nowMs - trial.endedAt < FINISHED_TRIAL_MS
    ) {
      ended.push({ trial, endedAt: trial.endedAt });
    }
  }
  ended.sort((a, b) => b.endedAt - a.endedAt);
  return [...active, ...ended.map(({ trial }) => trial)];
}

function addSweep(snapshot: Snapshot, sweep: SweepState, tally: SweepTally): void {
  const { spec } = sweep;
  const id = { sweep: sweep.sweepId };
  snapshot.add(
    metrics.sweepInfo,
    {
      ...id,
      name: spec.name,
      recipe: spec.recipe,
      objective: spec.objective.metric,
      goal: spec.objective.goal,
      rule: spec.stopping.rule,
    },
    1,
  );
  snapshot.add(metrics.sweepSubmitted, id, sweep.submittedAt / 1000);
  snapshot.add(metrics.sweepTarget, id, spec.objective.target);
  snapshot.add(metrics.sweepBestObjective, id, tally.best);
  snapshot.add(metrics.epochsAccepted, id, tally.epochs);
  snapshot.add(metrics.sweepSpentEnergy, id, sweep.spentJoules);
  for (const [method, joules] of byLabel(tally.joulesByMethod)) {
    snapshot.add(metrics.sweepEnergy, { ...id, method }, joules);
  }
  for (const { rule, action, count } of tally.decisions.values()) {
    snapshot.add(metrics.decisions, { ...id, rule, action }, count);
  }

  const byState = new Map<string, number>(trialStates.map((name) => [name, 0]));
  const byClass = new Map<string, number>(endClasses.map((name) => [name, 0]));
  let assigned = 0;
  for (const trial of sweep.trials.values()) {
    byState.set(trial.state, (byState.get(trial.state) ?? 0) + 1);
    assigned += trial.attempts.length;
    for (const { end } of trial.attempts) if (end) byClass.set(end.class, (byClass.get(end.class) ?? 0) + 1);
  }
  for (const [name, count] of byState) snapshot.add(metrics.trials, { ...id, state: name }, count);
  for (const [name, count] of byClass) snapshot.add(metrics.attemptsEnded, { ...id, class: name }, count);
  snapshot.add(metrics.attemptsAssigned, id, assigned);
}

function addTrial(
  snapshot: Snapshot,
  sweep: SweepState,
  trial: TrialRecord,
  tally: SweepTally,
  live: LiveTelemetry,
  nowMs: number,
): void {
  const id = { sweep: sweep.sweepId, trial: trial.trialId };
  const attempt = trial.attempts.at(-1);
  const epoch = trial.epochs.at(-1);
  const sums = tally.trials.get(trial.trialId);
  snapshot.add(metrics.trialEpoch, id, epoch?.epoch ?? 0);
  snapshot.add(metrics.trialObjective, id, epoch?.metrics[sweep.spec.objective.metric]);
  snapshot.add(metrics.trialBestObjective, id, sums?.best);
  if (sums !== undefined && sums.epochs > 0) {
    snapshot.add(metrics.trialEnergy, { ...id, method: methodLabel(sums.method) }, sums.joules);
  }
  if (attempt === undefined) return;
  if (sweep.active.has(trial.trialId)) {
    snapshot.add(metrics.trialInfo, { ...id, trainer: attempt.trainerId, slot: attempt.slotId }, 1);
  }
  const { sweepId } = sweep;
  const { trialId } = trial;
  const step = live.step({ sweepId, trialId, attempt: attempt.attempt, termId: attempt.termId }, nowMs);
  snapshot.add(metrics.trialStep, id, step?.step ?? epoch?.step);
  snapshot.add(metrics.trialLoss, id, firstOf(LOSS, step?.metrics, epoch?.metrics));
  snapshot.add(metrics.trialLearningRate, id, firstOf(LEARNING_RATE, step?.metrics, epoch?.metrics));
  const samplesPerSecond = firstOf(SAMPLES, step?.metrics) ?? epoch?.samplesPerSecond;
  snapshot.add(metrics.trialSamplesPerSecond, id, samplesPerSecond ?? firstOf(SAMPLES, epoch?.metrics));
}

/** What recipes and programs call these, best first. */
const LOSS = ['loss', 'train_loss', 'train_cross_entropy'];
const LEARNING_RATE = ['learning_rate', 'lr'];
const SAMPLES = ['samples_per_second'];

type Values = Readonly<Record<string, number>> | undefined;

/** The first of the names that the first of the sources knows. */
function firstOf(names: readonly string[], ...sources: readonly Values[]): number | undefined {
  for (const source of sources) {
    for (const name of names) if (source?.[name] !== undefined) return source[name];
  }
  return undefined;
}

/** Sums by the label that the methods are shown under. */
function byLabel(joulesByMethod: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [method, joules] of joulesByMethod) {
    const label = methodLabel(method);
    sums.set(label, (sums.get(label) ?? 0) + joules);
  }
  return sums;
}
