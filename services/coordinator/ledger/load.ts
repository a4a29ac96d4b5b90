/** From the log to the state: a snapshot, if there is a good one, and the fold of every entry behind it. */
import { WattsweepError } from '../../../proto/errors.js';
import { fold, initialState, type LedgerEvent, type State } from '../core/index.js';
import { decodeBatch } from './codec.js';
import { marked, NOTHING_TAKEN, type ReportsMark } from './mark.js';
import type { FoldedLog, LedgerLog } from './log.js';
import { wholeSnapshots, type SnapshotOptions } from './snapshot/index.js';

export interface LoadedLedger extends FoldedLog {
  readonly state: State;
  /** Up to which the ledger has every report. */
  readonly reports: ReportsMark;
  /** Events in all, and how many of them a snapshot spared. */
  readonly events: number;
  readonly eventsInSnapshot: number;
}

/** Every event, in order. @throws LEDGER_UNREADABLE, LEDGER_VERSION naming the entry; NATS_UNREACHABLE */
export async function* readEvents(log: LedgerLog): AsyncGenerator<LedgerEvent> {
  for await (const { seq, data } of log.read(1)) yield* decodeBatch(data, seq).events;
}

/**
 * @param snapshots none: every entry is folded
 * @throws LEDGER_UNREADABLE, LEDGER_VERSION naming the entry; NATS_UNREACHABLE
 */
export async function loadLedger(log: LedgerLog, snapshots?: SnapshotOptions): Promise<LoadedLedger> {
  const { interruptions } = log;
  const madeAt = (await log.look())?.madeAt ?? '';
  if (snapshots !== undefined) {
    for await (const { state, facts, skip } of wholeSnapshots(snapshots)) {
      const loaded = await foldFrom(log, {
        ...facts,
        state,
        madeAt,
        interruptions,
        lastSeq: facts.seq,
        reports: { seq: facts.reportsSeq, storedAtMs: null },
        eventsInSnapshot: facts.events,
      }).catch((error: unknown) => {
        if (error instanceof WattsweepError && error.code === 'NATS_UNREACHABLE') throw error;
        // Whatever is wrong with the ledger itself comes out without a snapshot, too.
        skip(`the ledger does not go on from it: ${String(error)}`);
        return null;
      });
      if (loaded !== null) return loaded;
    }
  }
  return foldFrom(log, {
    state: initialState(),
    madeAt,
    interruptions,
    lastSeq: 0,
    appendId: '',
    reports: NOTHING_TAKEN,
    events: 0,
    eventsInSnapshot: 0,
  });
}

async function foldFrom(log: LedgerLog, begin: LoadedLedger): Promise<LoadedLedger> {
  const { state } = begin;
  let { lastSeq, appendId, reports, events } = begin;
  let isKnown = begin.lastSeq === 0;
  // The entry that a snapshot ends with is read once more: it tells whether this is its ledger.
  for await (const { seq, data } of log.read(Math.max(1, begin.lastSeq))) {
    const batch = decodeBatch(data, seq);
    if (!isKnown) {
      if (batch.appendId !== begin.appendId) break;
      isKnown = true;
      reports = marked(batch);
      continue;
    }
    try {
      for (const event of batch.events) fold(state, event);
    } catch (cause) {
      throw new WattsweepError(
        'LEDGER_UNREADABLE',
        `the ledger's entry ${seq} does not follow from those before it`,
        { cause },
      );
    }
    ({ appendId } = batch);
    reports = marked(batch);
    lastSeq = seq;
    events += batch.events.length;
  }
  if (!isKnown) throw new WattsweepError('LEDGER_UNREADABLE', 'its last entry is not in this ledger');
  const { madeAt, interruptions, eventsInSnapshot } = begin;
  return { state, madeAt, interruptions, lastSeq, appendId, reports, events, eventsInSnapshot };
}
