/**
 * REPORTS is trimmed behind the ledger's mark, but not at once: a ledger that is restored from an older copy reads again
 * what came since. What is kept is bounded by age and by size.
 */
import type { StreamBounds } from '../nats/index.js';

export interface KeptReports {
  /** Reports that the ledger took so long ago may go, milliseconds. */
  readonly ms: number;
  /** Room for reports that the ledger has, bytes; older ones go earlier. */
  readonly bytes: number;
}

export const KEPT_REPORTS: KeptReports = { ms: 24 * 3_600_000, bytes: 256 * 1024 * 1024 };

export class Trimming {
  /** Where the ledger's mark stood, oldest first. */
  readonly #marks: { readonly atMs: number; readonly seq: number }[] = [];

  constructor(private readonly kept: KeptReports) {}

  /**
   * Sequence below which everything may go.
   * @param nowMs monotonic @param mark the ledger has every report up to it
   */
  below(nowMs: number, mark: number, { firstSeq, lastSeq, bytes }: StreamBounds): number {
    const marks = this.#marks;
    if (marks.at(-1)?.seq !== mark) marks.push({ atMs: nowMs, seq: mark });
    let old = 0;
    while ((marks[0]?.atMs ?? Infinity) <= nowMs - this.kept.ms) old = marks.shift()?.seq ?? old;
    // The last one stands for the future, too, as long as the mark does not move.
    if (marks.length === 0) marks.push({ atMs: nowMs - this.kept.ms, seq: mark });
    const messages = lastSeq - firstSeq + 1;
    const share = bytes > this.kept.bytes ? (bytes - this.kept.bytes) / bytes : 0;
    const large = firstSeq + Math.ceil(share * messages);
    // The message at the mark stays: by it one sees that the stream is this one still.
    return Math.min(mark - 1, Math.max(old, large - 1)) + 1;
  }
}
