/** Snapshots that this program can read; that there is none is no misfortune. */
import { createHash } from 'node:crypto';
import type { State } from '../../core/index.js';
import type { SnapshotOptions } from './options.js';
import { readState } from './state.js';
import { factsText, type SnapshotFacts, type StoredSnapshot } from './store.js';

export interface LoadedSnapshot {
  readonly state: State;
  readonly facts: SnapshotFacts;
  /** Says why it was no good after all. */
  readonly skip: (why: string) => void;
}

/**
 * Whole snapshots of this program's schema, the newest first, each read when it is asked for. Whether they are of the
 * ledger at hand is for the caller to see. @throws NATS_UNREACHABLE
 */
export async function* wholeSnapshots({
  store,
  schema,
  tell,
}: SnapshotOptions): AsyncGenerator<LoadedSnapshot> {
  const stored = (await store.list()).toSorted((a, b) => b.facts.seq - a.facts.seq);
  for (const snapshot of stored) {
    const { name, facts } = snapshot;
    const skip = (why: string): void => tell({ what: 'skipped', name, why });
    if (facts.schema !== schema) {
      skip(`another version wrote it (${facts.schema}; this one reads ${schema})`);
      continue;
    }
    const content = await store.read(snapshot);
    if (content === null || !isWhole(snapshot, content)) {
      skip('its checksum differs from what was written');
      continue;
    }
    try {
      yield { state: readState(content), facts, skip };
    } catch (error) {
      skip(`it cannot be read: ${String(error)}`);
    }
  }
}

const isWhole = ({ facts, checksum }: StoredSnapshot, content: Uint8Array): boolean =>
  createHash('sha256').update(content).update(factsText(facts)).digest('hex') === checksum;
