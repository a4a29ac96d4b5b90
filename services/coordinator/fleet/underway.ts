/**
 * Attempts that are on their way to a trainer: assigned by this term, the answer to StartAttempt not yet here. A list
 * of attempts that was asked for before that answer says nothing about them, whatever it leaves out.
 */
import type { AttemptRef, ListedAttempt, State } from '../core/index.js';

export const keyOf = (ref: AttemptRef): string => `${ref.sweepId}/${ref.trialId}#${ref.attempt}`;

export class StartsUnderway {
  /** Assigned in earlier terms: whether they were ever started, only the trainer knows. */
  readonly #inherited = new Set<string>();
  /** StartAttempt was answered, or is no longer wanted. */
  readonly #settled = new Set<string>();

  constructor(state: State) {
    for (const { holders } of state.trainers.values()) {
      for (const holder of holders.values()) this.#inherited.add(keyOf(holder));
    }
  }

  begin(ref: AttemptRef): void {
    this.#inherited.delete(keyOf(ref));
    this.#settled.delete(keyOf(ref));
  }

  settle(ref: AttemptRef): void {
    this.#settled.add(keyOf(ref));
  }

  /** To be taken before the trainer is asked; gives, with its answer, the attempts of which the answer cannot know. */
  before(): (state: State, trainerId: string) => ListedAttempt[] {
    const settledBefore = new Set(this.#settled);
    return (state, trainerId) => {
      const holders = [...(state.trainers.get(trainerId)?.holders.values() ?? [])];
      return holders
        .filter((holder) => !this.#inherited.has(keyOf(holder)) && !this.#stillSettled(holder, settledBefore))
        .map((holder) => ({ ...holder, phase: 'starting', ledgerId: state.ledgerId }));
    };
  }

  /** Forgets attempts that hold no slot any more. */
  keepOnly(state: State): void {
    const held = new Set(
      [...state.trainers.values()].flatMap(({ holders }) => [...holders.values()].map(keyOf)),
    );
    for (const set of [this.#inherited, this.#settled])
      for (const key of set) if (!held.has(key)) set.delete(key);
  }

  #stillSettled(ref: AttemptRef, settledBefore: ReadonlySet<string>): boolean {
    return settledBefore.has(keyOf(ref)) && this.#settled.has(keyOf(ref));
  }
}
