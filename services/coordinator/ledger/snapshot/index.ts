/** Snapshots of the folded ledger: taken by `keeper.ts`, found again by `load.ts`, kept in a `store.ts`. */
export { SnapshotKeeper } from './keeper.js';
export { wholeSnapshots } from './load.js';
export type { SnapshotOptions, SnapshotWord } from './options.js';
export { schemaOf } from './schema.js';
export {
  MemorySnapshots,
  type SnapshotFacts,
  type SnapshotSink,
  type SnapshotStore,
  type StoredSnapshot,
} from './store.js';
export { ObjectStoreSnapshots } from './object-store.js';
