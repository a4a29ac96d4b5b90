/**
 * Takes REPORTS into the ledger, in order, from the place where the ledger stands. The mark on the stream goes into the
 * same entry as the events, so a report is neither lost nor taken twice; and what is behind the mark is trimmed.
 */
import type { Logger } from 'pino';
import { ReportBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { REPORTS_STREAM } from '../../../proto/subjects.js';
import { WattsweepError } from '../../../proto/errors.js';
import { systemClock, type Clock } from '../clock.js';
import type { Input } from '../core/index.js';
import type { NatsLink } from '../nats/index.js';
import { toReportInput } from './convert.js';

/** What the feed needs of the ledger's writer. */
export interface ReportsSink {
  readonly savedReportsSeq: number;
  readonly backlogBytes: number;
  offer(inputs: readonly Input[], reportsSeq: number): Promise<void>;
}

/** What the feed needs of the connection. */
export type ReportsLink = Pick<NatsLink, 'bounds' | 'consume' | 'purgeBelow'>;

export interface ReportsOptions {
  readonly link: ReportsLink;
  readonly sink: ReportsSink;
  readonly now: () => number;
  readonly log: Logger;
  /** Called with the number of reports taken from the stream. */
  readonly onConsumed: (count: number) => void;
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
  const { link, sink, log } = options;
  const { lastSeq } = await link.bounds(REPORTS_STREAM);
  let from = sink.savedReportsSeq + 1;
  if (sink.savedReportsSeq > lastSeq) {
    log.warn(
      { saved: sink.savedReportsSeq, lastSeq },
      'the stream of reports was made anew: reading it from its start',
    );
    from = 1;
  }
  let caughtUp = from > lastSeq;
  if (caughtUp) onCaughtUp();
  let taken = from - 1;
  const done = new AbortController();
  // A mark beyond what was taken is of a stream that is gone.
  void trimRegularly(options, () => sink.savedReportsSeq <= taken, done.signal);
  try {
    for await (const message of link.consume(REPORTS_STREAM, from, signal)) {
      const inputs = inputsOf(message.data, message.seq, options);
      const written = sink.offer(inputs, message.seq).catch((error: unknown) => {
        const stopped = error instanceof WattsweepError && error.code === 'DEPOSED';
        if (!stopped) log.error({ err: error, seq: message.seq }, 'a report was left out');
      });
      taken = message.seq;
      if (sink.backlogBytes > MAX_BACKLOG_BYTES) await written;
      if (!caughtUp && message.seq >= lastSeq) {
        caughtUp = true;
        onCaughtUp();
      }
    }
  } finally {
    done.abort();
  }
}

function inputsOf(data: Uint8Array, seq: number, { now, log, onConsumed }: ReportsOptions): Input[] {
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
    const report = toReportInput(message);
    if (report !== null) return [{ type: 'reported', trainerId: batch.trainerId, report, at }];
    log.warn({ seq, trainerId: batch.trainerId, spoolLine: message.spoolLine }, 'a report names no attempt');
    return [];
  });
}

async function trimRegularly(
  options: ReportsOptions,
  allowed: () => boolean,
  done: AbortSignal,
): Promise<void> {
  const { clock = systemClock, trimEveryMs = TRIM_EVERY_MS } = options;
  for (;;) {
    await clock.sleep(trimEveryMs, { signal: done });
    if (done.aborted) return;
    if (allowed()) await trim(options);
  }
}

async function trim({ link, sink, log }: ReportsOptions): Promise<void> {
  try {
    const { firstSeq } = await link.bounds(REPORTS_STREAM);
    if (firstSeq <= sink.savedReportsSeq) await link.purgeBelow(REPORTS_STREAM, sink.savedReportsSeq + 1);
  } catch (error) {
    log.debug({ err: error }, 'the stream of reports could not be trimmed');
  }
}
