/**
 * Appends to an attempt's spool. On a full disk the lines wait in memory and are tried again, so that no epoch is lost
 * and the file never holds half a line in its middle.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { spoolLine } from '../attempts/record.js';
import { monotonicMs } from '../host/clock.js';

/** Beyond it step lines are dropped: epochs and ends must always find room. */
const STEP_LIMIT_BYTES = 64 * 1024 * 1024;
const RETRY_MS = 500;

export class SpoolWriter {
  readonly #fd: number;
  #written = 0;
  #pending: Buffer[] = [];

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
  }

  /** Writes lines that are JSON already, with the time at which they were heard (now, unless told otherwise). */
  append(linesJson: readonly string[], heard = { atUnixMs: Date.now(), monotonicMs: monotonicMs() }): void {
    const lines = linesJson.map((line) => spoolLine(heard.atUnixMs, heard.monotonicMs, line));
    this.#pending.push(Buffer.from(lines.join('')));
    this.#tryFlush();
  }

  /** Writes what waits, if the disk takes it. False when only lines that must not be lost should still come. */
  hasRoom(): boolean {
    return this.#tryFlush() && this.#written <= STEP_LIMIT_BYTES;
  }

  #tryFlush(): boolean {
    try {
      for (let head = this.#pending[0]; head !== undefined; head = this.#pending[0]) {
        const bytes = writeSync(this.#fd, head);
        this.#written += bytes;
        if (bytes === head.length) this.#pending.shift();
        else this.#pending[0] = head.subarray(bytes);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when every line is written, however long that takes; `durable`: and would survive a power loss. */
  async close(durable: boolean): Promise<void> {
    while (!this.#tryFlush()) await sleep(RETRY_MS);
    if (durable) fsyncSync(this.#fd);
    closeSync(this.#fd);
  }
}
