/**
 * Takes REPORTS into the ledger, in order, from the place where the ledger stands. The mark on the stream goes into the
 * same entry as the events, so a report is neither lost nor taken twice; and what is behind the mark is trimmed.
 */
import type { Logger } from 'pino';
import { ReportBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { REPORTS_STREAM } from '../../../proto/subjects.js';
import { WattsweepError } from '../../../proto/errors.js';
import { isAborted, systemClock, type Clock } from '../clock.js';
import type { Input } from '../core/index.js';
import type { ReportsMark } from '../ledger/index.js';
import type { NatsLink, StreamBounds } from '../nats/index.js';
import { toReportInput } from './convert.js';
import { ReportsProgress } from './progress.js';
import { KEPT_REPORTS, Trimming, type KeptReports } from './trimming.js';

/** What the feed needs of the ledger's writer. */
export interface ReportsSink {
  readonly savedReports: ReportsMark;
  readonly backlogBytes: number;
  offer(inputs: readonly Input[], reports: ReportsMark): Promise<void>;
}

/** What the feed needs of the connection. */
export type ReportsLink = Pick<NatsLink, 'bounds' | 'consume' | 'messageAt' | 'purgeBelow'>;

export interface ReportsOptions {
  readonly link: ReportsLink;
  readonly sink: ReportsSink;
  readonly now: () => number;
  readonly log: Logger;
  /** Called with the number of reports taken from the stream. */
  readonly onConsumed: (count: number) => void;
  /** Of reports that the ledger has. @default a day, 256 MiB */
  readonly kept?: KeptReports;
  /** Told how far it is. @default nobody is */
  readonly progress?: ReportsProgress;
  /** @default 30000 */
  readonly trimEveryMs?: number;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** Stops reading while this much waits for the ledger. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;
const TRIM_EVERY_MS = 30_000;

/**
 * Feeds until `signal` aborts.
 * @param onCaughtUp called once, when everything that the stream held at the start has been decided
 * @throws NATS_UNREACHABLE when the stream does not answer at the start
 */
export async function feedReports(
  options: ReportsOptions,
  signal: AbortSignal,
  onCaughtUp: () => void,
): Promise<void> {
  const { link, sink, progress = new ReportsProgress() } = options;
  const doubted = new Set<string>();
  let caughtUp = false;
  const catchUp = (): void => {
    if (!caughtUp) onCaughtUp();
    caughtUp = true;
  };
  // Ends early only when the stream is no longer the one that it was.
  while (!isAborted(signal)) {
    const bounds = await link.bounds(REPORTS_STREAM);
    const { lastSeq } = bounds;
    const from = firstToTake(options, bounds, await isAnotherStream(options, bounds));
    progress.reach(from - 1);
    if (from > lastSeq) catchUp();
    const done = new AbortController();
    let taken = from - 1;
    void trimRegularly(options, () => taken, done);
    try {
      for await (const message of link.consume(
        REPORTS_STREAM,
        from,
        AbortSignal.any([signal, done.signal]),
      )) {
        const { seq, storedAtMs } = message;
        const written = offer(options, inputsOf(message.data, seq, options, doubted), { seq, storedAtMs });
        taken = seq;
        progress.reach(seq);
        if (sink.backlogBytes > MAX_BACKLOG_BYTES) await written;
        if (message.seq >= lastSeq) catchUp();
      }
    } finally {
      done.abort();
      progress.beginAnew();
    }
  }
}

/** A server's clock is read in two ways, of which one rounds. */
const SAME_MOMENT_MS = 1;

/** The stream ends before the place up to which the ledger has it, or has another message there: it was replaced. */
async function isAnotherStream(
  { link, sink }: ReportsOptions,
  { firstSeq, lastSeq }: StreamBounds,
): Promise<boolean> {
  const { seq, storedAtMs } = sink.savedReports;
  if (seq > lastSeq) return true;
  if (storedAtMs === null || seq < firstSeq) return false;
  const message = await link.messageAt(REPORTS_STREAM, seq);
  return message !== null && Math.abs(message.storedAtMs - storedAtMs) > SAME_MOMENT_MS;
}

/** Says so when reports are gone that the ledger has not taken. */
function firstToTake(
  options: ReportsOptions,
  { firstSeq, lastSeq }: StreamBounds,
  wasMadeAnew: boolean,
): number {
  const { sink, log, now } = options;
  const saved = sink.savedReports.seq;
  if (!wasMadeAnew && firstSeq <= saved + 1) return saved + 1;
  const [fromSeq, toSeq] = [saved + 1, wasMadeAnew ? null : firstSeq - 1];
  log.warn(
    { fromSeq, toSeq, lastSeq },
    wasMadeAnew
      ? 'the stream of reports was made anew, or restored from a copy of another age: reading it from its start'
      : 'reports were removed before the ledger had taken them: their epochs are missing, trials go on',
  );
  const mark = { seq: firstSeq - 1, storedAtMs: null };
  void offer(options, [{ type: 'reports_missing', fromSeq, toSeq, at: now() }], mark);
  return firstSeq;
}

function offer({ sink, log }: ReportsOptions, inputs: readonly Input[], mark: ReportsMark): Promise<void> {
  return sink.offer(inputs, mark).catch((error: unknown) => {
    const stopped = error instanceof WattsweepError && error.code === 'DEPOSED';
    if (!stopped) log.error({ err: error, seq: mark.seq }, 'a report was left out');
  });
}

/** Attempts whose words are doubted in the log; beyond, nothing more is said. */
const MOST_DOUBTED = 1_000;

/** @param doubted attempts of which the log has a doubt already */
function inputsOf(
  data: Uint8Array,
  seq: number,
  { now, log, onConsumed }: ReportsOptions,
  doubted: Set<string>,
): Input[] {
  let batch: ReportBatch;
  try {
    batch = ReportBatch.decode(data);
  } catch (error) {
    log.error({ err: error, seq }, 'a message on the stream of reports cannot be read');
    return [];
  }
  onConsumed(batch.reports.length);
  const at = now();
  return batch.reports.flatMap((message): Input[] => {
    const doubts: string[] = [];
    const report = toReportInput(message, (sentence) => void doubts.push(sentence));
    if (report !== null && doubts.length > 0) {
      const { sweepId, trialId, attempt } = report;
      const attemptId = `${batch.trainerId} ${sweepId}/${trialId}#${attempt}`;
      if (!doubted.has(attemptId) && doubted.size < MOST_DOUBTED) {
        doubted.add(attemptId);
        log.warn({ seq, attempt: attemptId, doubts }, 'a trainer says what cannot be; said once an attempt');
      }
    }
    if (report !== null) return [{ type: 'reported', trainerId: batch.trainerId, report, at }];
    log.warn({ seq, trainerId: batch.trainerId, spoolLine: message.spoolLine }, 'a report names no attempt');
    return [];
  });
}

/** Ends the feed when the stream turns out to be another one: it ends before what was taken. */
async function trimRegularly(
  options: ReportsOptions,
  taken: () => number,
  done: AbortController,
): Promise<void> {
  const { clock = systemClock, trimEveryMs = TRIM_EVERY_MS, kept = KEPT_REPORTS, link, sink, log } = options;
  const trimming = new Trimming(kept);
  for (;;) {
    await clock.sleep(trimEveryMs, { signal: done.signal });
    if (done.signal.aborted) return;
    try {
      const before = taken();
      const bounds = await link.bounds(REPORTS_STREAM);
      if (bounds.lastSeq < before) {
        done.abort();
        return;
      }
      // A mark beyond what was taken is of a stream that is gone.
      const { seq } = sink.savedReports;
      if (seq > taken()) continue;
      const below = trimming.below(clock.monotonicMs(), seq, bounds);
      if (bounds.firstSeq < below) await link.purgeBelow(REPORTS_STREAM, below);
    } catch (error) {
      log.debug({ err: error }, 'the stream of reports could not be trimmed');
    }
  }
}
