/** What goes when a disk is to stay usable: pure, so that it can be tried with any times and sizes. */

/** A folder that is kept or removed as a whole. */
export interface Folder {
  readonly path: string;
  readonly bytes: number;
  /** When it was last of use, in milliseconds since 1970. */
  readonly lastMs: number;
  /** Whether it may go at all: nothing that is open needs it. */
  readonly isClosed: boolean;
}

export interface Bounds {
  /** Bytes of all folders together, above which the oldest go. */
  readonly keepBytes: number;
  /** Younger ones stay, however many bytes there are. */
  readonly staysForMs: number;
  /** Older ones go, however few bytes there are; Infinity: age alone removes none. */
  readonly goesAfterMs: number;
}

export interface Choice {
  /** Oldest first. */
  readonly removed: readonly Folder[];
  /** What stays, in bytes; above `keepBytes` when no more may go. */
  readonly bytesLeft: number;
}

export function chooseRemoved(folders: readonly Folder[], bounds: Bounds, nowMs: number): Choice {
  const removed: Folder[] = [];
  let bytesLeft = folders.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const folder of [...folders].sort((a, b) => a.lastMs - b.lastMs)) {
    const ageMs = nowMs - folder.lastMs;
    const isDue = ageMs > bounds.goesAfterMs || (bytesLeft > bounds.keepBytes && ageMs > bounds.staysForMs);
    if (!folder.isClosed || !isDue) continue;
    removed.push(folder);
    bytesLeft -= folder.bytes;
  }
  return { removed, bytesLeft };
}
