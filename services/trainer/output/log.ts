/**
 * What an attempt's program prints, bounded: the beginning, and the newest part. The supervisor writes it here; the
 * service reads it (`reader.ts`) for those who ask, also while it grows.
 *
 * While the program runs there is the head, `output.log`, and behind it numbered parts of one size, `output.log.1` and so
 * on, of which the last two are kept; at the end they become one file. So each byte has one place, from the first byte
 * printed, which both ends know.
 */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

export const HEAD_BYTES = 256 * 1024;
export const PART_BYTES = 256 * 1024;

/** Where in the program's output part `number` (from 1) begins, in bytes. */
export const partBegin = (number: number): number => HEAD_BYTES + (number - 1) * PART_BYTES;

/** Stands between the head and the rest of a joined file. */
export const gapLine = (bytes: number): string => `\n[... ${String(bytes)} bytes left out ...]\n`;
export const GAP_LINE = /^\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n/;

/** Numbers of the parts that are there, rising. */
export function partNumbers(path: string): readonly number[] {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d*$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

export const partPath = (path: string, number: number): string =>
  join(dirname(path), `${basename(path)}.${String(number)}`);

interface Part {
  readonly fd: number;
  readonly number: number;
  bytes: number;
}

export class OutputLog {
  #head: number | null = null;
  #headBytes = 0;
  #part: Part | null = null;
  /** Of the newest part: goes on also when the disk did not take one. */
  #number = 0;
  /** What the disk did not take, behind the head. */
  #lostBytes = 0;

  /** @param path Written when there is something to write, its folder made. */
  constructor(private readonly path: string) {}

  /** @throws nothing: a full disk loses output, not the attempt. */
  write(chunk: Buffer): void {
    try {
      const room = HEAD_BYTES - this.#headBytes;
      if (room > 0) {
        const head = chunk.subarray(0, room);
        if (this.#head === null) mkdirSync(dirname(this.path), { recursive: true });
        this.#head ??= openSync(this.path, 'w');
        writeSync(this.#head, head);
        this.#headBytes += head.length;
        chunk = chunk.subarray(head.length);
      }
      while (chunk.length > 0) chunk = this.#writePart(chunk);
    } catch {
      this.#lostBytes += chunk.length;
    }
  }

  #writePart(chunk: Buffer): Buffer {
    let part = this.#part;
    if (part === null || part.bytes >= PART_BYTES) {
      const number = this.#number + 1;
      if (part !== null) closeSync(part.fd);
      this.#part = null;
      this.#part = part = { fd: openSync(partPath(this.path, number), 'w'), number, bytes: 0 };
      this.#number = number;
      if (number > 2) rmSync(partPath(this.path, number - 2), { force: true });
    }
    const taken = chunk.subarray(0, PART_BYTES - part.bytes);
    writeSync(part.fd, taken);
    part.bytes += taken.length;
    return chunk.subarray(taken.length);
  }

  /** The last bytes, for a look at why a program failed. */
  tail(bytes: number): string {
    const all = Buffer.concat([this.path, ...this.#parts()].map(readOrNothing));
    return all.subarray(Math.max(0, all.length - bytes)).toString('utf8');
  }

  /** Joins the parts into one file. */
  close(): void {
    if (this.#head === null) return;
    try {
      closeSync(this.#head);
      if (this.#part !== null) closeSync(this.#part.fd);
      const parts = this.#parts();
      const kept = parts.reduce((sum, path) => sum + statSync(path).size, 0);
      const written =
        this.#number === 0 ? 0 : partBegin(this.#number) - HEAD_BYTES + (this.#part?.bytes ?? PART_BYTES);
      const printed = written + this.#lostBytes;
      if (printed > kept) appendFileSync(this.path, gapLine(printed - kept));
      for (const path of parts) appendFileSync(this.path, readFileSync(path));
      for (const path of parts) rmSync(path, { force: true });
    } catch {
      // A full disk: what could be written stays.
    }
  }

  #parts(): readonly string[] {
    return [this.#number - 1, this.#number]
      .filter((number) => number > 0)
      .map((number) => partPath(this.path, number));
  }
}

function readOrNothing(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
