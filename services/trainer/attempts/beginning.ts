/** How an attempt's spool begins: what was accepted, and whether a runner has had it since. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { readJsonSync } from '../host/files.js';
import type { AttemptFiles } from '../layout.js';
import { parseSpoolLine, type AcceptedAttempt } from './record.js';

export interface Beginning {
  readonly accepted: AcceptedAttempt;
  /** Something stands behind it: a supervisor has taken it up, or it was ended without one. */
  readonly begun: boolean;
}

/** Null when no attempt was accepted there, or in a form that this version does not know. Errors: those of the file system. */
export function readBeginning(files: AttemptFiles): Beginning | null {
  const found = files.accepted === files.spool ? fromSpool(files.spool) : fromFile(files);
  return found?.accepted.version === 1 ? found : null;
}

function fromFile(files: AttemptFiles): Beginning | null {
  const accepted = readJsonSync(files.accepted) as AcceptedAttempt | undefined;
  return accepted === undefined ? null : { accepted, begun: existsSync(files.spool) };
}

const CHUNK_BYTES = 16 * 1024;
/** One for all: a line is read in one turn of the event loop. */
const chunk = Buffer.alloc(CHUNK_BYTES);

function fromSpool(path: string): Beginning | null {
  let accepted: AcceptedAttempt | null = null;
  for (const text of firstLines(path)) {
    const line = parseSpoolLine(text)?.line;
    if (line?.type !== 'accepted') return accepted === null ? null : { accepted, begun: true };
    accepted = line.attempt;
  }
  return accepted === null ? null : { accepted, begun: false };
}

/** Whole lines, read as far as they are wanted. */
function* firstLines(path: string): Generator<string> {
  // An error costs more than the look, and most that is asked for is not there.
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      const bytes = chunk.subarray(0, readSync(fd, chunk));
      const text = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      let at = 0;
      for (let end = text.indexOf(10); end !== -1; end = text.indexOf(10, at)) {
        yield text.toString('utf8', at, end);
        at = end + 1;
      }
      if (bytes.length < CHUNK_BYTES) return;
      rest = Buffer.from(text.subarray(at));
    }
  } finally {
    closeSync(fd);
  }
}
