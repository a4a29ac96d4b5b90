/** Reads a growing spool: each call gives the whole lines that came since the last one, with their numbers. */
import { open, type FileHandle } from 'node:fs/promises';
import { parseRunnerLine, type SpoolRecord } from './record.js';
import type { RunnerLine } from '../protocol/runner.js';

export interface NumberedRecord {
  /** Position in the spool, 1-based. */
  readonly number: number;
  /** Null when the line is not a record: it counts, but says nothing. */
  readonly record: SpoolRecord | null;
}

const CHUNK_BYTES = 256 * 1024;

export class SpoolReader {
  #file: FileHandle | null = null;
  /** Where the first line begins that has not been read whole: a half one may be cut off, and another take its place. */
  #offset = 0;
  #number = 0;

  constructor(private readonly path: string) {}

  /** The lines that are new; empty when there is no spool yet. */
  async read(): Promise<readonly NumberedRecord[]> {
    if (this.#file === null) {
      try {
        this.#file = await open(this.path, 'r');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    }
    const records: NumberedRecord[] = [];
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let bytes: Buffer = Buffer.alloc(0);
    for (;;) {
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#file.read(chunk, 0, CHUNK_BYTES, this.#offset + bytes.length));
      } catch (error) {
        await this.close();
        // What was read before it is not lost; the next call meets the error again, if it lasts.
        if (records.length > 0) return records;
        throw error;
      }
      if (bytesRead === 0) return records;
      bytes = Buffer.concat([bytes, chunk.subarray(0, bytesRead)]);
      for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10)) {
        this.#number += 1;
        records.push({ number: this.#number, record: parseRecord(bytes.toString('utf8', 0, at)) });
        bytes = bytes.subarray(at + 1);
        this.#offset += at + 1;
      }
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }
}

function parseRecord(text: string): SpoolRecord | null {
  try {
    const { atUnixMs, monotonicMs, line } = JSON.parse(text) as Record<string, unknown>;
    if (typeof atUnixMs !== 'number' || typeof monotonicMs !== 'number') return null;
    const parsed = parseRunnerLine(JSON.stringify(line));
    return parsed === null ? null : { atUnixMs, monotonicMs, line: parsed as unknown as RunnerLine };
  } catch {
    return null;
  }
}
