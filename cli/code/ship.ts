/** Packs the folder that a sweep ships, and submits the sweep with it: it is sent only where the coordinator lacks it. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Coordinator, Submission } from '../../client/coordinator.js';
import { CODE_PIECE_BYTES } from '../../proto/code.js';
import { WattsweepError } from '../../proto/errors.js';
import type { PackedCode, SubmitSweepResponse } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { FolderChanged, packFolder, type FolderListing } from '../../services/trainer/checkpoints/pack.js';
import { note } from '../output.js';
import type { SweepFile } from '../sweep-file.js';
import { gitState } from './git-state.js';
import { listCode } from './list.js';

export interface Packed {
  /** As a submission names it. */
  readonly code: PackedCode;
  /** The packed folder, of that hash. @throws CODE_REFUSED when a file has changed since */
  pieces(): AsyncGenerator<Buffer>;
}

/** The folder that the file ships, seen from where the file lies (of standard input: from here); null for none. */
export function codeFolderOf({ path, spec }: Pick<SweepFile, 'path' | 'spec'>): string | null {
  if (spec.code === undefined) return null;
  return resolve(path === '-' ? '.' : dirname(path), spec.code.folder);
}

/** @throws FILE_UNREADABLE when there is no such folder; CODE_REFUSED */
export async function packCode(file: Pick<SweepFile, 'path' | 'spec'>): Promise<Packed | null> {
  const root = codeFolderOf(file);
  if (root === null) return null;
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new WattsweepError('FILE_UNREADABLE', `code: there is no folder ${root}`, {
      advice: 'The folder is seen from the sweep file; check its path.',
    });
  const listing = await listCode(root);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunksOf(root, listing)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const files = listing.entries.filter(({ kind }) => kind === 'file').length;
  const git = await gitState(root);
  return {
    code: { sha256: hash.digest('hex'), bytes, files, git },
    pieces: () => chunksOf(root, listing),
  };
}

async function* chunksOf(root: string, listing: FolderListing): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of packFolder(root, listing, listCode))
      for (let at = 0; at < chunk.length; at += CODE_PIECE_BYTES)
        yield chunk.subarray(at, at + CODE_PIECE_BYTES);
  } catch (error) {
    if (!(error instanceof FolderChanged)) throw error;
    throw new WattsweepError(
      'CODE_REFUSED',
      `the folder ${root} changed while it was packed: ${error.message}`,
      {
        advice: 'Submit it again when nothing writes there.',
      },
    );
  }
}

/** A coordinator whose submissions ship the folder. */
export function shipping(
  coordinator: Pick<Coordinator, 'submit' | 'get' | 'compare' | 'uploadCode'>,
  packed: Packed | null,
): Pick<Coordinator, 'submit' | 'get' | 'compare'> {
  if (packed === null) return coordinator;
  const { code } = packed;
  return {
    get: (sweepId) => coordinator.get(sweepId),
    compare: (request) => coordinator.compare(request),
    submit: async (submission: Submission): Promise<SubmitSweepResponse> => {
      const whole = { ...submission, code };
      try {
        return await coordinator.submit(whole);
      } catch (error) {
        if (!(error instanceof WattsweepError) || error.code !== 'CODE_MISSING') throw error;
        note(`ships ${code.files} files, ${code.bytes} bytes, ${code.sha256.slice(0, 12)}`);
        await coordinator.uploadCode(code, () => packed.pieces());
        return coordinator.submit(whole);
      }
    },
  };
}
