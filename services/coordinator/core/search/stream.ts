/** Uniform numbers in [0, 1) that follow from a text and from nothing else: SHA-256 in counter mode, 53 bits each. */
import { createHash } from 'node:crypto';

export type Stream = () => number;

/** @param key any text; equal keys give equal numbers, different ones independent numbers */
export function stream(key: string): Stream {
  let block = createHash('sha256').update(`${key}:0`).digest();
  let count = 0;
  let at = 0;
  return () => {
    if (at === block.length) {
      count += 1;
      block = createHash('sha256').update(`${key}:${count}`).digest();
      at = 0;
    }
    const high = block.readUInt32LE(at) >>> 5;
    const low = block.readUInt32LE(at + 4) >>> 6;
    at += 8;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
}
