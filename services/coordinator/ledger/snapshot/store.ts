/**
 * Where snapshots are kept: named pieces of bytes, each with a few facts. Two implementations, `object-store.ts` on
 * JetStream and the one in memory below, pass the same contract suite. What the bytes mean is `state.ts`.
 */

export interface SnapshotFacts {
  /** Who can read it: see `schema.ts`. */
  readonly schema: string;
  readonly ledgerId: string;
  /** The ledger's last entry that is in it, and the id that its writer gave it. */
  readonly seq: number;
  readonly appendId: string;
  /** Events folded, from the beginning. */
  readonly events: number;
  readonly reportsSeq: number;
}

/** The facts as one text, for the checksum. */
export const factsText = ({ schema, ledgerId, seq, appendId, events, reportsSeq }: SnapshotFacts): string =>
  JSON.stringify([schema, ledgerId, seq, appendId, events, reportsSeq]);

export interface StoredSnapshot {
  readonly name: string;
  readonly facts: SnapshotFacts;
  readonly bytes: number;
  /** SHA-256 of facts and content, hexadecimal. */
  readonly checksum: string;
}

/** A snapshot that is being written. It exists once `finish` has returned. All throw NATS_UNREACHABLE. */
export interface SnapshotSink {
  /** Waits while too much is under way. */
  write(part: Uint8Array): Promise<void>;
  finish(name: string, facts: SnapshotFacts, checksum: string): Promise<void>;
  /** Removes what was written, as far as it can. */
  abandon(): Promise<void>;
}

export interface SnapshotStore {
  /** Largest part, bytes. */
  readonly maxPartBytes: number;
  /** Every snapshot whose facts can be read. @throws NATS_UNREACHABLE */
  list(): Promise<readonly StoredSnapshot[]>;
  /** The content, or null when it is not all there. @throws NATS_UNREACHABLE */
  read(snapshot: StoredSnapshot): Promise<Uint8Array | null>;
  create(): SnapshotSink;
  /** Removes all but those named, and what writers that died have left. @throws NATS_UNREACHABLE */
  keepOnly(names: ReadonlySet<string>): Promise<void>;
}

export class MemorySnapshots implements SnapshotStore {
  readonly maxPartBytes = 64 * 1024;
  readonly #kept = new Map<string, { readonly stored: StoredSnapshot; readonly content: Uint8Array }>();

  list(): Promise<readonly StoredSnapshot[]> {
    return Promise.resolve([...this.#kept.values()].map(({ stored }) => stored));
  }

  read({ name }: StoredSnapshot): Promise<Uint8Array | null> {
    return Promise.resolve(this.#kept.get(name)?.content ?? null);
  }

  create(): SnapshotSink {
    const parts: Uint8Array[] = [];
    return {
      write: (part) => {
        parts.push(part.slice());
        return Promise.resolve();
      },
      finish: (name, facts, checksum) => {
        const content = Buffer.concat(parts);
        this.#kept.set(name, { stored: { name, facts, checksum, bytes: content.length }, content });
        return Promise.resolve();
      },
      abandon: () => Promise.resolve(),
    };
  }

  keepOnly(names: ReadonlySet<string>): Promise<void> {
    for (const name of this.#kept.keys()) if (!names.has(name)) this.#kept.delete(name);
    return Promise.resolve();
  }
}
