/**
 * Attempts that are on their way to a trainer: assigned by this term, the answer to StartAttempt not yet here. A list
 * of attempts that was asked for before that answer says nothing about them, whatever it leaves out.
 */
import type { AttemptRef, AttemptState, ListedAttempt, NamedAttempt, State } from '../core/index.js';

/** Names the attempt among those of this ledger's present history. */
const keyOf = (ref: AttemptRef): string => `${ref.sweepId}/${ref.trialId}#${ref.attempt}`;

/** Names it among those of all histories. */
export const nameOf = (ref: NamedAttempt): string => `${keyOf(ref)}.${ref.termId ?? ''}`;

export class StartsUnderway {
  /** Assigned in earlier terms: whether they were ever started, only the trainer knows. */
  readonly #inherited = new Set<string>();
  /** StartAttempt was answered, or is no longer wanted: a serial number of that moment. */
  readonly #settled = new Map<string, number>();
  #serial = 0;

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
    this.#settled.set(keyOf(ref), (this.#serial += 1));
  }

  /** To be taken before the trainer is asked; gives, with its answer, the attempts of which the answer cannot know. */
  before(): (state: State, trainerId: string) => ListedAttempt[] {
    const settledBefore = new Map(this.#settled);
    return (state, trainerId) => {
      const holders = [...(state.trainers.get(trainerId)?.holders.values() ?? [])];
      return holders
        .filter((holder) => !this.#inherited.has(keyOf(holder)) && !this.#stillSettled(holder, settledBefore))
        .map((holder) => ({
          ...holder,
          termId: attemptOf(state, holder)?.termId ?? '',
          phase: 'starting',
          ledgerId: state.ledgerId,
        }));
    };
  }

  /** Forgets attempts that hold no slot any more. */
  keepOnly(state: State): void {
    const held = new Set(
      [...state.trainers.values()].flatMap(({ holders }) => [...holders.values()].map(keyOf)),
    );
    for (const key of this.#inherited) if (!held.has(key)) this.#inherited.delete(key);
    for (const key of this.#settled.keys()) if (!held.has(key)) this.#settled.delete(key);
  }

  #stillSettled(ref: AttemptRef, settledBefore: ReadonlyMap<string, number>): boolean {
    const serial = settledBefore.get(keyOf(ref));
    return serial !== undefined && serial === this.#settled.get(keyOf(ref));
  }
}

const attemptOf = (state: State, { sweepId, trialId, attempt }: AttemptRef): AttemptState | undefined =>
  state.sweeps
    .get(sweepId)
    ?.trials.get(trialId)
    ?.attempts.findLast((one) => one.attempt === attempt);
