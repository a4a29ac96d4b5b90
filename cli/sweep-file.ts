/** Reads a sweep file from disk or standard input and checks it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WattsweepError } from '../proto/errors.js';
import type { SweepSpec } from '../services/coordinator/core/spec.js';
import { projectRoot } from '../setup/locate.mjs';
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

/** Curves may be long; what is larger is no file that a person has written. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/** `examples/...`, as the help names it, where there is no such file here: the one that ships with the package. */
function shippedExample(path: string): string | null {
  const isExample = path.startsWith('examples/') && !path.includes('..') && !existsSync(path);
  const shipped = join(projectRoot(), path);
  return isExample && existsSync(shipped) ? shipped : null;
}

/** The system's codes in words. */
const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not read it',
};

/** @throws FILE_UNREADABLE. `-` reads standard input. */
export function readText(path: string): string {
  try {
    const source = path === '-' ? 0 : (shippedExample(path) ?? path);
    const bytes = typeof source === 'string' ? statSync(source).size : 0;
    if (bytes > MAX_TEXT_BYTES)
      throw new WattsweepError(
        'FILE_UNREADABLE',
        `${path} has ${bytes} bytes; ${MAX_TEXT_BYTES} are read at most`,
      );
    return readFileSync(source, 'utf8');
  } catch (error) {
    if (error instanceof WattsweepError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const why = WHY[code] ?? code;
    throw new WattsweepError('FILE_UNREADABLE', `cannot read ${path}: ${why}`, { cause: error });
  }
}
