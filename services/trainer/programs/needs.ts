/**
 * What a program needs on this box before it starts: its code, unpacked once for all attempts that share it, the folder in
 * which it runs, and files with the content that the sweep wants. What is not here is fetched (code) or told (the rest).
 *
 * Code as a folder, from NATS: code-folders.ts; hashes of files: file-hashes.ts. How it is started is the runner's.
 */
import { statSync } from 'node:fs';
import { WattsweepError } from '../../../proto/errors.js';
import type { FileHashes } from './file-hashes.js';

/** Part of what is accepted on the disk: only add to it. */
export interface ProgramNeeds {
  /** SHA-256 of the packed folder; absent: no code is shipped. */
  readonly codeSha256?: string;
  /** Folder of the box in which it runs; absent: one of the attempt's own. */
  readonly folder?: string;
  readonly files?: readonly { readonly path: string; readonly sha256: string | null }[];
}

/**
 * Looks whether folder and files are there.
 *
 * @throws REQUIREMENT_MISSING with what is not, or differs
 */
export async function checkNeeds(
  { folder, files = [] }: ProgramNeeds,
  hashes: FileHashes,
  signal: AbortSignal,
): Promise<void> {
  if (folder !== undefined && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw missing(`the folder ${folder}, in which the program shall run`);
  for (const { path, sha256 } of files) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) throw missing(path);
    if (sha256 === null) continue;
    if (!stats.isFile()) throw new WattsweepError('REQUIREMENT_MISSING', `${path} is no file.`);
    const found = await hashes.of(path, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new WattsweepError('REQUIREMENT_MISSING', `${path} cannot be read: ${String(error)}.`);
    });
    if (found !== sha256)
      throw new WattsweepError(
        'REQUIREMENT_MISSING',
        `${path} differs from what the sweep wants: its SHA-256 is ${found}, not ${sha256}.`,
      );
  }
}

const missing = (what: string): WattsweepError =>
  new WattsweepError('REQUIREMENT_MISSING', `This box does not have ${what}.`);
