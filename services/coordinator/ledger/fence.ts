/**
 * Appending under the fence: an entry is written only directly after the last one that the writer has folded. A lost
 * acknowledgement looks just like having been deposed (the retry meets a longer log), so the log itself is asked.
 */
import { WattsweepError } from '../../../proto/errors.js';
import { systemClock, type Clock } from '../clock.js';
import { decodeBatch, type BatchHeader } from './codec.js';
import type { LedgerLog } from './log.js';

export type FencedOutcome =
  | { readonly outcome: 'accepted'; readonly seq: number }
  /** Another coordinator has begun a newer term. */
  | { readonly outcome: 'deposed'; readonly term: number; readonly coordinatorId: string }
  /** Others have written, in no newer term: fold again, decide again. */
  | { readonly outcome: 'behind' };

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** Refusals without a newer entry that are waited for; after that the log is taken to be another one. */
const UNEXPLAINED_LIMIT = 20;

/**
 * Appends until the log has given an answer, however often the connection fails meanwhile.
 * @param onRetry told of each failure
 * @throws DEPOSED when `signal` aborts first: whether the entry was written is then not known
 */
export async function appendFenced(
  log: LedgerLog,
  header: BatchHeader,
  data: Uint8Array,
  expectedLastSeq: number,
  signal: AbortSignal,
  onRetry: (error: WattsweepError) => void = () => undefined,
  clock: Clock = systemClock,
): Promise<FencedOutcome> {
  let unexplained = 0;
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
    if (signal.aborted)
      throw new WattsweepError('DEPOSED', 'this coordinator stopped leading while it was writing');
    try {
      const appended = await log.append(header.appendId, data, expectedLastSeq);
      if (appended.ok && appended.seq === expectedLastSeq + 1)
        return { outcome: 'accepted', seq: appended.seq };
      const outcome = await whoWrote(log, header, expectedLastSeq + 1);
      if (outcome !== null) return outcome;
      // A cluster counts an entry before it can be read: the one in the way may be this one.
      unexplained += 1;
      if (unexplained > UNEXPLAINED_LIMIT) return { outcome: 'behind' };
    } catch (error) {
      if (!(error instanceof WattsweepError && error.code === 'NATS_UNREACHABLE')) throw error;
      onRetry(error);
    }
    await clock.sleep(wait, { signal });
  }
}

/** Null when nothing stands there. */
async function whoWrote(log: LedgerLog, header: BatchHeader, fromSeq: number): Promise<FencedOutcome | null> {
  let found = false;
  for await (const { seq, data } of log.read(fromSeq)) {
    found = true;
    const batch = decodeBatch(data, seq);
    if (batch.appendId === header.appendId) return { outcome: 'accepted', seq };
    for (const event of batch.events) {
      if (event.type === 'term_started' && event.term > header.term) {
        return { outcome: 'deposed', term: event.term, coordinatorId: event.coordinatorId };
      }
    }
  }
  return found ? { outcome: 'behind' } : null;
}
