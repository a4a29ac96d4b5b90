/** How snapshots are taken and read; what is said of them. */
import type { SnapshotStore } from './store.js';

export interface SnapshotOptions {
  readonly store: SnapshotStore;
  /** From `schemaOf`. */
  readonly schema: string;
  /** A snapshot is due when so many events came after the last one. @default 50000 */
  readonly everyEvents?: number;
  /** Told what became of snapshots: taken, failed, skipped. */
  readonly tell: (word: SnapshotWord) => void;
}

export type SnapshotWord =
  | { readonly what: 'taken'; readonly seq: number; readonly bytes: number; readonly ms: number }
  | { readonly what: 'failed'; readonly error: unknown }
  | { readonly what: 'skipped'; readonly name: string; readonly why: string };
