/**
 * Everything that runs while this coordinator leads: the ledger's writer, the fleet, the feed of reports, the clock.
 * A term begins with the fold of the ledger and ends for good; the next one begins with a fold again.
 */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import { REPORTS_STREAM } from '../../../proto/subjects.js';
import type { Leader, Subscriber } from '../api/index.js';
import { systemClock, type Clock } from '../clock.js';
import type { Action, Input, LedgerEvent, Settings, State } from '../core/index.js';
import {
  Commander,
  feedReports,
  forgetCheckpoints,
  forgetCode,
  ReportsProgress,
  TrainerRegistry,
  type CheckpointShelf,
  type CodeShelf,
  type KeptReports,
  type ReportsLink,
  type TrainerCommands,
} from '../fleet/index.js';
import {
  Committer,
  readEvents,
  type CommitterObserver,
  type LedgerLog,
  type SnapshotOptions,
} from '../ledger/index.js';
import type { Bucket, NatsLink } from '../nats/index.js';
import { Notifier } from '../notify/index.js';
import { complainOf } from './complain.js';

/** Counts for /metrics. */
export interface TermObserver extends CommitterObserver {
  /** Reports of trainers that were taken from the stream. */
  consumed(count: number): void;
  commanded(command: Action['type'], result: 'ok' | 'refused' | 'failed'): void;
  /** A message to a webhook was taken, or not this time, or is given up. */
  notified(result: 'delivered' | 'failed' | 'given_up'): void;
}

export interface TermOptions {
  readonly link: ReportsLink & Pick<NatsLink, 'connected'>;
  readonly ledger: LedgerLog;
  /** Where snapshots of the ledger's fold are kept. @default nowhere */
  readonly snapshots?: SnapshotOptions;
  readonly trainers: Bucket;
  /** Checkpoints in NATS, to be tidied up. @default nobody does */
  readonly storedCode?: CodeShelf;
  readonly storedCheckpoints?: { readonly shelf: CheckpointShelf; readonly everyMs?: number };
  /** Reports that are kept though the ledger has them. @default KEPT_REPORTS */
  readonly keptReports?: KeptReports;
  readonly coordinatorId: string;
  /** The ledger that this process has led before. @default any */
  readonly ledgerId?: string;
  /** As `CommitterOptions` has it. */
  readonly beginLedger?: () => Promise<string | null>;
  /** How trainers are called; closed when the term is over. */
  readonly commands: TrainerCommands;
  readonly settings: Settings;
  readonly trainerTtlMs: number;
  readonly lostAfterMs: number;
  readonly now: () => number;
  readonly newId: () => string;
  readonly observer: TermObserver;
  readonly log: Logger;
  /** The lease is lost, or the coordinator closes. */
  readonly signal: AbortSignal;
  /** @default systemClock */
  readonly clock?: Clock;
  /** Scatters repeated calls: 0 up to 1. @default Math.random */
  readonly random?: () => number;
}

const TICK_MS = 1_000;
/** Reports that came while nobody led are decided before trainers are asked what they hold, if that is quick. */
const CATCH_UP_WITHIN_MS = 30_000;

export class Term implements Leader {
  readonly #options: TermOptions;
  readonly #clock: Clock;
  readonly #committer: Committer;
  readonly #over: AbortController;
  readonly #reports = new ReportsProgress();
  readonly #subscribers = new Set<Subscriber>();
  /** Resolves with the reason when the term is over. */
  readonly ended: Promise<WattsweepError>;

  private constructor(options: TermOptions, committer: Committer, over: AbortController) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#committer = committer;
    this.#over = over;
    this.ended = new Promise((resolve) => {
      const end = (): void => resolve(over.signal.reason as WattsweepError);
      if (over.signal.aborted) end();
      else over.signal.addEventListener('abort', end, { once: true });
    });
    void this.ended.then(() => {
      for (const subscriber of [...this.#subscribers]) subscriber.ended();
    });
  }

  /** Folds the ledger, begins a term and takes up the fleet. @throws as `Committer.lead` */
  static async begin(options: TermOptions): Promise<Term> {
    const {
      ledger,
      snapshots,
      coordinatorId,
      settings,
      now,
      newId,
      observer,
      log,
      clock = systemClock,
    } = options;
    const over = new AbortController();
    // As many wait for it as there are commands under way.
    setMaxListeners(0, over.signal);
    const end = (error: WattsweepError): void => over.abort(error);
    const stop = (): void => end(new WattsweepError('DEPOSED', 'this coordinator no longer leads'));
    if (options.signal.aborted) stop();
    options.signal.addEventListener('abort', stop, { once: true });

    const early: Action[] = [];
    const deliver = {
      to: (_events: readonly LedgerEvent[], actions: readonly Action[]): void => void early.push(...actions),
    };
    const committer = await Committer.lead({
      log: ledger,
      ...(snapshots === undefined ? {} : { snapshots }),
      coordinatorId,
      ...(options.ledgerId === undefined ? {} : { ledgerId: options.ledgerId }),
      ...(options.beginLedger === undefined ? {} : { beginLedger: options.beginLedger }),
      settings,
      now,
      newId,
      observer,
      clock,
      signal: over.signal,
      onEnd: end,
      onCommitted: (events, actions) => deliver.to(events, actions),
      onRetry: complainOf('the ledger', log, clock),
      onRejected: (input, error) => log.error({ err: error, input }, 'an input was left out'),
    });
    const term = new Term(options, committer, over);
    const commander = term.#commander();
    const notifier = term.#notifier();
    notifier.take(term.state.outbox.values());
    deliver.to = (events, actions) => {
      notifier.committed(events);
      for (const subscriber of [...term.#subscribers]) subscriber.committed(events);
      commander.perform(actions);
    };
    term
      .#run(() => commander.perform(early))
      .catch((error: unknown) => {
        end(
          error instanceof WattsweepError
            ? error
            : new WattsweepError('INTERNAL', String(error), { cause: error }),
        );
      });
    return term;
  }

  get state(): State {
    return this.#committer.state;
  }

  acknowledged(): Promise<void> {
    return this.#committer.acknowledged();
  }

  offer(inputs: readonly Input[]): Promise<void> {
    return this.#committer.offer(inputs);
  }

  history(): AsyncIterable<LedgerEvent> {
    return readEvents(this.#options.ledger);
  }

  subscribe(subscriber: Subscriber): () => void {
    if (this.#over.signal.aborted) subscriber.ended();
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  #commander(): Commander {
    const { commands, now, observer, log, random } = this.#options;
    return new Commander({
      commands,
      clock: this.#clock,
      ...(random === undefined ? {} : { random }),
      state: () => this.#committer.state,
      now,
      offer: (input) => this.#feed(input),
      term: () => this.#committer.term,
      reportsTaken: () => this.#reportsTaken(),
      onStaleTerm: (trainerId, knownTerm) => void this.#outgrown(trainerId, knownTerm).catch(() => undefined),
      onCommanded: (command, result) => observer.commanded(command, result),
      log,
      signal: this.#over.signal,
    });
  }

  #notifier(): Notifier {
    const { now, observer, log, random } = this.#options;
    return new Notifier({
      state: () => this.#committer.state,
      now,
      offer: (input) => this.#feed(input),
      onNotified: (result) => observer.notified(result),
      clock: this.#clock,
      ...(random === undefined ? {} : { random }),
      log,
      signal: this.#over.signal,
    });
  }

  async #reportsTaken(): Promise<void> {
    const { lastSeq } = await this.#options.link.bounds(REPORTS_STREAM);
    await this.#reports.until(lastSeq);
  }

  /**
   * A trainer remembers a newer term, or another one of this number: another coordinator's, which the ledger then has; or
   * one of a ledger of which this one is an older copy. Only who writes the ledger can tell, and only they may go above that term.
   */
  async #outgrown(trainerId: string, knownTerm: number | null): Promise<void> {
    const { coordinatorId, log, now } = this.#options;
    await this.#committer.checkTerm();
    if (knownTerm === null || knownTerm < this.#committer.state.term || this.#over.signal.aborted) return;
    log.warn(
      { trainerId, knownTerm, term: this.#committer.term },
      'a trainer remembers a later term than this ledger: the ledger was restored from an older copy; going above that term',
    );
    await this.#committer.offer([
      { type: 'term_outgrown', above: knownTerm, trainerId, coordinatorId, at: now() },
    ]);
  }

  /** An input that nobody waits for: what became of it is the writer's business. */
  #feed(input: Input): void {
    this.#committer.offer([input]).catch(() => undefined);
  }

  async #run(resume: () => void): Promise<void> {
    const { link, trainers, trainerTtlMs, lostAfterMs, now, observer, log, keptReports } = this.#options;
    const { signal } = this.#over;
    let caughtUp: () => void = () => undefined;
    const catchingUp = new Promise<void>((resolve) => (caughtUp = resolve));
    const feed = {
      link,
      sink: this.#committer,
      now,
      log,
      ...(keptReports === undefined ? {} : { kept: keptReports }),
      clock: this.#clock,
      progress: this.#reports,
      onConsumed: (count: number) => observer.consumed(count),
    };
    const feeding = feedReports(feed, signal, caughtUp);
    const patience = this.#clock.sleep(CATCH_UP_WITHIN_MS, { signal, ref: false });
    await Promise.race([catchingUp, patience, feeding]);
    if (signal.aborted) return;

    resume();
    const registry = new TrainerRegistry({
      bucket: trainers,
      ttlMs: trainerTtlMs,
      lostAfterMs,
      connected: () => link.connected,
      now,
      offer: (input) => this.#feed(input),
      log,
      clock: this.#clock,
    });
    await Promise.all([
      feeding,
      registry.run(this.#committer.state, signal),
      this.#forgetCheckpoints(),
      this.#forgetCode(),
      this.#tick(),
    ]);
  }

  async #forgetCheckpoints(): Promise<void> {
    const { storedCheckpoints, log } = this.#options;
    if (storedCheckpoints === undefined) return;
    const state = (): State => this.#committer.state;
    await forgetCheckpoints({ ...storedCheckpoints, state, clock: this.#clock, log }, this.#over.signal);
  }

  async #forgetCode(): Promise<void> {
    const { storedCode: shelf, log, now } = this.#options;
    if (shelf === undefined) return;
    const state = (): State => this.#committer.state;
    await forgetCode({ shelf, state, now, clock: this.#clock, log }, this.#over.signal);
  }

  async #tick(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await this.#clock.sleep(TICK_MS, { signal });
      // A clock that runs ahead of the ledger would only pile up ticks.
      if (this.#committer.backlogBytes === 0) this.#feed({ type: 'tick', at: this.#options.now() });
    }
  }
}
