/** Reads what has been appended to a file since the last look; begins anew where the file has. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface Appended {
  readonly bytes: Buffer;
  /** The file is another one, or shorter than before: `bytes` are its first. */
  readonly isAnew: boolean;
}

/** Most that is read, and held, at once. */
const MOST_BYTES = 4 * 1024 * 1024;

export class TailFile {
  #offset = 0;
  #identity: number | null = null;

  constructor(private readonly path: string) {}

  /** What is there now is not read. */
  skip(): void {
    this.#read((_fd, size) => {
      this.#offset = size;
      return null;
    });
  }

  /** Null when nothing has come. */
  read(): Appended | null {
    return this.#read((fd, size, isAnew) => {
      const bytes = Buffer.allocUnsafe(Math.min(size - this.#offset, MOST_BYTES));
      const read = readSync(fd, bytes, 0, bytes.length, this.#offset);
      this.#offset += read;
      return read === 0 && !isAnew ? null : { bytes: bytes.subarray(0, read), isAnew };
    });
  }

  #read(look: (fd: number, size: number, isAnew: boolean) => Appended | null): Appended | null {
    let fd: number;
    try {
      fd = openSync(this.path, 'r');
    } catch {
      // Not there yet, or not to be read: then there is nothing to hear.
      return null;
    }
    try {
      const { size, ino } = fstatSync(fd);
      const isAnew = this.#identity !== null && (ino !== this.#identity || size < this.#offset);
      if (isAnew) this.#offset = 0;
      this.#identity = ino;
      return look(fd, size, isAnew);
    } finally {
      closeSync(fd);
    }
  }
}
