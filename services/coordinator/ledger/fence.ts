/**
 * Appending under the fence: an entry is written only directly after the last one that the writer has folded. A lost
 * acknowledgement looks just like having been deposed (the retry meets a longer log), so the log itself is asked.
 */
import { WattsweepError } from '../../../proto/errors.js';
import { systemClock, type Clock } from '../clock.js';
import { decodeBatch, type BatchHeader } from './codec.js';
import type { FoldedLog, LedgerLog, LogStanding } from './log.js';

export type FencedOutcome =
  | { readonly outcome: 'accepted'; readonly seq: number; readonly interruptions: number }
  /** Another coordinator has begun a newer term. */
  | { readonly outcome: 'deposed'; readonly term: number; readonly coordinatorId: string }
  /** Others have written, in no newer term, or it is another log by now, or gone: fold again, decide again. */
  | { readonly outcome: 'behind' };

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** Refusals without a newer entry that are waited for; after that the log is folded again in any case. */
const UNEXPLAINED_LIMIT = 20;
/** A server that is just taking over may know less than was acknowledged: for so long it is asked again. */
const DOUBT_MS = 2_000;

/**
 * Appends until the log has given an answer, however often the connection fails meanwhile.
 * @param after the log as the writer has folded it
 * @param onRetry told of each failure
 * @throws DEPOSED when `signal` aborts first: whether the entry was written is then not known
 */
export async function appendFenced(
  log: LedgerLog,
  header: BatchHeader,
  data: Uint8Array,
  after: FoldedLog,
  signal: AbortSignal,
  onRetry: (error: WattsweepError) => void = () => undefined,
  clock: Clock = systemClock,
): Promise<FencedOutcome> {
  const expectedLastSeq = after.lastSeq;
  const doubt = new Doubt(log, after, clock);
  let unexplained = 0;
  /** The log was ours when it had been interrupted so often; null: that is not known. */
  let ours: number | null = after.interruptions;
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
    if (signal.aborted)
      throw new WattsweepError('DEPOSED', 'this coordinator stopped leading while it was writing');
    try {
      const { interruptions } = log;
      if (interruptions !== ours && !(await isStillOurs(log, after))) return { outcome: 'behind' };
      ours = interruptions;
      const appended = await log.append(header.appendId, data, expectedLastSeq);
      if (appended.ok && appended.seq === expectedLastSeq + 1)
        return { outcome: 'accepted', seq: appended.seq, interruptions };
      const outcome = await whoWrote(log, header, expectedLastSeq + 1, interruptions);
      if (outcome !== null) return outcome;
      // A cluster counts an entry before it can be read: the one in the way may be this one.
      unexplained += 1;
      if (unexplained > UNEXPLAINED_LIMIT) return { outcome: 'behind' };
      doubt.look();
    } catch (error) {
      if (!(error instanceof WattsweepError && error.code === 'NATS_UNREACHABLE')) throw error;
      onRetry(error);
      ours = null;
      doubt.look();
    }
    if (doubt.isCertain) return { outcome: 'behind' };
    await clock.sleep(wait, { signal });
  }
}

/** How the log stands for who has written the entry. */
export const placeAfter = (
  { madeAt }: FoldedLog,
  { appendId }: BatchHeader,
  { seq, interruptions }: Extract<FencedOutcome, { outcome: 'accepted' }>,
): FoldedLog => ({ madeAt, lastSeq: seq, appendId, interruptions });

export const placeOf = ({ madeAt, lastSeq, appendId, interruptions }: FoldedLog): FoldedLog => ({
  madeAt,
  lastSeq,
  appendId,
  interruptions,
});

/** A log of the same length may have taken its place. One that lacks the entry refuses the append by itself. */
async function isStillOurs(log: LedgerLog, { lastSeq, appendId }: FoldedLog): Promise<boolean> {
  if (lastSeq === 0) return true;
  const entry = await log.entryAt(lastSeq);
  return entry === null || decodeBatch(entry, lastSeq).appendId === appendId;
}

/** Whether the log that was folded is there no more, asked beside the appends: the answer may take seconds. */
class Doubt {
  #isLooking = false;
  #sinceMs: number | null = null;
  #isCertain = false;

  constructor(
    private readonly log: LedgerLog,
    private readonly folded: LogStanding,
    private readonly clock: Clock,
  ) {}

  get isCertain(): boolean {
    return this.#isCertain;
  }

  look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.log
      .look()
      .then((found) => this.#weigh(found))
      // Who does not answer has said nothing.
      .catch(() => (this.#sinceMs = null))
      .finally(() => (this.#isLooking = false));
  }

  #weigh(found: LogStanding | null): void {
    const { madeAt, lastSeq } = this.folded;
    if (found?.madeAt === madeAt && found.lastSeq >= lastSeq) {
      this.#sinceMs = null;
      return;
    }
    this.#sinceMs ??= this.clock.monotonicMs();
    const isAnother = found !== null && found.madeAt !== madeAt;
    this.#isCertain = isAnother || this.clock.monotonicMs() - this.#sinceMs >= DOUBT_MS;
  }
}

/** Null when nothing stands there. */
async function whoWrote(
  log: LedgerLog,
  header: BatchHeader,
  fromSeq: number,
  interruptions: number,
): Promise<FencedOutcome | null> {
  let found = false;
  for await (const { seq, data } of log.read(fromSeq)) {
    found = true;
    const batch = decodeBatch(data, seq);
    if (batch.appendId === header.appendId) return { outcome: 'accepted', seq, interruptions };
    for (const event of batch.events) {
      if (event.type === 'term_started' && event.term > header.term) {
        return { outcome: 'deposed', term: event.term, coordinatorId: event.coordinatorId };
      }
    }
  }
  return found ? { outcome: 'behind' } : null;
}
