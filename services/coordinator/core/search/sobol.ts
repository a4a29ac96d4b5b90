/**
 * The Sobol sequence, after S. Joe and F. Y. Kuo, "Notes on generating Sobol sequences" (2008), in the order of their
 * program (Gray code), as 32-bit fractions: V[j] is the direction number v_j, and point n the exclusive or of those
 * at the set bits of gray(n) = n ^ (n >> 1). Any point is computed alone, without its predecessors.
 *
 * Scrambling is Owen's (A. B. Owen, "Randomly permuted (t,m,s)-nets and (t,s)-sequences", 1995): bit k of a coordinate is
 * flipped or not by a hash of the seed, the dimension and the k bits above it. It keeps the net and removes its bias.
 */
import { createHash } from 'node:crypto';
import { joeKuo } from './joe-kuo.js';
import type { Coordinates } from './sequence.js';

/** Dimensions that there are direction numbers for. */
export const MAX_DIMENSIONS = joeKuo.length + 1;

const BITS = 32;

/** v_1 ... v_32 of a dimension, from 0 on, as unsigned 32-bit fractions. */
function directionNumbers(dimension: number): Uint32Array {
  const v = new Uint32Array(BITS);
  if (dimension === 0) return v.map((_, k) => 2 ** (BITS - 1 - k));
  const [degree = 0, inner = 0, ...m] = joeKuo[dimension - 1] ?? [];
  for (let k = 0; k < BITS; k += 1) {
    if (k < degree) {
      v[k] = (m[k] ?? 0) << (BITS - 1 - k);
      continue;
    }
    const before = v[k - degree] ?? 0;
    let next = before ^ (before >>> degree);
    for (let j = 1; j < degree; j += 1) if (((inner >>> (degree - 1 - j)) & 1) === 1) next ^= v[k - j] ?? 0;
    v[k] = next;
  }
  return v;
}

const tables: Uint32Array[] = [];

/**
 * A coordinate of a point, an unsigned 32-bit integer: the value times 2^32.
 *
 * @param point 0..2^32 - 1
 * @param dimension 0..{@link MAX_DIMENSIONS} - 1
 * @throws RangeError outside
 */
export function sobolInteger(point: number, dimension: number): number {
  if (!Number.isInteger(point) || point < 0 || point >= 2 ** BITS)
    throw new RangeError(`the Sobol sequence has no point ${point}`);
  if (!Number.isInteger(dimension) || dimension < 0 || dimension >= MAX_DIMENSIONS)
    throw new RangeError(`the Sobol sequence has no dimension ${dimension}`);
  const v = (tables[dimension] ??= directionNumbers(dimension));
  let gray = (point ^ (point >>> 1)) >>> 0;
  let value = 0;
  for (let k = 0; gray !== 0; k += 1, gray >>>= 1) if ((gray & 1) === 1) value ^= v[k] ?? 0;
  return value >>> 0;
}

/** Finalizer of MurmurHash3 (32 bits). */
const mix = (value: number): number => {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
};

/** Flips each bit by a hash of the bits above it. */
function scrambled(value: number, key: number): number {
  let result = 0;
  for (let k = 0; k < BITS; k += 1) {
    const above = k === 0 ? 0 : value >>> (BITS - k);
    const flip = mix(mix(above ^ key) + Math.imul(k + 1, 0x9e3779b9)) & 1;
    result = (result << 1) | (((value >>> (BITS - 1 - k)) & 1) ^ flip);
  }
  return result >>> 0;
}

/** Coordinates of the sequence's points. @param key seed of the scrambling, any text; null for none */
export function sobolCoordinates(key: string | null): Coordinates {
  const keys: number[] = [];
  const keyOf = (dimension: number): number =>
    (keys[dimension] ??= createHash('sha256')
      .update(`${key ?? ''}:${dimension}`)
      .digest()
      .readInt32LE(0));
  return (candidate) => (coordinate) => {
    const value = sobolInteger(candidate, coordinate);
    return (key === null ? value : scrambled(value, keyOf(coordinate))) / 2 ** BITS;
  };
}
