/**
 * A seeded order of the numbers 0..size-1 that needs no memory: a Feistel network over pairs (left, right) below
 * ceil(sqrt(size)), walked until it lands below `size` (Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
 * CT-RSA 2002, generalized-Feistel cipher). Integer arithmetic only, so that every machine finds the same order.
 */
import { createHash } from 'node:crypto';

const ROUNDS = 8;

/** Largest size of a permutation: sums of both halves stay exact in a double. */
export const MAX_SIZE = 9e15;

export interface Permutation {
  readonly size: number;
  /** The number at `position`, both in 0..size-1. Different positions give different numbers. */
  at(position: number): number;
}

/** Finalizer of MurmurHash3 (32 bits). */
const mix = (value: number): number => {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** The smallest integer whose square is at least `size`. */
const squareSide = (size: number): number => {
  let side = Math.max(1, Math.floor(Math.sqrt(size)));
  while (side * side < size) side += 1;
  return side;
};

/**
 * @param size 0..{@link MAX_SIZE}
 * @param seed any text; equal seeds give equal orders
 * @throws RangeError for another size, and from `at` for a position outside 0..size-1
 */
export function permutation(size: number, seed: string): Permutation {
  if (!Number.isInteger(size) || size < 0 || size > MAX_SIZE)
    throw new RangeError(`no permutation of ${size}`);
  const side = squareSide(size);
  const digest = createHash('sha256').update(seed).digest();
  const keys = Array.from({ length: ROUNDS }, (_, round) => digest.readUInt32LE(4 * round));
  const encrypt = (value: number): number => {
    let left = value % side;
    let right = (value - left) / side;
    for (const key of keys) {
      const next = (left + mix(mix(right ^ key) + key)) % side;
      left = right;
      right = next;
    }
    return left + side * right;
  };
  return {
    size,
    at(position) {
      if (!Number.isInteger(position) || position < 0 || position >= size) {
        throw new RangeError(`position ${position} is outside 0..${size - 1}`);
      }
      let value = encrypt(position);
      while (value >= size) value = encrypt(value);
      return value;
    },
  };
}
