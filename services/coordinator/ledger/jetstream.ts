/** The ledger log on the JetStream stream LEDGER. */
import { WattsweepError } from '../../../proto/errors.js';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../../proto/subjects.js';
import { isAborted, systemClock, type Clock } from '../clock.js';
import type { NatsLink } from '../nats/index.js';
import type { AppendOutcome, LedgerLog, LogEntry, LogStanding } from './log.js';

/** Room for the headers of a message. */
const HEADER_BYTES = 1_024;
const SILENCE_LIMIT_MS = 15_000;

/** What the log needs of the connection. */
export type LedgerLink = Pick<
  NatsLink,
  'maxPayloadBytes' | 'publish' | 'find' | 'bounds' | 'consume' | 'messageAt' | 'onReconnect'
>;

export class JetStreamLog implements LedgerLog {
  readonly #link: LedgerLink;
  readonly #clock: Clock;
  #interruptions = 0;

  constructor(link: LedgerLink, clock: Clock = systemClock) {
    this.#link = link;
    this.#clock = clock;
    link.onReconnect(() => (this.#interruptions += 1));
  }

  get interruptions(): number {
    return this.#interruptions;
  }

  async entryAt(seq: number): Promise<Uint8Array | null> {
    return (await this.#link.messageAt(LEDGER_STREAM, seq))?.data ?? null;
  }

  get maxEntryBytes(): number {
    return this.#link.maxPayloadBytes - HEADER_BYTES;
  }

  append(appendId: string, data: Uint8Array, expectedLastSeq: number): Promise<AppendOutcome> {
    return this.#link.publish(LEDGER_SUBJECT, data, { messageId: appendId, expectedLastSeq });
  }

  look(): Promise<LogStanding | null> {
    return this.#link.find(LEDGER_STREAM);
  }

  async *read(fromSeq: number): AsyncGenerator<LogEntry> {
    const { firstSeq, lastSeq } = await this.#link.bounds(LEDGER_STREAM);
    let next = Math.max(1, fromSeq);
    if (next > lastSeq) return;
    if (firstSeq > next) throw missing(next, `it begins at ${firstSeq}`);

    const silence = new AbortController();
    const done = new AbortController();
    let heardAtMs = this.#clock.monotonicMs();
    void this.#watch(() => heardAtMs, silence, done.signal);
    try {
      for await (const { seq, data } of this.#link.consume(LEDGER_STREAM, next, silence.signal)) {
        if (seq !== next) throw missing(next, `${seq} follows`);
        yield { seq, data };
        next += 1;
        if (next > lastSeq) return;
        heardAtMs = this.#clock.monotonicMs();
      }
      throw new WattsweepError('NATS_UNREACHABLE', `the ledger stopped answering before sequence ${next}`);
    } finally {
      done.abort();
    }
  }

  /** Breaks off a reading of which nothing was heard for too long. */
  async #watch(heardAtMs: () => number, silence: AbortController, done: AbortSignal): Promise<void> {
    for (;;) {
      const leftMs = heardAtMs() + SILENCE_LIMIT_MS - this.#clock.monotonicMs();
      if (leftMs <= 0) break;
      await this.#clock.sleep(leftMs, { signal: done });
      if (isAborted(done)) return;
    }
    silence.abort();
  }
}

const missing = (seq: number, why: string): WattsweepError =>
  new WattsweepError('LEDGER_UNREADABLE', `the ledger has no entry with sequence ${seq}: ${why}`);
