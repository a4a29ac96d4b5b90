/** The ledger: a fenced log of batches of events (`fence.ts`, `codec.ts`) and its one writer (`committer.ts`). */
export { Committer, type CommitterObserver, type CommitterOptions } from './committer.js';
export { JetStreamLog, type LedgerLink } from './jetstream.js';
export { loadLedger, readEvents, type LoadedLedger } from './load.js';
export type { LedgerLog } from './log.js';
