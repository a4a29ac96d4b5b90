/** From the log to the state: the fold of every entry. Here a snapshot may one day stand in for the oldest ones. */
import { WattsweepError } from '../../../proto/errors.js';
import { fold, initialState, type LedgerEvent, type State } from '../core/index.js';
import { decodeBatch } from './codec.js';
import type { LedgerLog } from './log.js';

export interface LoadedLedger {
  readonly state: State;
  /** Sequence of the last entry folded; 0 for an empty ledger. */
  readonly lastSeq: number;
  /** Sequence on REPORTS up to which the ledger has every report. */
  readonly reportsSeq: number;
}

/** Every event, in order. @throws LEDGER_UNREADABLE, LEDGER_VERSION naming the entry; NATS_UNREACHABLE */
export async function* readEvents(log: LedgerLog): AsyncGenerator<LedgerEvent> {
  for await (const { seq, data } of log.read(1)) yield* decodeBatch(data, seq).events;
}

/** @throws LEDGER_UNREADABLE, LEDGER_VERSION naming the entry; NATS_UNREACHABLE */
export async function loadLedger(log: LedgerLog): Promise<LoadedLedger> {
  const state = initialState();
  let lastSeq = 0;
  let reportsSeq = 0;
  for await (const { seq, data } of log.read(1)) {
    const batch = decodeBatch(data, seq);
    try {
      for (const event of batch.events) fold(state, event);
    } catch (cause) {
      throw new WattsweepError(
        'LEDGER_UNREADABLE',
        `the ledger's entry ${seq} does not follow from those before it`,
        {
          cause,
        },
      );
    }
    lastSeq = seq;
    reportsSeq = batch.reportsSeq;
  }
  return { state, lastSeq, reportsSeq };
}
