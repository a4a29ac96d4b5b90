/** Splits a byte stream into lines of bounded length. */

export class LineSplitter {
  readonly #maxBytes: number;
  readonly #take: (line: string | null) => void;
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;

  /** @param take Gets each line without its end, or null for one longer than `maxBytes`, whose content is dropped. */
  constructor(maxBytes: number, take: (line: string | null) => void) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let begin = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, begin)) {
      this.#append(chunk.subarray(begin, end));
      this.#finish();
      begin = end + 1;
    }
    this.#append(chunk.subarray(begin));
  }

  /** The stream has ended: a last line without its end counts. */
  end(): void {
    if (this.#length > 0 || this.#skipping) this.#finish();
  }

  #append(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    if (this.#length + part.length > this.#maxBytes) {
      this.#skipping = true;
      this.#parts = [];
      this.#length = 0;
      return;
    }
    // A copy: the stream may reuse its chunk.
    this.#parts.push(Buffer.from(part));
    this.#length += part.length;
  }

  #finish(): void {
    this.#take(this.#skipping ? null : Buffer.concat(this.#parts).toString('utf8').replace(/\r$/, ''));
    this.#parts = [];
    this.#length = 0;
    this.#skipping = false;
  }
}
