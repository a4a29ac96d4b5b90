/** Writes facts for the supervisor: one JSON line each, whole or not at all. */
import { writeSync } from 'node:fs';
import type { RunnerLine } from '../protocol/runner.js';
import { encodeLine } from '../protocol/runner.js';

const RETRY_MS = 2;

export class FactWriter {
  readonly #descriptor: number;
  #gone = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @returns false when nobody reads any more. */
  write(...lines: readonly RunnerLine[]): boolean {
    const bytes = Buffer.from(lines.map((line) => `${encodeLine(line)}\n`).join(''));
    let written = 0;
    while (written < bytes.length && !this.#gone) {
      try {
        written += writeSync(this.#descriptor, bytes, written);
      } catch (error) {
        // A full pipe that does not block: the supervisor is behind. Training waits rather than lose a fact.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') sleep(RETRY_MS);
        else this.#gone = true;
      }
    }
    return !this.#gone;
  }
}

const sleep = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};
