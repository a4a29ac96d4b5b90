/**
 * Watches a run from outside: every entry that the ledger takes, every trim of REPORTS, every command that a box obeys,
 * and now and then whether a leader's state is the fold of what it wrote.
 */
import type { AttemptKey } from '../../proto/gen/wattsweep/v1/attempt.js';
import { ReportBatch } from '../../proto/gen/wattsweep/v1/facts.js';
import { LEDGER_STREAM, REPORTS_STREAM } from '../../proto/subjects.js';
import type { LedgerEvent, State } from '../../services/coordinator/core/index.js';
import { decodeBatch } from '../../services/coordinator/ledger/codec.js';
import type { StreamMessage } from '../../services/coordinator/nats/index.js';
import { freeze } from '../support/core.js';
import { LedgerWatch } from './ledger-watch.js';
import { keyText, type Witness } from './trainer.js';

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
  /** When the ledger was last restored, milliseconds since the run began; null for never. */
  restoredAt: number | null = null;
  #entries: StreamMessage[] = [];
  /** Epochs whose reports are on the stream no longer. */
  readonly #removed = new Set<string>();
  #term = 0;
  #reportsSeq = 0;
  /** Rises with each restore that put another stream REPORTS in place. */
  #reportsStream = 0;
  /** The stream in which the mark of each entry counts, by the entry's sequence. */
  readonly #markedIn = new Map<number, number>();
  #watch = new LedgerWatch((text) => this.blame(text));
  #probe: Probe | null = null;

  blame(text: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(text);
  }

  get events(): readonly LedgerEvent[] {
    return this.#watch.events;
  }

  /** The ledger is an older copy from now on, which ends with `seq`. */
  restored(seq: number, keepsReports: boolean, at: number): void {
    this.#entries = this.#entries.filter((entry) => entry.seq <= seq);
    this.#watch = new LedgerWatch((text) => this.blame(text));
    this.#probe = null;
    for (const entry of this.#entries) this.#watch.take(decodeBatch(entry.data, entry.seq).events);
    const last = this.#entries.at(-1);
    this.#term = this.#watch.state.term;
    this.#reportsSeq = last === undefined ? 0 : decodeBatch(last.data, seq).reportsSeq;
    if (!keepsReports) this.#reportsStream += 1;
    this.restoredAt = at;
  }

  removed(stream: string, { data }: StreamMessage): void {
    if (stream !== REPORTS_STREAM) return;
    for (const { fact } of ReportBatch.decode(data).reports)
      if (fact?.$case === 'epoch') this.#removed.add(`${keyText(fact.value.key!)} ${fact.value.epoch}`);
  }

  /** A restored ledger cannot have it: the report of one of these was gone before the ledger could take it once more. */
  isGone(names: readonly string[], epoch: number): boolean {
    return this.restoredAt !== null && names.some((name) => this.#removed.has(`${name} ${epoch}`));
  }

  stored(stream: string, message: StreamMessage): void {
    if (stream !== LEDGER_STREAM) return;
    const { seq, data } = message;
    this.#entries.push(message);
    const batch = decodeBatch(data, seq);
    const begins = batch.events.find((event) => event.type === 'term_started');
    if (begins !== undefined) {
      if (begins.term <= this.#term) this.blame(`term ${begins.term} follows term ${this.#term}`);
      this.#term = begins.term;
      this.terms += 1;
    }
    if (batch.term !== this.#term) this.blame(`entry ${seq} is of term ${batch.term} in term ${this.#term}`);
    const before = this.#markedIn.get(seq - 1) ?? 0;
    if (batch.reportsSeq < this.#reportsSeq && before === this.#reportsStream)
      this.blame(`entry ${seq} takes the mark on REPORTS back`);
    this.#markedIn.set(seq, batch.reportsSeq === this.#reportsSeq ? before : this.#reportsStream);
    this.#reportsSeq = batch.reportsSeq;
    this.#watch.take(batch.events, () => this.#look());
  }

  purged(_stream: string, belowSeq: number): void {
    if (belowSeq - 1 > this.#reportsSeq)
      this.blame(`REPORTS trimmed below ${belowSeq}; taken up to ${this.#reportsSeq}`);
  }

  started(trainerId: string, key: AttemptKey): void {
    const where = this.#watch.assigned.get(keyText(key));
    if (where !== trainerId)
      this.blame(`${trainerId} starts ${keyText(key)}, which the ledger gives to ${String(where)}`);
  }

  stopping(trainerId: string, key: AttemptKey): void {
    // What runs of a deleted sweep is stopped, also what a restored ledger never heard of.
    const isDeleted = this.#watch.state.deleted.has(key.sweepId);
    if (!isDeleted && !this.#watch.stoppable.has(keyText(key)))
      this.blame(`${trainerId} stops ${keyText(key)}, which the ledger wants to go on`);
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
