/** The ledger: a fenced log of batches of events (`fence.ts`, `codec.ts`) and its one writer (`committer.ts`). */
export { Committer } from './committer.js';
export type { CommitterObserver, CommitterOptions } from './options.js';
export { JetStreamLog, type LedgerLink } from './jetstream.js';
export { loadLedger, readEvents, type LoadedLedger } from './load.js';
export type { LedgerLog } from './log.js';
export type { ReportsMark } from './mark.js';
export { LedgerBeginning } from './lost.js';
export { refuseNewerLedger } from './newer.js';
export { ObjectStoreSnapshots, schemaOf, type SnapshotOptions, type SnapshotWord } from './snapshot/index.js';
