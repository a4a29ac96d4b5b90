/** Reads a sweep file from disk or standard input and checks it. */
import { readFileSync } from 'node:fs';
import { WattsweepError } from '../proto/errors.js';
import type { SweepSpec } from '../services/coordinator/core/spec.js';
import { parseSweepFile } from '../services/coordinator/spec/index.js';

export interface SweepFile {
  readonly path: string;
  /** As written. */
  readonly yaml: string;
  readonly spec: SweepSpec;
  readonly warnings: readonly string[];
}

/** @throws FILE_UNREADABLE, SPEC_* with the place. `-` reads standard input. */
export function readSweepFile(path: string, overrides: readonly string[]): SweepFile {
  const yaml = readText(path);
  const { spec, warnings } = parseSweepFile(yaml, { file: path === '-' ? '(stdin)' : path, overrides });
  return { path, yaml, spec, warnings };
}

/** @throws FILE_UNREADABLE. `-` reads standard input. */
export function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new WattsweepError('FILE_UNREADABLE', `cannot read ${path}: ${why}`, { cause: error });
  }
}
