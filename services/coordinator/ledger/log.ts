/**
 * The log under the ledger: bytes in one total order, appended only when the writer knows the last sequence. Two
 * implementations, `jetstream.ts` and `memory.ts`, pass the same contract suite. What the bytes mean is `codec.ts`,
 * who may append is `fence.ts`, when is `committer.ts`.
 */

export interface LogEntry {
  /** 1 for the first entry; rises by exactly one. */
  readonly seq: number;
  readonly data: Uint8Array;
}

/** `ok: false`: the log's last sequence is not the expected one, and nothing was written. */
export type AppendOutcome = { readonly ok: true; readonly seq: number } | { readonly ok: false };

/** How a log stands. */
export interface LogStanding {
  /** Differs when the log was made anew. */
  readonly madeAt: string;
  /** 0 when it is empty. */
  readonly lastSeq: number;
}

/** A log as its writer has folded it. */
export interface FoldedLog extends LogStanding {
  /** Of the append that wrote the last entry; empty for none. */
  readonly appendId: string;
  /** As the log had counted them when its last entry was certainly that one. */
  readonly interruptions: number;
}

export interface LedgerLog {
  /** Largest entry, bytes. */
  readonly maxEntryBytes: number;

  /** Rises whenever the way to the log was interrupted: another one may stand there since. */
  readonly interruptions: number;

  /** Null when there is none. @throws NATS_UNREACHABLE */
  entryAt(seq: number): Promise<Uint8Array | null>;

  /** Null when there is no log. @throws NATS_UNREACHABLE */
  look(): Promise<LogStanding | null>;

  /**
   * Entries from `fromSeq` to the one that is last when the call begins.
   * @throws LEDGER_UNREADABLE when an entry is missing; NATS_UNREACHABLE
   */
  read(fromSeq: number): AsyncIterable<LogEntry>;

  /**
   * Writes one entry if the log's last sequence is `expectedLastSeq`. Durable once it returns.
   * @throws NATS_UNREACHABLE when it is not known whether the entry was written
   */
  append(appendId: string, data: Uint8Array, expectedLastSeq: number): Promise<AppendOutcome>;
}
