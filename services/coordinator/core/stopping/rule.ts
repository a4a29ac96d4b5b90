/**
 * The interface of a stopping rule. `absorb` takes an accepted report into what the rule remembers and is part of the
 * fold; `judge` says what follows from it, always with a reason, and is asked only once, when the report arrives: its
 * answer is recorded. Non-finite objectives never reach a rule: such a trial is `diverged` before any ranking.
 */
import type { Decision } from '../events.js';
import type { Parameters } from '../spec.js';
import type { Promotions } from './halving.js';

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
}

/** What a rule remembers: plain JSON data that only the rule itself reads. */
export type RuleState = Record<string, unknown>;

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
  /** Only of rules that pause trials. */
  readonly promotions?: Promotions;
}

/** Makes "larger is better" of both goals. */
export const signOf = (goal: 'maximize' | 'minimize'): 1 | -1 => (goal === 'maximize' ? 1 : -1);

/** A metric as reasons print it. */
export const show = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : value.toFixed(4);
