/** Values that the kernel shows as small text files, below `/sys` and `/proc`. */
import { readFileSync, readdirSync } from 'node:fs';

/** Names in a folder, sorted; none where it cannot be read. */
export const list = (dir: string): readonly string[] => {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
};
/** Null where it cannot be read, or is empty. */
export const text = (path: string): string | null => {
  try {
    const content = readFileSync(path, 'utf8').trim();
    return content === '' ? null : content;
  } catch {
    return null;
  }
};
/** Null where there is no number. */
export const number = (path: string, factor = 1): number | null => {
  const content = text(path);
  const value = content === null ? NaN : Number(content) * factor;
  return Number.isFinite(value) ? value : null;
};

/** Why a file gave no number, with what to do when it is a matter of permission; `error` is what reading it threw. */
export function readProblem(path: string, error: unknown): string {
  if (error === null) return `${path} holds no number`;
  const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
  return denied ? `${path} may be read by root only (sudo chmod a+r ${path})` : `${path} cannot be read`;
}
