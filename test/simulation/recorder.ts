/**
 * Watches a run from outside: every entry that the ledger takes, every trim of REPORTS, every command that a box obeys,
 * and now and then whether a leader's state is the fold of what it wrote.
 */
import type { AttemptKey } from '../../proto/gen/wattsweep/v1/attempt.js';
import { LEDGER_STREAM } from '../../proto/subjects.js';
import type { LedgerEvent, State } from '../../services/coordinator/core/index.js';
import { decodeBatch } from '../../services/coordinator/ledger/codec.js';
import type { StreamMessage } from '../../services/coordinator/nats/index.js';
import { freeze } from '../support/core.js';
import { LedgerWatch, textOf } from './ledger-watch.js';
import type { Witness } from './trainer.js';

const MOST_VIOLATIONS = 20;

/** A leader's state at a moment: the ledger comes to it once what is on its way has arrived. */
interface Probe {
  readonly size: number;
  readonly frozen: string;
  met: boolean;
}

export class Recorder implements Witness {
  readonly violations: string[] = [];
  terms = 0;
  #term = 0;
  #reportsSeq = 0;
  #watch = new LedgerWatch((text) => this.blame(text));
  #probe: Probe | null = null;

  blame(text: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(text);
  }

  get events(): readonly LedgerEvent[] {
    return this.#watch.events;
  }

  stored(stream: string, { seq, data }: StreamMessage): void {
    if (stream !== LEDGER_STREAM) return;
    const batch = decodeBatch(data, seq);
    const begins = batch.events.find((event) => event.type === 'term_started');
    if (begins !== undefined) {
      if (begins.term <= this.#term) this.blame(`term ${begins.term} follows term ${this.#term}`);
      this.#term = begins.term;
      this.terms += 1;
    }
    if (batch.term !== this.#term) this.blame(`entry ${seq} is of term ${batch.term} in term ${this.#term}`);
    if (batch.reportsSeq < this.#reportsSeq) this.blame(`entry ${seq} takes the mark on REPORTS back`);
    this.#reportsSeq = batch.reportsSeq;
    this.#watch.take(batch.events, () => this.#look());
  }

  purged(_stream: string, belowSeq: number): void {
    if (belowSeq - 1 > this.#reportsSeq)
      this.blame(`REPORTS trimmed below ${belowSeq}; taken up to ${this.#reportsSeq}`);
  }

  started(trainerId: string, key: AttemptKey): void {
    const where = this.#watch.assigned.get(textOf(key));
    if (where !== trainerId)
      this.blame(`${trainerId} starts ${textOf(key)}, which the ledger gives to ${String(where)}`);
  }

  stopping(trainerId: string, key: AttemptKey): void {
    if (!this.#watch.stoppable.has(textOf(key)))
      this.blame(`${trainerId} stops ${textOf(key)}, which the ledger wants to go on`);
  }

  /**
   * Whether the leader's state is, or shall be, the fold of the ledger.
   * @param acknowledged resolves when all that the state holds is in the ledger; rejects when it will never be
   */
  probe(state: State, acknowledged: () => Promise<void>): void {
    // A leader that was deposed and does not know it yet holds an older fold.
    if (state.term !== this.#term) return;
    const probe: Probe = (this.#probe = { size: sizeOf(state), frozen: freeze(state), met: false });
    this.#look();
    acknowledged().then(
      () => {
        if (!probe.met && this.#probe === probe)
          this.blame("the fold of the ledger is not the leader's state");
        if (this.#probe === probe) this.#probe = null;
      },
      () => {
        if (this.#probe === probe) this.#probe = null;
      },
    );
  }

  #look(): void {
    const probe = this.#probe;
    if (probe === null || probe.met || sizeOf(this.#watch.state) !== probe.size) return;
    probe.met = freeze(this.#watch.state) === probe.frozen;
  }
}

/** Differs in most states that differ, and costs little. */
function sizeOf({ sweeps, trainers }: State): number {
  let size = trainers.size;
  for (const { trials, queue } of sweeps.values()) {
    size += queue.size;
    for (const { attempts, epochs, decisions } of trials.values())
      size += attempts.length + epochs.length + decisions.length + 1;
  }
  return size;
}
