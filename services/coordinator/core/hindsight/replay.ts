/**
 * Replay: the ledger's own arrivals are folded anew, every verdict on an epoch is computed again, and what was recorded
 * is held against it. Equal, or the first difference; behind one the two would tell of different sweeps.
 */
import type { Decision, LedgerEvent } from '../events.js';
import { fold } from '../fold/index.js';
import { sweepOf, trialOf } from '../find.js';
import { judgeNewest, type Verdict } from '../sweeps/judge.js';
import { nextPromotion } from '../placement/promotion.js';
import { initialState } from '../state.js';

export interface Difference {
  readonly trialId: string;
  readonly epoch: number;
  /** Null: the ledger has none here. */
  readonly recorded: Decision | null;
  /** Null: the rules make none here. */
  readonly recomputed: Decision | null;
  /** In words. */
  readonly message: string;
}

/** The verdict on an epoch, as far as the log has not confirmed it yet. */
interface Expected {
  readonly trialId: string;
  readonly epoch: number;
  readonly decisions: Decision[];
  readonly end: Verdict['end'];
}

const FACTS = ['action', 'epoch', 'rung', 'value', 'rank', 'n', 'threshold', 'reason'] as const;

export class Replay {
  #state = initialState();
  #expected: Expected | null = null;
  #difference: Difference | null = null;
  /** Epochs that were judged, and decisions that agreed. */
  reports = 0;
  decisions = 0;

  constructor(readonly sweepId: string) {}

  /** Takes the ledger's events in order, those of other sweeps too. */
  take(event: LedgerEvent): void {
    if (this.#hasDiffered() || !('sweepId' in event) || event.sweepId !== this.sweepId) return;
    this.#compare(event);
    if (this.#hasDiffered()) return;
    fold(this.#state, event);
    if (event.type !== 'epoch_accepted') return;
    this.reports++;
    const verdict = judgeNewest(sweepOf(this.#state, this.sweepId), trialOf(this.#state, event));
    this.#expected = {
      trialId: event.trialId,
      epoch: event.record.epoch,
      decisions: [...verdict.decisions],
      end: verdict.end,
    };
  }

  /** The first difference, once every event was taken; null when there is none. */
  finish(): Difference | null {
    this.#settle();
    return this.#difference;
  }

  #hasDiffered(): boolean {
    return this.#difference !== null;
  }

  #compare(event: LedgerEvent): void {
    if (event.type === 'decision_made') this.#compareDecision(event.trialId, event.decision);
    else if (event.type === 'trial_ended' && this.#expected?.trialId === event.trialId) {
      const { end, epoch } = this.#expected;
      this.#settle(true);
      if (end === null || (end.state === event.state && end.reason === event.reason)) return;
      this.#differ(
        event.trialId,
        epoch,
        `the trial ended ${event.state} (${event.reason}); recomputed: ${end.state} (${end.reason})`,
      );
    } else this.#settle();
  }

  #compareDecision(trialId: string, recorded: Decision): void {
    const expected = this.#expected;
    const recomputed =
      expected?.trialId === trialId
        ? (expected.decisions.shift() ?? this.#promotionOf(trialId))
        : this.#promotionOf(trialId);
    if (recomputed === undefined) {
      this.#differ(trialId, recorded.epoch, 'the ledger has a decision that the rules do not make', recorded);
      return;
    }
    const fact = FACTS.find((name) => recorded[name] !== recomputed[name]);
    const words =
      recorded.rule !== recomputed.rule
        ? `recorded by ${recorded.rule}, recomputed by ${recomputed.rule}`
        : fact === undefined
          ? null
          : `${fact}: recorded ${String(recorded[fact])}, recomputed ${String(recomputed[fact])}`;
    if (words === null) this.decisions++;
    else this.#differ(trialId, recorded.epoch, words, recorded, recomputed);
  }

  /** The promotion that the rules make now, if it is this trial's. */
  #promotionOf(trialId: string): Decision | undefined {
    const promotion = nextPromotion(sweepOf(this.#state, this.sweepId));
    return promotion?.trialId === trialId ? promotion.decision : undefined;
  }

  /** The log goes on: nothing that was expected may be missing. */
  #settle(isEnd = false): void {
    const expected = this.#expected;
    this.#expected = null;
    if (expected === null || this.#hasDiffered()) return;
    const { trialId, epoch, end } = expected;
    const [missing] = expected.decisions;
    if (missing !== undefined)
      this.#differ(trialId, epoch, 'the rules make a decision that the ledger lacks', null, missing);
    else if (end !== null && !isEnd)
      this.#differ(trialId, epoch, `recomputed: the trial ends here, ${end.state} (${end.reason})`);
  }

  #differ(
    trialId: string,
    epoch: number,
    message: string,
    recorded: Decision | null = null,
    recomputed: Decision | null = null,
  ): void {
    this.#difference = { trialId, epoch, recorded, recomputed, message };
  }
}
