/**
 * What the stopping rule of a sweep would have decided of curves that are known already: the reports are fed, in their
 * order of arrival, to the fold and the rules that a real sweep runs. Reports of a trial that has been ended were never
 * made; they are what stopping saves.
 */
import type { Decision, Energy, EpochRecord } from '../events.js';
import { fold } from '../fold/index.js';
import { hasEnded, sweepOf, trialOf } from '../find.js';
import { judgeNewest } from '../sweeps/judge.js';
import { hopelessIn, nextPromotion } from '../placement/promotion.js';
import type { StoppingSpec, SweepSpec } from '../spec.js';
import { initialState, type SweepState, type TrialRecord } from '../state.js';
import { signOf } from '../stopping/rule.js';

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
  readonly action: 'continue' | 'stop' | 'pause' | 'promote';
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
  /** Trials that did not come to the end of their curve. */
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
const UNREAD: Energy = { joules: null, meanWatts: null, method: '', absentReason: 'not in the curves' };

export function simulate(spec: SweepSpec, reports: readonly CurveReport[]): Simulation {
  const world = new CurveWorld(spec, new Set(reports.map(({ trial }) => trial)).size);
  for (const report of reports) if (report.epoch <= spec.maxEpochs) world.take(report);
  const run = new Set(world.run);
  const spared = reports.filter(
    (report) => report.epoch <= spec.maxEpochs && !run.has(report) && !world.duplicates.has(report),
  );
  return {
    decisions: world.decisions,
    trials: new Set(reports.map(({ trial }) => trial)).size,
    ranksTogether: ranksWithin(spec.stopping),
    ended: new Set(spared.map(({ trial }) => trial)).size,
    spent: costOf(world.run),
    saved: costOf(spared),
    best: bestOf(spec, reports, run),
  };
}

/** A sweep whose trials report what curves say. Slots are never short: whoever may be promoted is, at once. */
class CurveWorld {
  readonly decisions: SimulatedDecision[] = [];
  readonly run: CurveReport[] = [];
  readonly duplicates = new Set<CurveReport>();
  readonly #state = initialState();
  readonly #sweep: SweepState;
  /** Reports that come once the trial is promoted. */
  readonly #held = new Map<string, CurveReport[]>();

  constructor(
    private readonly spec: SweepSpec,
    points: number,
  ) {
    const facts = { sweepId: SWEEP_ID, spec, source: '', requestId: '', points, at: 0 };
    fold(this.#state, { type: 'sweep_submitted', ...facts });
    this.#sweep = sweepOf(this.#state, SWEEP_ID);
  }

  take(report: CurveReport): void {
    const trial = this.#sweep.trials.get(report.trial) ?? this.#begin(report.trial);
    if (hasEnded(trial)) return;
    if (trial.state === 'paused') {
      this.#held.set(report.trial, [...(this.#held.get(report.trial) ?? []), report]);
      return;
    }
    const last = trial.epochs.at(-1)?.epoch ?? 0;
    if (report.epoch <= last) {
      this.duplicates.add(report);
      this.decisions.push(
        silent(report, `a duplicate: epoch ${last} was accepted before, and nothing changes`),
      );
      return;
    }
    this.run.push(report);
    this.#judge(report, trial);
    this.#promote();
  }

  #begin(trialId: string): TrialRecord {
    const index = this.#sweep.trials.size;
    const ref = { sweepId: SWEEP_ID, trialId };
    const point = { index, parameters: {}, pointHash: trialId, repeat: 1, seed: this.spec.seed };
    fold(this.#state, { type: 'trial_created', ...ref, ...point, at: 0 });
    this.#assign(trialId);
    return trialOf(this.#state, ref);
  }

  #assign(trialId: string): void {
    const ref = { sweepId: SWEEP_ID, trialId };
    const attempt = trialOf(this.#state, ref).attempts.length + 1;
    const place = { trainerId: TRAINER_ID, slotId: trialId, resumeFrom: '' };
    fold(this.#state, { type: 'attempt_assigned', ...ref, attempt, ...place, at: 0 });
  }

  #judge(report: CurveReport, trial: TrialRecord): void {
    const ref = { sweepId: SWEEP_ID, trialId: trial.trialId };
    const attempt = trial.attempts.length;
    const record = recordOf(report, this.spec.objective.metric);
    fold(this.#state, { type: 'epoch_accepted', ...ref, attempt, record, at: 0 });
    const { decisions, end } = judgeNewest(this.#sweep, trial);
    for (const decision of decisions) fold(this.#state, { type: 'decision_made', ...ref, decision, at: 0 });
    if (end !== null) fold(this.#state, { type: 'trial_ended', ...ref, ...end, at: 0 });
    else if (decisions.some(({ action }) => action === 'pause')) {
      const facts = { class: 'stopped' as const, code: '', message: '', seconds: null, energy: UNREAD };
      fold(this.#state, { type: 'attempt_ended', ...ref, attempt, ...facts, slotRetryAt: null, at: 0 });
      fold(this.#state, { type: 'trial_paused', ...ref, at: 0 });
    }
    if (decisions.length === 0) this.decisions.push(silent(report, 'no rule looks at this epoch'));
    for (const decision of decisions) this.#show(decision, trial.trialId, report.value);
  }

  #show(decision: Decision, trial: string, reported: number): void {
    const { action } = decision;
    const isEnd = action === 'diverge' || action === 'succeed';
    const value = action === 'diverge' ? reported : decision.value;
    this.decisions.push({ ...decision, trial, value, action: isEnd ? 'stop' : action });
  }

  #promote(): void {
    for (;;) {
      for (const { trialId, reason } of hopelessIn(this.#sweep)) {
        const end = { state: 'stopped' as const, reason, code: '' };
        fold(this.#state, { type: 'trial_ended', sweepId: SWEEP_ID, trialId, ...end, at: 0 });
      }
      const promotion = nextPromotion(this.#sweep);
      if (promotion === null) return;
      const { trialId, decision } = promotion;
      const ref = { sweepId: SWEEP_ID, trialId };
      fold(this.#state, { type: 'decision_made', ...ref, decision, at: 0 });
      fold(this.#state, { type: 'trial_requeued', ...ref, reason: decision.reason, notBefore: 0, at: 0 });
      this.#assign(trialId);
      this.#show(decision, trialId, NaN);
      const held = this.#held.get(trialId) ?? [];
      this.#held.delete(trialId);
      for (const report of held) this.take(report);
    }
  }
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
  return {
    epoch,
    step: epoch,
    metrics: { [metric]: value },
    trainSeconds: seconds,
    evaluationSeconds: null,
    dataWaitSeconds: null,
    samplesPerSecond: null,
    train: joules === null ? UNREAD : { joules, meanWatts: null, method: 'curves', absentReason: '' },
    evaluation: UNREAD,
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
