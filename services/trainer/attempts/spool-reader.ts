/** Reads a growing spool: each call gives the whole lines that came since the last one, with their numbers. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parseSpoolLine, type SpoolRecord } from './record.js';

export interface NumberedRecord {
  /** Position in the spool, 1-based. */
  readonly number: number;
  /** Null when the line is not a record: it counts, but says nothing. */
  readonly record: SpoolRecord | null;
}

const CHUNK_BYTES = 256 * 1024;
/** One for all readers: a reading is over before the next begins. */
const shared = Buffer.allocUnsafe(CHUNK_BYTES);

export class SpoolReader {
  #fd: number | null = null;
  /** Where the first line begins that has not been read whole: a half one may be cut off, and another take its place. */
  #offset = 0;
  #number = 0;
  #hasMore = false;

  constructor(private readonly path: string) {}

  /** The last reading did not come to the spool's end. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /**
   * Lines that are new, some 256 KiB of them at most; empty when there are none, or no spool yet. They were written on
   * this host a moment ago: reading them does not wait for a disk.
   *
   * @throws Error of the file system
   */
  read(): readonly NumberedRecord[] {
    const fd = this.#open();
    if (fd === null) return [];
    const records: NumberedRecord[] = [];
    let chunk = shared;
    for (;;) {
      const bytes = chunk.subarray(0, this.#fill(fd, chunk));
      let at = 0;
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, at)) {
        this.#number += 1;
        records.push({ number: this.#number, record: parseSpoolLine(bytes.toString('utf8', at, end)) });
        at = end + 1;
      }
      this.#offset += at;
      this.#hasMore = bytes.length === chunk.length;
      if (records.length > 0 || !this.#hasMore) return records;
      // A line longer than the chunk.
      chunk = Buffer.allocUnsafe(2 * chunk.length);
    }
  }

  #open(): number | null {
    try {
      this.#fd ??= openSync(this.path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    return this.#fd;
  }

  #fill(fd: number, chunk: Buffer): number {
    try {
      return readSync(fd, chunk, 0, chunk.length, this.#offset);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
