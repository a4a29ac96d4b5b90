/**
 * The interface of a stopping rule. A rule is told of accepted reports and answers with a decision that carries its
 * reason; what it remembers is plain data inside the state. Non-finite objectives never reach a rule: such a trial is
 * `diverged` before any ranking (see `../decide.ts`).
 */
import type { Decision } from '../events.js';
import type { Parameters } from '../spec.js';

/** What a rule sees of a report. Values are as reported; the rule knows the goal. */
export interface Observation {
  readonly trialId: string;
  readonly parameters: Parameters;
  /** 1-based. */
  readonly repeat: number;
  /** Finite objective values of epochs 1..epoch of this trial. */
  readonly values: readonly number[];
  /** `values.length`. */
  readonly epoch: number;
}

/** What a rule remembers: plain JSON data that only the rule itself reads. */
export type RuleState = Record<string, unknown>;

export interface StoppingRule<S extends RuleState = RuleState> {
  /** Name and version, recorded with each decision, e.g. `asha@1`. */
  readonly id: string;
  init(): S;
  /**
   * Takes the report into `state` and says what follows; an empty list when the rule has nothing to say of this
   * epoch. With several decisions (a report that passed several rungs) the last one counts.
   */
  observe(state: S, observation: Observation): readonly Decision[];
}
