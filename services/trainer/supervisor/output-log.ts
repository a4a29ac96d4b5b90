/**
 * Keeps what a program prints, bounded: the beginning, and the newest part. While it runs these are three files
 * (`output.log`, then `output.log.older` and `output.log.newer` in turn); at the end they become one.
 */
import { appendFileSync, closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';

const HEAD_BYTES = 256 * 1024;
const TAIL_BYTES = 256 * 1024;

export class OutputLog {
  #fd: number | null = null;
  #headBytes = 0;
  #newer: number | null = null;
  #newerBytes = 0;
  #droppedBytes = 0;
  #olderBytes = 0;

  /** @param path Written when there is something to write. */
  constructor(private readonly path: string) {}

  /** @throws nothing: a full disk loses output, not the attempt. */
  write(chunk: Buffer): void {
    try {
      const room = HEAD_BYTES - this.#headBytes;
      if (room > 0) {
        const part = chunk.subarray(0, room);
        this.#fd ??= openSync(this.path, 'w');
        writeSync(this.#fd, part);
        this.#headBytes += part.length;
        chunk = chunk.subarray(part.length);
      }
      while (chunk.length > 0) chunk = this.#writeTail(chunk);
    } catch {
      this.#droppedBytes += chunk.length;
    }
  }

  #writeTail(chunk: Buffer): Buffer {
    if (this.#newer !== null && this.#newerBytes >= TAIL_BYTES) {
      closeSync(this.#newer);
      this.#newer = null;
      this.#droppedBytes += this.#olderBytes;
      renameSync(`${this.path}.newer`, `${this.path}.older`);
      this.#olderBytes = this.#newerBytes;
    }
    if (this.#newer === null) {
      this.#newer = openSync(`${this.path}.newer`, 'w');
      this.#newerBytes = 0;
    }
    const part = chunk.subarray(0, TAIL_BYTES - this.#newerBytes);
    writeSync(this.#newer, part);
    this.#newerBytes += part.length;
    return chunk.subarray(part.length);
  }

  /** The last bytes, for a look at why a program failed. */
  tail(bytes: number): string {
    const read = (path: string): Buffer => {
      try {
        return readFileSync(path);
      } catch {
        return Buffer.alloc(0);
      }
    };
    const all = Buffer.concat([read(this.path), read(`${this.path}.older`), read(`${this.path}.newer`)]);
    return all.subarray(Math.max(0, all.length - bytes)).toString('utf8');
  }

  /** Joins the parts into one file. */
  close(): void {
    if (this.#fd === null) return;
    try {
      closeSync(this.#fd);
      if (this.#newer === null) return;
      closeSync(this.#newer);
      if (this.#droppedBytes > 0)
        appendFileSync(this.path, `\n[... ${String(this.#droppedBytes)} bytes left out ...]\n`);
      if (this.#olderBytes > 0) appendFileSync(this.path, readFileSync(`${this.path}.older`));
      appendFileSync(this.path, readFileSync(`${this.path}.newer`));
      rmSync(`${this.path}.older`, { force: true });
      rmSync(`${this.path}.newer`, { force: true });
    } catch {
      // A full disk: what could be written stays.
    }
  }
}
