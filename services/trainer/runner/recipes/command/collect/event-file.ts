/**
 * Scalars of a TensorBoard event file, while it is written. A file is a row of TFRecords: length (8 bytes, little-endian),
 * its masked CRC-32C, as many bytes of an `Event`, their masked CRC-32C (tensorflow/core/lib/io/record_writer.h).
 */
import { Event, type Summary_Value } from '../../../graph/tensorflow/gen/event.js';
import { DataType } from '../../../graph/tensorflow/gen/types.js';
import { maskedCrc32c } from './crc32c.js';
import { TailFile } from './tail-file.js';

export interface Scalar {
  readonly tag: string;
  readonly step: number;
  readonly value: number;
}

const HEADER_BYTES = 12;
const FOOTER_BYTES = 4;
/** Pictures and graphs are as large as this; what claims to be larger is no record. */
const LARGEST_RECORD = 256 * 1024 * 1024;

export class EventFile {
  readonly #tail: TailFile;
  #rest: Buffer = Buffer.alloc(0);
  /** Nothing behind a length that is none can be found. */
  #isBroken = false;
  /** Records that are damaged. */
  damaged = 0;

  constructor(path: string) {
    this.#tail = new TailFile(path);
  }

  /** What stands there now is not heard. */
  skip(): void {
    this.#tail.skip();
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** What has come since the last look; a record that is not whole yet is read when it is. */
  read(): readonly Scalar[] {
    const scalars: Scalar[] = [];
    for (let appended = this.#tail.read(); appended !== null; appended = this.#tail.read()) {
      if (appended.isAnew) {
        this.#rest = Buffer.alloc(0);
        this.#isBroken = false;
      }
      if (this.#isBroken) continue;
      this.#rest = this.#rest.length === 0 ? appended.bytes : Buffer.concat([this.#rest, appended.bytes]);
      this.#take(scalars);
    }
    return scalars;
  }

  #take(scalars: Scalar[]): void {
    let at = 0;
    const rest = this.#rest;
    while (rest.length - at >= HEADER_BYTES) {
      const header = rest.subarray(at, at + 8);
      const length = Number(header.readBigUInt64LE());
      if (rest.readUInt32LE(at + 8) !== maskedCrc32c(header) || length > LARGEST_RECORD) {
        this.#isBroken = true;
        this.damaged += 1;
        this.#rest = Buffer.alloc(0);
        return;
      }
      const end = at + HEADER_BYTES + length;
      if (rest.length < end + FOOTER_BYTES) break;
      const data = rest.subarray(at + HEADER_BYTES, end);
      const found = rest.readUInt32LE(end) === maskedCrc32c(data) ? scalarsOf(data) : null;
      if (found === null) this.damaged += 1;
      else scalars.push(...found);
      at = end + FOOTER_BYTES;
    }
    this.#rest = Buffer.from(rest.subarray(at));
  }
}

/** Null when it is no event. */
function scalarsOf(data: Buffer): readonly Scalar[] | null {
  try {
    const { step, what } = Event.decode(data);
    if (what?.$case !== 'summary') return [];
    return what.value.value.flatMap((one) => {
      const value = numberOf(one);
      return value === undefined ? [] : [{ tag: one.tag, step, value }];
    });
  } catch {
    return null;
  }
}

/** Of a scalar; what else a summary holds (pictures, histograms) is none. */
function numberOf({ value }: Summary_Value): number | undefined {
  if (value?.$case === 'simpleValue') return value.value;
  if (value?.$case !== 'tensor') return undefined;
  const { dtype, tensorContent, floatVal, doubleVal } = value.value;
  if (dtype === DataType.DT_FLOAT)
    return tensorContent.length === 4 ? tensorContent.readFloatLE() : single(floatVal);
  if (dtype === DataType.DT_DOUBLE)
    return tensorContent.length === 8 ? tensorContent.readDoubleLE() : single(doubleVal);
  return undefined;
}

const single = (values: readonly number[]): number | undefined =>
  values.length === 1 ? values[0] : undefined;
