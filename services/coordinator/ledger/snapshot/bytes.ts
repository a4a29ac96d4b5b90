/** Bytes written one after another, and read back. */

const FIRST_BYTES = 1_024;

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  /** A whole number from 0 to 2^53 - 1: seven bits a byte. */
  uint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** A whole number up to 2^52 - 1 either way; the sign is the lowest bit. */
  int(value: number): void {
    this.uint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  numbers(values: readonly unknown[]): void {
    const bytes = Buffer.from(Float64Array.from(values as readonly number[]).buffer);
    this.bytes(bytes);
  }

  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.uint(size);
    this.#room(size);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  take(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length);
  }

  #room(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + size));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** @throws RangeError behind the end */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  byte(): number {
    const value = this.#buffer[this.#at];
    if (value === undefined) throw new RangeError('a snapshot ends too early');
    this.#at += 1;
    return value;
  }

  uint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte % 0x80) * scale;
      if (byte < 0x80) return value;
    }
  }

  int(): number {
    const value = this.uint();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  numbers(count: number): Float64Array {
    return new Float64Array(this.bytes(count * Float64Array.BYTES_PER_ELEMENT).slice().buffer);
  }

  text(): string {
    const size = this.uint();
    const begin = this.#at;
    this.#skip(size);
    return this.#buffer.toString('utf8', begin, this.#at);
  }

  /** A view, not a copy. */
  bytes(size: number): Uint8Array {
    const begin = this.#at;
    this.#skip(size);
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + begin, size);
  }

  #skip(size: number): void {
    if (this.#at + size > this.#buffer.length) throw new RangeError('a snapshot ends too early');
    this.#at += size;
  }
}
