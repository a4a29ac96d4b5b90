/**
 * The interface of a stopping rule. `absorb` takes an accepted report into what the rule remembers and is part of the
 * fold; `judge` says what follows from it, always with a reason, and is asked only once, when the report arrives: its
 * answer is recorded. Non-finite objectives never reach a rule: such a trial is `diverged` before any ranking.
 */
import type { Decision } from '../events.js';
import type { Parameters } from '../spec.js';

/** What a rule sees of a report, finite values only. */
export interface Observation {
  readonly trialId: string;
  /** Position in the search's order. */
  readonly index: number;
  readonly parameters: Parameters;
  /** 1-based. */
  readonly repeat: number;
  readonly epoch: number;
  /** Epoch of the trial's report before this one; 0 for the first. */
  readonly previousEpoch: number;
  /** The objective, as reported. */
  readonly value: number;
  /** The objective of the last `count` reports, oldest first, this one included. */
  readonly recent: (count: number) => readonly number[];
  /** The last `count` reports with their costs, oldest first, this one included. */
  readonly history: (count: number) => readonly Point[];
}

/** A report with what its epochs cost; null where it was not read. */
export interface Point {
  readonly epoch: number;
  readonly value: number;
  readonly joules: number | null;
  readonly seconds: number | null;
}

/** What a rule remembers: plain JSON data that only the rule itself reads. */
export type RuleState = Record<string, unknown>;

/** A first run, as promotions see it. */
export interface Contender {
  readonly trialId: string;
  /** Position in the search's order. */
  readonly index: number;
  /** Which first run it is, in the order of their making. */
  readonly made: number;
  readonly parameters: Parameters;
  /** Last accepted epoch; 0 before the first. */
  readonly epoch: number;
  /** Epochs of the rung at which it waits, its slot given back; null while it runs or is queued. */
  readonly waitsAt: number | null;
  /** Whether it has not ended. */
  readonly isOpen: boolean;
}

/** How far the sweep's search has come. */
export interface Field {
  /** First runs that were made so far. */
  readonly made: number;
  /** No first run will be made any more. */
  readonly isSearchDone: boolean;
}

export interface Promotion {
  readonly trialId: string;
  readonly decision: Decision;
}

/** The trials of a sweep whose rule pauses them: who goes on, and who never will. To be told of every change. */
export interface Waiting {
  /** A report that the rule has absorbed; then comes {@link note}. */
  absorbed(observation: Observation): void;
  /** A first run that is new or has changed, in the order of their making. */
  note(trial: Contender): void;
  /** The trial that takes the next free slot; null when none may. */
  next(field: Field): Promotion | null;
  /** Trials that wait and can no longer be promoted; each is told once, and ends by it. */
  hopeless(field: Field): readonly { readonly trialId: string; readonly reason: string }[];
}

export interface StoppingRule {
  /** Name and version, recorded with each decision, e.g. `asha@1`. */
  readonly id: string;
  init(): RuleState;
  absorb(state: RuleState, observation: Observation): void;
  /**
   * Empty when the rule has nothing to say of this epoch. With several decisions (a report that passed several rungs)
   * each stands in the log, and one `stop` among them is enough.
   */
  judge(state: RuleState, observation: Observation): readonly Decision[];
  /** Only of rules that pause trials: an empty look-up over what the rule remembers. */
  readonly promotions?: (state: RuleState) => Waiting;
}

/** Makes "larger is better" of both goals. */
export const signOf = (goal: 'maximize' | 'minimize'): 1 | -1 => (goal === 'maximize' ? 1 : -1);

/** A metric as reasons print it. */
export const show = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : value.toFixed(4);
