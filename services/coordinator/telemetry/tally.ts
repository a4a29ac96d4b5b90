/**
 * Sums over a sweep's epochs and decisions, kept up from scrape to scrape: each accepted epoch is looked at once, so a
 * scrape of a large sweep costs its trials, not its epochs.
 */
import type { DecisionAction, Energy, EpochRecord } from '../core/events.js';
import type { SweepState, TrialRecord } from '../core/state.js';

export interface TrialTally {
  /** How many epochs and decisions are in the sums. */
  epochs: number;
  decisions: number;
  /** Joules of all epochs; null when one of them was not read. */
  joules: number | null;
  /** What read the last epoch's power; empty when nothing did. */
  method: string;
  /** Best finite objective; null before the first. */
  best: number | null;
  ended: boolean;
}

export interface SweepTally {
  readonly trials: Map<string, TrialTally>;
  readonly joulesByMethod: Map<string, number>;
  readonly decisions: Map<string, { readonly rule: string; readonly action: DecisionAction; count: number }>;
  epochs: number;
  best: number | null;
}

/** Told of each duration once. */
export interface DurationObserver {
  epoch(sweepId: string, seconds: number): void;
  trial(sweepId: string, seconds: number): void;
  /** The sweep is no longer exported. */
  forget(sweepId: string): void;
}

export class Tallies {
  readonly #sweeps = new Map<string, SweepTally>();
  readonly #observer: DurationObserver;

  constructor(observer: DurationObserver) {
    this.#observer = observer;
  }

  /** Brings the sums of one sweep up to its state. */
  update(sweep: SweepState): SweepTally {
    let tally = this.#sweeps.get(sweep.sweepId);
    if (tally === undefined) {
      tally = { trials: new Map(), joulesByMethod: new Map(), decisions: new Map(), epochs: 0, best: null };
      this.#sweeps.set(sweep.sweepId, tally);
    }
    for (const trial of sweep.trials.values()) this.#updateTrial(sweep, trial, tally);
    return tally;
  }

  /** Forgets all sweeps but these. One that comes back is counted anew from its first epoch. */
  keepOnly(sweepIds: ReadonlySet<string>): void {
    for (const sweepId of this.#sweeps.keys()) {
      if (sweepIds.has(sweepId)) continue;
      this.#sweeps.delete(sweepId);
      this.#observer.forget(sweepId);
    }
  }

  #updateTrial(sweep: SweepState, trial: TrialRecord, tally: SweepTally): void {
    let mine = tally.trials.get(trial.trialId);
    if (mine === undefined) {
      mine = { epochs: 0, decisions: 0, joules: 0, method: '', best: null, ended: false };
      tally.trials.set(trial.trialId, mine);
    }
    // A trial that runs again has lost its diverged epoch.
    mine.epochs = Math.min(mine.epochs, trial.epochs.length);
    for (; mine.epochs < trial.epochs.length; mine.epochs++) {
      const record = trial.epochs[mine.epochs];
      if (record !== undefined) this.#addEpoch(sweep, record, mine, tally);
    }
    for (; mine.decisions < trial.decisions.length; mine.decisions++) {
      const decision = trial.decisions[mine.decisions];
      if (decision === undefined) continue;
      const key = `${decision.rule} ${decision.action}`;
      const known = tally.decisions.get(key);
      if (known === undefined) {
        tally.decisions.set(key, { rule: decision.rule, action: decision.action, count: 1 });
      } else {
        known.count += 1;
      }
    }
    if (trial.endedAt === null) mine.ended = false;
    else if (!mine.ended) {
      mine.ended = true;
      const first = trial.attempts[0];
      if (first !== undefined) {
        this.#observer.trial(sweep.sweepId, Math.max(0, trial.endedAt - first.assignedAt) / 1000);
      }
    }
  }

  #addEpoch(sweep: SweepState, record: EpochRecord, mine: TrialTally, tally: SweepTally): void {
    tally.epochs += 1;
    const { metric, goal } = sweep.spec.objective;
    const value = record.metrics[metric];
    if (value !== undefined && Number.isFinite(value)) {
      mine.best = better(mine.best, value, goal);
      tally.best = better(tally.best, value, goal);
    }
    const parts = record.evaluationSeconds === null ? [record.train] : [record.train, record.evaluation];
    const joules = parts.map((part) => part.joules);
    mine.joules = joules.reduce(
      (sum, part) => (sum === null || part === null ? null : sum + part),
      mine.joules,
    );
    mine.method = record.train.method;
    for (const part of parts) addEnergy(tally.joulesByMethod, part);
    if (record.trainSeconds !== null) {
      this.#observer.epoch(sweep.sweepId, record.trainSeconds + (record.evaluationSeconds ?? 0));
    }
  }
}

const better = (best: number | null, value: number, goal: 'maximize' | 'minimize'): number => {
  if (best === null) return value;
  return goal === 'maximize' ? Math.max(best, value) : Math.min(best, value);
};

function addEnergy(byMethod: Map<string, number>, { joules, method }: Energy): void {
  if (joules === null) return;
  byMethod.set(method, (byMethod.get(method) ?? 0) + joules);
}
