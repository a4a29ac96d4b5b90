/** Reads what an attempt's program has printed, from any place on, also while it is written and its parts change. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { GAP_LINE, HEAD_BYTES, PART_BYTES, partBegin, partNumbers, partPath } from './log.js';

export interface OutputPiece {
  readonly data: Buffer;
  /** Place of the byte behind `data`, counted in bytes that the program printed: where to go on. */
  readonly next: number;
  /** Bytes before `data` that were asked for and are not kept. */
  readonly leftOut: number;
  /** There is nothing behind `data` yet. */
  readonly atEnd: boolean;
}

/** Where a run of kept bytes lies. */
interface Extent {
  /** Of its first byte in the program's output. */
  readonly begin: number;
  readonly bytes: number;
  readonly path: string;
  /** Of its first byte in the file. */
  readonly offset: number;
}

const MAX_GAP_LINE_BYTES = 64;

/**
 * At most `maxBytes` from place `from` on.
 *
 * @param path of the head, `output.log`; where there is none, the program has printed nothing
 */
export function readOutput(path: string, from: number, maxBytes: number): OutputPiece {
  const extents = extentsOf(path);
  const index = extents.findIndex(({ begin, bytes }) => from < begin + bytes);
  const extent = extents[index];
  if (extent === undefined) return { data: Buffer.alloc(0), next: from, leftOut: 0, atEnd: true };
  const start = Math.max(from, extent.begin);
  const wanted = Math.min(maxBytes, extent.begin + extent.bytes - start);
  const data = readRange(extent.path, extent.offset + start - extent.begin, wanted);
  // A part that was removed between the look and the read: what was asked for is read next time, from what is there.
  if (data === null) return { data: Buffer.alloc(0), next: from, leftOut: 0, atEnd: false };
  const next = start + data.length;
  const isLast = index === extents.length - 1;
  return { data, next, leftOut: start - from, atEnd: isLast && next === extent.begin + extent.bytes };
}

function extentsOf(path: string): readonly Extent[] {
  const size = sizeOf(path);
  if (size === null) return [];
  const head = { begin: 0, bytes: Math.min(size, HEAD_BYTES), path, offset: 0 };
  // Parts are there while it runs; the joined file is longer than a head.
  const parts = partNumbers(path).flatMap((number): Extent[] => {
    const file = partPath(path, number);
    const bytes = sizeOf(file);
    return bytes === null
      ? []
      : [{ begin: partBegin(number), bytes: Math.min(bytes, PART_BYTES), path: file, offset: 0 }];
  });
  if (parts.length > 0 || size <= HEAD_BYTES) return [head, ...parts];
  const gap = GAP_LINE.exec(readRange(path, HEAD_BYTES, MAX_GAP_LINE_BYTES)?.toString('latin1') ?? '');
  const offset = HEAD_BYTES + (gap?.[0].length ?? 0);
  return [head, { begin: HEAD_BYTES + Number(gap?.[1] ?? 0), bytes: size - offset, path, offset }];
}

function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null;
}

/** Null when the file is gone. */
function readRange(path: string, offset: number, bytes: number): Buffer | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(fd, buffer, 0, bytes, offset));
  } finally {
    closeSync(fd);
  }
}
