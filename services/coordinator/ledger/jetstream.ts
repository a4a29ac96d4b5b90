/** The ledger log on the JetStream stream LEDGER. */
import { WattsweepError } from '../../../proto/errors.js';
import { LEDGER_STREAM, LEDGER_SUBJECT } from '../../../proto/subjects.js';
import type { NatsLink } from '../nats/index.js';
import type { AppendOutcome, LedgerLog, LogEntry } from './log.js';

/** Room for the headers of a message. */
const HEADER_BYTES = 1_024;
const SILENCE_LIMIT_MS = 15_000;

export class JetStreamLog implements LedgerLog {
  readonly #link: NatsLink;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  get maxEntryBytes(): number {
    return this.#link.maxPayloadBytes - HEADER_BYTES;
  }

  append(appendId: string, data: Uint8Array, expectedLastSeq: number): Promise<AppendOutcome> {
    return this.#link.publish(LEDGER_SUBJECT, data, { messageId: appendId, expectedLastSeq });
  }

  async *read(fromSeq: number): AsyncGenerator<LogEntry> {
    const { firstSeq, lastSeq } = await this.#link.bounds(LEDGER_STREAM);
    let next = Math.max(1, fromSeq);
    if (next > lastSeq) return;
    if (firstSeq > next) throw missing(next, `it begins at ${firstSeq}`);

    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
    try {
      for await (const { seq, data } of this.#link.consume(LEDGER_STREAM, next, silence.signal)) {
        if (seq !== next) throw missing(next, `${seq} follows`);
        yield { seq, data };
        next += 1;
        if (next > lastSeq) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
      }
      throw new WattsweepError('NATS_UNREACHABLE', `the ledger stopped answering before sequence ${next}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

const missing = (seq: number, why: string): WattsweepError =>
  new WattsweepError('LEDGER_UNREADABLE', `the ledger has no entry with sequence ${seq}: ${why}`);
