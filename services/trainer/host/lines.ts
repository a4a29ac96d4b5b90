/** Splits a byte stream into lines. A line that grows beyond `maxBytes` is dropped whole and counted. */
export class LineSplitter {
  #parts: Buffer[] = [];
  #bytes = 0;
  #dropping = false;
  /** Lines that were too long. */
  dropped = 0;

  constructor(
    private readonly onLine: (line: string) => void,
    private readonly maxBytes: number,
  ) {}

  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      if (this.#bytes === 0 && !this.#dropping && at - from <= this.maxBytes)
        this.#tell(chunk.toString('utf8', from, at));
      else {
        this.#take(chunk.subarray(from, at));
        this.#finish();
      }
      from = at + 1;
    }
    if (from < chunk.length) this.#take(chunk.subarray(from));
  }

  #take(part: Buffer): void {
    if (this.#dropping || part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.maxBytes) {
      this.#dropping = true;
      this.#parts = [];
    } else this.#parts.push(part);
  }

  #finish(): void {
    const line = this.#dropping ? undefined : Buffer.concat(this.#parts).toString('utf8');
    if (this.#dropping) this.dropped += 1;
    this.#parts = [];
    this.#bytes = 0;
    this.#dropping = false;
    if (line !== undefined) this.#tell(line);
  }

  #tell(line: string): void {
    if (line.trim() !== '') this.onLine(line);
  }
}
