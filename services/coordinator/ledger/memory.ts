/** A ledger log in memory, for simulations and tests; can lose acknowledgements on demand. */
import { WattsweepError } from '../../../proto/errors.js';
import type { AppendOutcome, LedgerLog, LogEntry, LogStanding } from './log.js';

export interface MemoryLogOptions {
  /** @default 1048576 */
  readonly maxEntryBytes?: number;
  /** Asked at each append: `before` loses the request, `after` writes and loses the acknowledgement. */
  readonly lose?: (appendId: string) => 'before' | 'after' | null;
}

let logsMade = 0;

export class MemoryLog implements LedgerLog {
  readonly maxEntryBytes: number;
  readonly #madeAt = `log ${(logsMade += 1)}`;
  readonly #entries: Uint8Array[] = [];
  readonly #lose: NonNullable<MemoryLogOptions['lose']>;

  constructor(options: MemoryLogOptions = {}) {
    this.maxEntryBytes = options.maxEntryBytes ?? 1_048_576;
    this.#lose = options.lose ?? (() => null);
  }

  readonly interruptions = 0;

  entryAt(seq: number): Promise<Uint8Array | null> {
    return Promise.resolve(this.#entries[seq - 1] ?? null);
  }

  look(): Promise<LogStanding> {
    return Promise.resolve({ madeAt: this.#madeAt, lastSeq: this.#entries.length });
  }

  async *read(fromSeq: number): AsyncGenerator<LogEntry> {
    const last = this.#entries.length;
    for (let seq = Math.max(1, fromSeq); seq <= last; seq += 1) {
      const data = this.#entries[seq - 1];
      if (data !== undefined) yield await Promise.resolve({ seq, data });
    }
  }

  async append(appendId: string, data: Uint8Array, expectedLastSeq: number): Promise<AppendOutcome> {
    const lost = this.#lose(appendId);
    await Promise.resolve();
    if (lost === 'before') throw new WattsweepError('NATS_UNREACHABLE', 'the request was lost');
    const ok = this.#entries.length === expectedLastSeq;
    if (ok) this.#entries.push(data.slice());
    if (lost === 'after') throw new WattsweepError('NATS_UNREACHABLE', 'the acknowledgement was lost');
    return ok ? { ok, seq: this.#entries.length } : { ok };
  }
}
