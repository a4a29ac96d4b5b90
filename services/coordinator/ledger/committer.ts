/**
 * The one writer of a term. Inputs are decided at once, in the order of their arrival; what they gave rise to is
 * collected while the previous append is under way and goes into the ledger as one entry (group commit). Only when that
 * entry is acknowledged are actions released, requests answered and watchers told: nobody ever acts on a decision that
 * a crash could undo.
 */
import { WattsweepError } from '../../../proto/errors.js';
import { decide, type Action, type Input, type LedgerEvent, type State } from '../core/index.js';
import { systemClock, type Clock } from '../clock.js';
import { decodeBatch, encodeBatch, encodeEvents, type BatchHeader } from './codec.js';
import { appendFenced, placeAfter, placeOf, type FencedOutcome } from './fence.js';
import { loadLedger, type LoadedLedger } from './load.js';
import type { FoldedLog } from './log.js';
import { toMarked, type ReportsMark } from './mark.js';
import type { CommitterOptions } from './options.js';
import { SnapshotKeeper } from './snapshot/index.js';
import { assertSameLedger, assertSameTerm, deposed, stoppedLeading, termAfter, termIdOf } from './terms.js';

/** Entries of the ledger stay below this, events of one decision together. */
const MAX_ENTRY_BYTES = 512 * 1024;

/** What one input gave rise to. */
interface Unit {
  readonly input: Input | null;
  readonly reports: ReportsMark | null;
  readonly settle: (error: Error | null) => void;
  events: readonly LedgerEvent[];
  actions: readonly Action[];
  chunk: string;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #clock: Clock;
  #state: State;
  #term: number;
  #folded: FoldedLog;
  /** Events in the ledger. */
  #events: number;
  readonly #keeper: SnapshotKeeper | null;
  /** Mark that goes into the next entry, and the one that stands in the ledger. */
  #reports: ReportsMark;
  #savedReports: ReportsMark;
  #pending: Unit[] = [];
  #flying: Unit[] = [];
  #pendingBytes = 0;
  #running = false;
  #rebasing = false;
  #ended: WattsweepError | null = null;

  private constructor(options: CommitterOptions, loaded: LoadedLedger) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#state = loaded.state;
    this.#term = loaded.state.term;
    this.#folded = placeOf(loaded);
    this.#events = loaded.events;
    const { snapshots } = options;
    this.#keeper =
      snapshots === undefined
        ? null
        : new SnapshotKeeper(snapshots, loaded.events, loaded.eventsInSnapshot, this.#clock);
    this.#reports = loaded.reports;
    this.#savedReports = loaded.reports;
    options.signal.addEventListener('abort', () => this.#end(stoppedLeading()), { once: true });
  }

  /**
   * Folds the ledger and begins a term, again and again until no other coordinator wrote in between.
   * @throws LEDGER_UNREADABLE, LEDGER_VERSION, LEDGER_LOST; DEPOSED when the signal aborts; NATS_UNREACHABLE
   */
  static async lead(options: CommitterOptions): Promise<Committer> {
    const { log, coordinatorId, settings, now, newId, signal, onRetry, clock, snapshots } = options;
    for (;;) {
      if (signal.aborted) throw stoppedLeading();
      const loaded = await loadLedger(log, snapshots);
      const { state, reports } = loaded;
      if (options.ledgerId !== undefined) assertSameLedger(options.ledgerId, state.ledgerId);
      const at = now();
      const isNew = state.ledgerId === '';
      const insteadOf = isNew ? ((await options.beginLedger?.()) ?? null) : null;
      const ledgerId = isNew ? newId() : state.ledgerId;
      const termId = termIdOf(newId());
      const { events, actions } = decide(state, {
        type: 'lead',
        ledgerId,
        termId,
        coordinatorId,
        settings,
        ...(insteadOf === null ? {} : { insteadOf }),
        at,
      });
      const header = { appendId: newId(), term: state.term, at, ...toMarked(reports) };
      const data = encodeBatch(header, [encodeEvents(events)]);
      const outcome = await appendFenced(log, header, data, loaded, signal, onRetry, clock);
      if (outcome.outcome !== 'accepted') continue;
      const committer = new Committer(options, {
        ...loaded,
        ...placeAfter(loaded, header, outcome),
        events: loaded.events + events.length,
      });
      options.onCommitted(events, actions);
      return committer;
    }
  }

  /** The fold of the ledger and of what is on its way there. Read only; changes at each input. */
  get state(): State {
    return this.#state;
  }

  /** Sequence of the ledger's last entry. */
  get lastSeq(): number {
    return this.#folded.lastSeq;
  }

  /** The term that stands in the ledger: what commands carry. */
  get term(): number {
    return this.#term;
  }

  /** Events in the ledger, from its beginning. */
  get events(): number {
    return this.#events;
  }

  /** Up to which the ledger has every report. */
  get savedReports(): ReportsMark {
    return this.#savedReports;
  }

  /** Bytes that wait for the ledger: whoever feeds from a queue should wait when it is large. */
  get backlogBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Decides inputs in order. Resolves when all that they gave rise to is in the ledger.
   * @param reports mark on REPORTS that the last of them brings the ledger to
   * @throws DEPOSED when it is not known whether it got there; what the core threw, for an input that it cannot take
   */
  offer(inputs: readonly Input[], reports: ReportsMark | null = null): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      let open = Math.max(1, inputs.length);
      let failure: Error | null = null;
      const settle = (error: Error | null): void => {
        failure ??= error;
        open -= 1;
        if (open > 0) return;
        if (failure === null) resolve();
        else reject(failure);
      };
      const units: (Input | null)[] = inputs.length === 0 ? [null] : [...inputs];
      for (const [i, input] of units.entries()) {
        const mark = i === units.length - 1 ? reports : null;
        this.#take({ input, reports: mark, settle, events: [], actions: [], chunk: '' });
      }
      this.#wake();
    });
  }

  /** Resolves when everything decided so far is in the ledger. @throws DEPOSED */
  acknowledged(): Promise<void> {
    if (this.#ended === null && this.#pending.length === 0 && this.#flying.length === 0)
      return Promise.resolve();
    return this.offer([]);
  }

  /** Looks whether another coordinator has begun a newer term, and ends if so. @throws NATS_UNREACHABLE */
  async checkTerm(): Promise<void> {
    const { term } = this.#state;
    for await (const { seq, data } of this.#options.log.read(this.lastSeq + 1)) {
      for (const event of decodeBatch(data, seq).events) {
        if (event.type === 'term_started' && event.term > term)
          this.#end(deposed(event.coordinatorId, event.term));
      }
    }
  }

  #take(unit: Unit): void {
    this.#pending.push(unit);
    if (!this.#rebasing) this.#decide(unit);
  }

  #decide(unit: Unit): void {
    if (unit.input === null) return;
    try {
      const { events, actions } = decide(this.#state, unit.input);
      unit.events = events;
      unit.actions = actions;
      unit.chunk = encodeEvents(events);
      this.#options.observer?.decided(unit.input.type);
      this.#pendingBytes += unit.chunk.length;
    } catch (error) {
      // The core may have changed half of the state: it is folded again, without this input.
      this.#reject(unit, asError(error));
      this.#rebasing = true;
    }
  }

  #reject(unit: Unit, error: Error): void {
    this.#pending = this.#pending.filter((u) => u !== unit);
    if (unit.input !== null) this.#options.onRejected(unit.input, error);
    unit.settle(error);
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    // What arrives in the same turn of the event loop shares the entry.
    this.#clock.nextTurn(() => {
      void this.#run().catch((error: unknown) => this.#end(asError(error)));
    });
  }

  async #run(): Promise<void> {
    while (this.#ended === null && (this.#pending.length > 0 || this.#rebasing)) {
      if (this.#rebasing) await this.#rebase();
      else {
        this.#keeper?.look(this.#state, this.#events, this.#pending);
        await this.#flush(this.#nextEntry());
      }
    }
    // In the same turn as the loop's last look at the queue: nothing can arrive in between and find nobody awake.
    this.#running = false;
  }

  #nextEntry(): Unit[] {
    let bytes = 0;
    let count = 0;
    const most = this.#keeper?.mayShare ?? Infinity;
    for (const unit of this.#pending) {
      if (count === most) break;
      if (count > 0 && bytes + unit.chunk.length > MAX_ENTRY_BYTES) break;
      bytes += unit.chunk.length;
      count += 1;
    }
    this.#pendingBytes -= bytes;
    return this.#pending.splice(0, count);
  }

  async #flush(units: Unit[]): Promise<void> {
    const { log, now, newId } = this.#options;
    this.#flying = units;
    const reports = units.findLast((u) => u.reports !== null)?.reports ?? this.#reports;
    const term = units.reduce(termAfter, this.#term);
    const chunks = units.map((u) => u.chunk).filter((chunk) => chunk !== '');
    if (chunks.length > 0) {
      const header: BatchHeader = { appendId: newId(), term, at: now(), ...toMarked(reports) };
      const data = encodeBatch(header, chunks);
      if (data.length > log.maxEntryBytes) {
        this.#refuseLargest(units);
        return;
      }
      const outcome = await this.#append(header, data, units);
      if (outcome.outcome === 'deposed') throw deposed(outcome.coordinatorId, outcome.term);
      if (outcome.outcome === 'behind') {
        this.#requeue(units);
        return;
      }
      this.#folded = placeAfter(this.#folded, header, outcome);
      this.#events += units.reduce((sum, unit) => sum + unit.events.length, 0);
      this.#savedReports = reports;
    }
    this.#reports = reports;
    this.#flying = [];
    const { seq: reportsSeq } = this.#savedReports;
    const place = { seq: this.#folded.lastSeq, appendId: this.#folded.appendId, reportsSeq };
    this.#keeper?.written(units.length, place);
    if (this.#ended !== null) return;
    const events = units.flatMap((u) => u.events);
    const actions = units.flatMap((u) => u.actions);
    this.#term = term;
    if (events.length > 0 || actions.length > 0) this.#options.onCommitted(events, actions);
    for (const unit of units) unit.settle(null);
  }

  async #append(header: BatchHeader, data: Uint8Array, units: readonly Unit[]): Promise<FencedOutcome> {
    const { log, signal, observer, onRetry } = this.#options;
    const begin = this.#clock.monotonicMs();
    const count = units.reduce((sum, u) => sum + u.events.length, 0);
    const observe = (result: 'accepted' | 'fenced' | 'failed'): void =>
      observer?.appended(result, count, (this.#clock.monotonicMs() - begin) / 1_000);
    try {
      const outcome = await appendFenced(log, header, data, this.#folded, signal, onRetry, this.#clock);
      observe(outcome.outcome === 'accepted' ? 'accepted' : 'fenced');
      return outcome;
    } catch (error) {
      observe('failed');
      throw error;
    }
  }

  /** No entry can hold this decision: the input is refused, the others are decided again without it. */
  #refuseLargest(units: Unit[]): void {
    const largest = units.reduce((a, b) => (b.chunk.length > a.chunk.length ? b : a));
    this.#requeue(units);
    this.#reject(
      largest,
      new WattsweepError('SPEC_TOO_LARGE', 'the decision does not fit into one entry of the ledger'),
    );
  }

  #requeue(units: Unit[]): void {
    this.#flying = [];
    this.#keeper?.abandon();
    this.#pending.unshift(...units);
    this.#rebasing = true;
  }

  /** Folds the ledger as it stands and decides once more what is not in it. */
  async #rebase(): Promise<void> {
    this.#keeper?.abandon();
    const loaded = await loadLedger(this.#options.log, this.#options.snapshots);
    assertSameTerm(
      { ...this.#folded, state: this.#state, term: this.#term },
      { ...loaded, term: loaded.state.term },
    );
    this.#state = loaded.state;
    this.#folded = placeOf(loaded);
    this.#events = loaded.events;
    this.#savedReports = loaded.reports;
    this.#rebasing = false;
    this.#pendingBytes = 0;
    for (const unit of [...this.#pending]) {
      this.#decide(unit);
      // Another input that the core cannot take: the loop comes back here.
      if (this.#isRebasing()) return;
    }
  }

  /** Behind a method, since the compiler would take the flag for unchanged. */
  #isRebasing(): boolean {
    return this.#rebasing;
  }

  #end(error: WattsweepError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#keeper?.abandon();
    for (const unit of [...this.#flying, ...this.#pending]) unit.settle(error);
    this.#flying = [];
    this.#pending = [];
    this.#options.onEnd(error);
  }
}

const asError = (error: unknown): WattsweepError =>
  error instanceof WattsweepError ? error : new WattsweepError('INTERNAL', String(error), { cause: error });
