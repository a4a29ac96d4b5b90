/** How far NATS had what an attempt said, as earlier services have noted it on the disk. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { readJsonSync } from '../host/files.js';
import type { AttemptFiles } from '../layout.js';
import { parseSpoolLine, type SpoolRecord } from './record.js';

export interface Published {
  /** Last spool line that NATS has acknowledged; 0 for none. */
  readonly line: number;
  /** Last epoch by then. */
  readonly epoch: number;
  /** When the end was acknowledged, too; null while that has not happened. */
  readonly completeAtUnixMs: number | null;
}

export const NOTHING_PUBLISHED: Published = { line: 0, epoch: 0, completeAtUnixMs: null };

/** published.json: while the attempt goes on. Services up to 0.1 noted the end here, too, with `complete`. */
interface PublishedFile {
  readonly acknowledgedLine?: number;
  readonly epoch?: number;
  readonly complete?: boolean;
}

/** Errors: those of the file system, but for files that are not there. */
export function publishedOf(files: AttemptFiles): Published {
  const last = lastRecord(files.spool);
  if (last?.line.type === 'acknowledged') {
    const { upTo, epoch } = last.line;
    return { line: upTo, epoch, completeAtUnixMs: last.atUnixMs };
  }
  const file = readJsonSync(files.published) as PublishedFile | undefined;
  if (file === undefined) return NOTHING_PUBLISHED;
  const { acknowledgedLine = 0, epoch = 0, complete = false } = file;
  return {
    line: acknowledgedLine,
    epoch,
    completeAtUnixMs: complete ? statSync(files.published).mtimeMs : null,
  };
}

/** Far longer than a note; what is longer is none. */
const TAIL_BYTES = 4 * 1024;

/** The last whole line of a spool; null when there is none, or it is no short record. */
function lastRecord(path: string): SpoolRecord | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - TAIL_BYTES);
    const bytes = Buffer.alloc(size - from);
    const tail = bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, from));
    const end = tail.lastIndexOf('\n');
    const begin = end <= 0 ? -1 : tail.lastIndexOf('\n', end - 1);
    return begin === -1 ? null : parseSpoolLine(tail.slice(begin + 1, end));
  } finally {
    closeSync(fd);
  }
}
