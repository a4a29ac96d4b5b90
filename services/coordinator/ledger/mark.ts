/** How far the ledger has taken the stream REPORTS. */
import type { BatchHeader } from './codec.js';

export interface ReportsMark {
  /** Of the last message taken; 0 for none. */
  readonly seq: number;
  /**
   * When the server stored that message, milliseconds since 1970; null where it is not known. A stream that was restored or
   * made anew has another message there.
   */
  readonly storedAtMs: number | null;
}

export const NOTHING_TAKEN: ReportsMark = { seq: 0, storedAtMs: null };

type Marked = Pick<BatchHeader, 'reportsSeq' | 'reportsStoredAtMs'>;

/** As it stands in an entry of the ledger. */
export const marked = ({ reportsSeq, reportsStoredAtMs }: Marked): ReportsMark => ({
  seq: reportsSeq,
  storedAtMs: reportsStoredAtMs ?? null,
});

export const toMarked = ({ seq, storedAtMs }: ReportsMark): Marked => ({
  reportsSeq: seq,
  ...(storedAtMs === null ? {} : { reportsStoredAtMs: storedAtMs }),
});
