/** Stable names and numbers for points and repeats. They stand in ledgers: never change what they return. */
import { createHash } from 'node:crypto';
import type { ProgramSetup } from '../program.js';
import type { Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { programOf } from '../variants.js';
import { canonicalJson } from './canonical.js';

/**
 * Name of a point: the first 16 hexadecimal digits of the SHA-256 of what is run. The same recipe (or command) and
 * parameters have the same hash in every sweep, whatever the order of keys.
 */
export function pointHash(
  spec: Pick<SweepSpec, 'recipe' | 'command' | 'variants' | keyof ProgramSetup>,
  parameters: Parameters,
): string {
  const { setup, ...program } = programOf(spec, parameters);
  const surrounded = setup === undefined ? {} : { setup: setup as unknown as ParameterValue };
  const text = canonicalJson({ ...program, ...surrounded });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * Seed of a repeat, an unsigned 32-bit integer: the same for all points of the sweep, so that repeats are paired.
 *
 * @param repeat 1-based
 */
export function repeatSeed(seed: number, repeat: number): number {
  return createHash('sha256').update(`wattsweep-repeat:${seed}:${repeat}`).digest().readUInt32BE(0);
}
