/** What an attempt's spool says, for tests that look at a box's disk. */
import { existsSync, readFileSync } from 'node:fs';
import { parseSpoolLine, type SpoolLine } from '../../services/trainer/attempts/record.js';
import { attemptFiles } from '../../services/trainer/layout.js';

type Line<T extends SpoolLine['type']> = Extract<SpoolLine, { type: T }>;

/** Lines of one type, in order; none while there is no spool. */
export function spooled<T extends SpoolLine['type']>(attemptDir: string, type: T): readonly Line<T>[] {
  const path = attemptFiles(attemptDir).spool;
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((text) => parseSpoolLine(text)?.line ?? [])
    .filter((line): line is Line<T> => line.type === type);
}

/** The runner that has the attempt. */
export function runnerOf(attemptDir: string): Line<'run'> {
  const run = spooled(attemptDir, 'run').at(-1);
  if (run === undefined) throw new Error(`no runner has had ${attemptDir}`);
  return run;
}
