/**
 * A sweep as a person watches it: the fold of what `WatchSweep` streams, and the rows that tables show of it. Pure; the
 * drawing is in `live.ts`.
 */
import {
  type Sweep,
  SweepState,
  type Trainer,
  type TrainerState,
  type Trial,
  TrialState,
  type WatchSweepResponse,
  sweepStateToJSON,
  trainerStateToJSON,
  trialStateToJSON,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import {
  UNREAD,
  formatEnergy,
  formatObjective,
  formatParameter,
  formatSeconds,
  formatWattHours,
  formatWatts,
} from './format.js';
import type { Column } from './output.js';

export interface SweepView {
  readonly sweep: Sweep | null;
  readonly trials: ReadonlyMap<string, Trial>;
  readonly trainers: ReadonlyMap<string, Trainer>;
}

export const emptyView: SweepView = { sweep: null, trials: new Map(), trainers: new Map() };

export function applyUpdate(view: SweepView, update: WatchSweepResponse): SweepView {
  const trials = new Map(view.trials);
  for (const trial of update.trials) trials.set(trial.trialId, trial);
  const trainers = new Map(view.trainers);
  for (const trainer of update.trainers) trainers.set(trainer.trainerId, trainer);
  return { sweep: update.sweep ?? view.sweep, trials, trainers };
}

/** `TrialState.RUNNING` as `running`: one word for one thing, in proto, tables and JSON. */
export const trialStateName = (state: TrialState): string => word(trialStateToJSON(state));
export const sweepStateName = (state: SweepState): string => word(sweepStateToJSON(state));
export const trainerStateName = (state: TrainerState): string => word(trainerStateToJSON(state));

const word = (name: string): string => name.replace(/^[A-Z]+_STATE_/, '').toLowerCase();

export const hasEnded = (sweep: Sweep): boolean =>
  sweep.state === SweepState.COMPLETED || sweep.state === SweepState.STOPPED;

export function parametersOf(trial: Trial): Readonly<Record<string, unknown>> {
  const parsed: unknown = trial.parametersJson === '' ? {} : JSON.parse(trial.parametersJson);
  return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
}

/** Names of the parameters that differ between trials, in the order in which they first stand. */
export function varyingParameters(trials: Iterable<Trial>): string[] {
  const seen = new Map<string, Set<string>>();
  let count = 0;
  for (const trial of trials) {
    count += 1;
    for (const [name, value] of Object.entries(parametersOf(trial))) {
      const values = seen.get(name) ?? new Set<string>();
      // A parameter that only some branches have varies as well: absence counts as a value.
      if (count > 1 && !seen.has(name)) values.add('(absent)');
      seen.set(name, values.add(JSON.stringify(value)));
    }
    for (const [name, values] of seen) if (!(name in parametersOf(trial))) values.add('(absent)');
  }
  return [...seen].filter(([, values]) => values.size > 1).map(([name]) => name);
}

/** Mean seconds of an accepted epoch, evaluation included; null before the first, and where no epoch tells its time. */
export const secondsPerEpoch = (trial: Trial): number | null =>
  trial.epoch > 0 && (trial.seconds ?? 0) > 0 ? (trial.seconds ?? 0) / trial.epoch : null;

const ACTIVE = new Set([TrialState.RUNNING, TrialState.STARTING]);

/** Running first, then what waits, then what ended; the best first among those that have a value. */
export function byInterest(goal: string): (a: Trial, b: Trial) => number {
  const group = (trial: Trial): number => {
    if (ACTIVE.has(trial.state)) return 0;
    if (trial.state === TrialState.QUEUED || trial.state === TrialState.PAUSED) return 2;
    return 1;
  };
  const sign = goal === 'minimize' ? 1 : -1;
  return (a, b) =>
    group(a) - group(b) ||
    compareObjective(a.bestObjective, b.bestObjective, sign) ||
    a.trialId.localeCompare(b.trialId, 'en', { numeric: true });
}

/** Finite values first; NaN and nothing are last, whatever the goal. */
function compareObjective(a: number | undefined, b: number | undefined, sign: number): number {
  const finite = (x: number | undefined): x is number => x !== undefined && Number.isFinite(x);
  if (finite(a) && finite(b)) return sign * (a - b);
  return Number(finite(b)) - Number(finite(a));
}

export function trialColumns(view: SweepView): Column[] {
  const metric = view.sweep?.objectiveMetric ?? 'objective';
  return [
    { title: 'TRIAL' },
    { title: 'STATE' },
    ...varyingParameters(view.trials.values()).map((name): Column => ({ title: name, align: 'right' })),
    { title: 'EPOCH', align: 'right' },
    { title: `BEST ${metric}`, align: 'right' },
    { title: 'S/EPOCH', align: 'right' },
    { title: 'WATTS', align: 'right' },
    { title: 'ENERGY', align: 'right' },
    { title: 'ON' },
    { title: 'WHY' },
  ];
}

export function trialRow(view: SweepView, trial: Trial): string[] {
  const parameters = parametersOf(trial);
  const seconds = secondsPerEpoch(trial);
  const retried = trial.attempts > 1 ? ` #${trial.attempts}` : '';
  return [
    trial.trialId,
    trialStateName(trial.state) + retried,
    ...varyingParameters(view.trials.values()).map((name) =>
      name in parameters ? formatParameter(parameters[name]) : UNREAD,
    ),
    `${trial.epoch}/${view.sweep?.maxEpochs ?? '?'}`,
    trial.bestObjective === undefined
      ? UNREAD
      : `${formatObjective(trial.bestObjective)}${trial.bestEpoch > 0 ? ` @${trial.bestEpoch}` : ''}`,
    seconds === null ? UNREAD : seconds.toFixed(1),
    formatWatts(trial.meanWatts) + (trial.powerMethod === 'estimate' ? ' (estimate)' : ''),
    formatEnergy(trial.joules),
    trial.slotId === '' ? UNREAD : `${trial.trainerId}/${trial.slotId}`,
    trial.reason,
  ];
}

/** `max_parallel 3, budget.energy_wh none, ...`, as `wattsweep set` takes them. */
export const limitsLine = ({ maxParallel, budgetEnergyWh, budgetHours, priority }: Sweep): string =>
  [
    `max_parallel ${maxParallel ?? 'none'}`,
    `budget.energy_wh ${budgetEnergyWh ?? 'none'}`,
    `budget.hours ${budgetHours ?? 'none'}`,
    `priority ${priority}`,
  ].join(', ');

/** `3 running, 5 queued, ...`, `142.0 s`, `0.41 Wh`, `trainers 2 alive`. */
export function summaryLine(view: SweepView, nowMs: number): string {
  const sweep = view.sweep;
  if (sweep === null) return 'waiting for the sweep';
  const states = Object.entries(sweep.trialsByState)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${n} ${state}`);
  const ofTotal = sweep.trialsTotal === undefined ? '' : ` of ${sweep.trialsTotal}`;
  const elapsedMs = (sweep.endedAtUnixMs > 0 ? sweep.endedAtUnixMs : nowMs) - sweep.submittedAtUnixMs;
  return [
    `${sweep.sweepId} ${sweepStateName(sweep.state)}`,
    `trials${ofTotal}: ${states.join(', ') || 'none yet'}`,
    formatSeconds(Math.max(0, elapsedMs) / 1000),
    sweep.joules === undefined ? 'no power reading' : formatWattHours(sweep.joules),
    trainersPhrase(view),
    ...(sweep.waiting === '' ? [] : [`waiting: ${sweep.waiting}`]),
  ].join('  |  ');
}

function trainersPhrase(view: SweepView): string {
  const counts = new Map<string, number>();
  for (const trainer of view.trainers.values()) {
    const name = trainer.quarantine === '' ? trainerStateName(trainer.state) : 'quarantined';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  if (counts.size === 0) return 'no trainer';
  return `trainers: ${[...counts].map(([state, n]) => `${n} ${state}`).join(', ')}`;
}

const ENDED = new Set([
  TrialState.SUCCEEDED,
  TrialState.STOPPED,
  TrialState.DIVERGED,
  TrialState.FAILED,
  TrialState.CANCELLED,
]);

/**
 * An update as lines for a log. An epoch and an end are told with their numbers; of what lies between, the coordinator's
 * own sentences tell more (where to, why again), so a change of state stands alone only where there is none.
 */
export function updateLines(before: SweepView, after: SweepView, update: WatchSweepResponse): string[] {
  const lines: string[] = [];
  const told = new Set<string>();
  for (const trial of update.trials) {
    const previous = before.trials.get(trial.trialId);
    if (previous?.state === trial.state && previous.epoch === trial.epoch) continue;
    const sentences = update.messages.filter((message) => message.startsWith(`${trial.trialId} `));
    const ended = ENDED.has(trial.state);
    for (const sentence of sentences) {
      told.add(sentence);
      // The line of the end has the same reason, and the numbers.
      if (!ended || !sentence.includes(trial.reason)) lines.push(sentence);
    }
    const progressed = trial.epoch > (previous?.epoch ?? 0);
    if (ended || progressed || sentences.length === 0) lines.push(trialLine(trial, after));
  }
  return [...lines, ...update.messages.filter((message) => !told.has(message))];
}

function trialLine(trial: Trial, view: SweepView): string {
  const parameters = parametersOf(trial);
  const values = varyingParameters(view.trials.values())
    .filter((name) => name in parameters)
    .map((name) => `${name}=${formatParameter(parameters[name])}`)
    .join(' ');
  const seconds = secondsPerEpoch(trial);
  const metric = view.sweep?.objectiveMetric ?? 'objective';
  return [
    trial.trialId,
    trialStateName(trial.state),
    ...(values === '' ? [] : [values]),
    ...(trial.epoch > 0 ? [`epoch ${trial.epoch}/${view.sweep?.maxEpochs ?? '?'}`] : []),
    ...(trial.objective === undefined ? [] : [`${metric} ${formatObjective(trial.objective)}`]),
    ...(seconds === null ? [] : [`${seconds.toFixed(1)} s/epoch`]),
    ...(trial.meanWatts === undefined ? [] : [formatWatts(trial.meanWatts)]),
    ...(trial.reason === '' ? [] : [trial.reason]),
  ].join('  ');
}
