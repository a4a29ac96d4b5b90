/** Where a folder stands in git: what is recorded with a sweep that ships it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GitState } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { MOST_DIFF_BYTES } from '../../proto/code.js';

const run = promisify(execFile);
const WITHIN_MS = 10_000;
const MOST_OUTPUT = 64 * 1024 * 1024;

/** Undefined where there is no git, no repository, or no commit in it: then nothing is recorded. */
export async function gitState(folder: string): Promise<GitState | undefined> {
  const git = async (...args: readonly string[]): Promise<string> => {
    const options = { cwd: folder, timeout: WITHIN_MS, maxBuffer: MOST_OUTPUT };
    return (await run('git', ['--no-optional-locks', ...args], options)).stdout;
  };
  try {
    const commit = (await git('rev-parse', 'HEAD')).trim();
    const branch = (await git('rev-parse', '--abbrev-ref', 'HEAD')).trim();
    const dirty = (await git('status', '--porcelain', '--', '.')).trim() !== '';
    const diff = await git('diff', '--no-color', '--no-ext-diff', 'HEAD', '--', '.');
    return {
      commit,
      branch: branch === 'HEAD' ? '' : branch,
      dirty,
      diff: diff.slice(0, MOST_DIFF_BYTES),
      diffBytes: Buffer.byteLength(diff),
    };
  } catch {
    return undefined;
  }
}
