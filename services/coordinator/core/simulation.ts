/**
 * What the stopping rule of a sweep would have decided of curves that are known already: the reports are fed, in their
 * order of arrival, to the fold and the rules that a real sweep runs. Reports of a trial that has been ended were never
 * made; they are what stopping saves.
 */
import type { Decision, Energy, EpochRecord } from './events.js';
import { fold, hasEnded, sweepOf, trialOf } from './fold.js';
import { judgeNewest } from './judge.js';
import type { StoppingSpec, SweepSpec } from './spec.js';
import { initialState, type TrialRecord } from './state.js';
import { signOf } from './stopping/rule.js';

/** A report of a curve. */
export interface CurveReport {
  readonly trial: string;
  /** From 1 on. */
  readonly epoch: number;
  /** NaN for one that is not finite or missing. */
  readonly value: number;
  /** Of this epoch; null when not known. */
  readonly seconds: number | null;
  readonly joules: number | null;
}

/** One answer to a report; a report to which no rule has anything to say continues, by the rule null. */
export interface SimulatedDecision extends Omit<Decision, 'action' | 'rule'> {
  readonly trial: string;
  readonly rule: string | null;
  readonly action: 'continue' | 'stop';
}

/** Sums over reports; null when none of them has a reading. */
interface Cost {
  readonly epochs: number;
  readonly seconds: number | null;
  readonly joules: number | null;
}

export interface Simulation {
  readonly decisions: readonly SimulatedDecision[];
  readonly trials: number;
  /** `compareWithin` is set, but curves have no parameters to tell trials apart. */
  readonly ranksTogether: boolean;
  /** Trials that a rule, or a value that is not finite, ended before the end of their curve. */
  readonly ended: number;
  readonly spent: Cost;
  readonly saved: Cost;
  /** The trial with the best value of all curves up to `maxEpochs`; null when no value is finite. */
  readonly best: {
    readonly trial: string;
    readonly epoch: number;
    readonly value: number;
    /** Whether it still ran at that epoch. */
    readonly survived: boolean;
  } | null;
}

const SWEEP_ID = 'simulation';
const TRAINER_ID = 'curves';

export function simulate(spec: SweepSpec, reports: readonly CurveReport[]): Simulation {
  const state = initialState();
  const at = 0;
  fold(state, { type: 'sweep_submitted', sweepId: SWEEP_ID, spec, source: '', requestId: '', points: 0, at });
  const sweep = sweepOf(state, SWEEP_ID);
  const begin = (trialId: string): TrialRecord => {
    const ref = { sweepId: SWEEP_ID, trialId };
    const point = {
      index: sweep.trials.size,
      parameters: {},
      pointHash: trialId,
      repeat: 1,
      seed: spec.seed,
    };
    fold(state, { type: 'trial_created', ...ref, ...point, at });
    const place = { attempt: 1, trainerId: TRAINER_ID, slotId: trialId, resumeFrom: '' };
    fold(state, { type: 'attempt_assigned', ...ref, ...place, at });
    return trialOf(state, ref);
  };
  const take = (report: CurveReport, trial: TrialRecord): SimulatedDecision[] => {
    const ref = { sweepId: SWEEP_ID, trialId: trial.trialId };
    const record = recordOf(report, spec.objective.metric);
    fold(state, { type: 'epoch_accepted', ...ref, attempt: 1, record, at });
    const { decisions: made, end } = judgeNewest(sweep, trial);
    for (const decision of made) fold(state, { type: 'decision_made', ...ref, decision, at });
    if (end !== null) fold(state, { type: 'trial_ended', ...ref, ...end, at });
    if (made.length === 0) return [silent(report, 'no rule looks at this epoch')];
    return made.map((decision) => ({
      ...decision,
      trial: trial.trialId,
      value: decision.action === 'diverge' ? report.value : decision.value,
      action: decision.action === 'continue' ? 'continue' : 'stop',
    }));
  };

  const decisions: SimulatedDecision[] = [];
  const run: CurveReport[] = [];
  const spared: CurveReport[] = [];
  for (const report of reports) {
    const trial = sweep.trials.get(report.trial) ?? begin(report.trial);
    if (report.epoch > spec.maxEpochs) continue;
    if (hasEnded(trial)) {
      spared.push(report);
      continue;
    }
    const last = trial.epochs.at(-1)?.epoch ?? 0;
    if (report.epoch <= last) {
      decisions.push(silent(report, `a duplicate: epoch ${last} was accepted before, and nothing changes`));
      continue;
    }
    run.push(report);
    decisions.push(...take(report, trial));
  }
  const ended = new Set(spared.map(({ trial }) => trial)).size;
  return {
    decisions,
    trials: sweep.trials.size,
    ranksTogether: ranksWithin(spec.stopping),
    ended,
    spent: costOf(run),
    saved: costOf(spared),
    best: bestOf(spec, reports, new Set(run)),
  };
}

function ranksWithin(rule: StoppingSpec): boolean {
  if (rule.rule === 'composite') return rule.rules.some(ranksWithin);
  return rule.rule === 'asha' && rule.compareWithin.length > 0;
}

const silent = ({ trial, epoch, value }: CurveReport, reason: string): SimulatedDecision => ({
  trial,
  epoch,
  value,
  rule: null,
  action: 'continue',
  rung: null,
  rank: null,
  n: null,
  threshold: null,
  reason,
});

function recordOf({ epoch, value, seconds, joules }: CurveReport, metric: string): EpochRecord {
  const unread: Energy = { joules: null, meanWatts: null, method: '', absentReason: 'not in the curves' };
  return {
    epoch,
    step: epoch,
    metrics: { [metric]: value },
    trainSeconds: seconds,
    evaluationSeconds: null,
    dataWaitSeconds: null,
    samplesPerSecond: null,
    train: joules === null ? unread : { joules, meanWatts: null, method: 'curves', absentReason: '' },
    evaluation: unread,
    gpuUtilization: null,
    at: 0,
  };
}

function costOf(reports: readonly CurveReport[]): Cost {
  const sum = (readings: readonly (number | null)[]): number | null =>
    readings.reduce((total, reading) => (reading === null ? total : (total ?? 0) + reading), null);
  return {
    epochs: reports.length,
    seconds: sum(reports.map(({ seconds }) => seconds)),
    joules: sum(reports.map(({ joules }) => joules)),
  };
}

function bestOf(
  { objective, maxEpochs }: SweepSpec,
  reports: readonly CurveReport[],
  run: ReadonlySet<CurveReport>,
): Simulation['best'] {
  const sign = signOf(objective.goal);
  const known = reports.filter(({ epoch, value }) => epoch <= maxEpochs && Number.isFinite(value));
  const [first, ...rest] = known;
  if (first === undefined) return null;
  const best = rest.reduce((a, b) => (sign * b.value > sign * a.value ? b : a), first);
  const { trial, epoch, value } = best;
  return { trial, epoch, value, survived: run.has(best) };
}
