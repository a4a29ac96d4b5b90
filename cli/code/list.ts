/**
 * Which files of a folder are code to ship: all but those that `.wattsweepignore` files name, by git's rules and told by git
 * itself. Links that lead out of the folder are refused: on a box they would show something else.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { lstat, mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, normalize, posix, relative } from 'node:path';
import { promisify } from 'node:util';
import { MOST_CODE_BYTES, MOST_CODE_ENTRIES } from '../../proto/code.js';
import { WattsweepError } from '../../proto/errors.js';
import type { FolderEntry, FolderListing } from '../../services/trainer/checkpoints/pack.js';

const IGNORE_FILE = '.wattsweepignore';
/** Never code, whatever the ignore file says. */
const LEFT_OUT: ReadonlySet<string> = new Set(['.git', '.wattsweep', '__pycache__', '.DS_Store']);
const MIB = 1024 * 1024;

/** @throws CODE_REFUSED: too much, a link that leads out, a name that cannot be told; FILE_UNREADABLE */
export async function listCode(root: string): Promise<FolderListing> {
  const paths = everything(root) ?? (await toldByGit(root));
  if (paths.length > MOST_CODE_ENTRIES)
    throw refused(root, `it has ${paths.length} files; ${MOST_CODE_ENTRIES} are taken at most`);
  const entries = new Map<string, FolderEntry>();
  for (const path of paths) {
    const stats = await lstat(join(root, path)).catch(() => null);
    if (stats === null) throw refused(root, `the file ${path} cannot be read, or its name is no UTF-8`);
    for (let above = dirname(path); above !== '.'; above = dirname(above))
      entries.set(above, { path: above, kind: 'folder', bytes: 0, mode: 0o755, changedMs: 0 });
    if (stats.isSymbolicLink()) {
      const target = await insideTarget(root, path);
      entries.set(path, { path, kind: 'link', bytes: 0, mode: 0o777, changedMs: stats.ctimeMs, target });
    } else if (stats.isFile()) {
      // Who may read it here says nothing: whether it is a program does.
      const mode = stats.mode & 0o100 ? 0o755 : 0o644;
      entries.set(path, { path, kind: 'file', bytes: stats.size, mode, changedMs: stats.ctimeMs });
    }
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const bytes = sorted.reduce((sum, entry) => sum + entry.bytes, 0);
  if (bytes > MOST_CODE_BYTES) throw tooLarge(root, sorted, bytes);
  if (!sorted.some(({ kind }) => kind === 'file')) throw refused(root, 'there is no file in it to ship');
  return { entries: sorted, bytes };
}

const refused = (root: string, why: string): WattsweepError =>
  new WattsweepError('CODE_REFUSED', `the folder ${root} cannot be shipped: ${why}`);

function tooLarge(root: string, entries: readonly FolderEntry[], bytes: number): WattsweepError {
  const mib = (count: number): string => `${(count / MIB).toFixed(1)} MiB`;
  const largest = entries
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 3)
    .map((entry) => `${entry.path} (${mib(entry.bytes)})`);
  return refused(
    root,
    `it has ${mib(bytes)}; ${MOST_CODE_BYTES / MIB} MiB are taken at most. The largest: ${largest.join(', ')}`,
  );
}

async function insideTarget(root: string, path: string): Promise<string> {
  const written = await readlink(join(root, path));
  const target = isAbsolute(written) ? relative(join(root, dirname(path)), written) : written;
  const reached = posix.normalize(posix.join(dirname(path), target));
  if (reached === '..' || reached.startsWith('../'))
    throw refused(root, `the link ${path} leads out of it, to ${written}`);
  return target;
}

/** Files and links, in no order; null where an ignore file, its own or one of a folder below, says which. */
function everything(root: string): readonly string[] | null {
  const found: string[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.name === IGNORE_FILE) return null;
      if (LEFT_OUT.has(entry.name)) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      (entry.isDirectory() ? folders : found).push(path);
    }
    if (found.length > MOST_CODE_ENTRIES)
      throw refused(root, `it has more than ${MOST_CODE_ENTRIES} files; so many are taken at most`);
  }
  return found;
}

/** As git lists what it does not know yet, with an empty repository beside and our ignore files instead of its own. */
async function toldByGit(root: string): Promise<readonly string[]> {
  const gitDir = await mkdtemp(join(tmpdir(), 'wattsweep-ignore-'));
  try {
    await git(gitDir, ['init', '--quiet', '--bare', gitDir]);
    return await listedBelow(gitDir, root, '');
  } finally {
    await rm(gitDir, { recursive: true, force: true });
  }
}

async function listedBelow(gitDir: string, root: string, prefix: string): Promise<readonly string[]> {
  const told = await git(
    gitDir,
    [
      `--git-dir=${gitDir}`,
      `--work-tree=${join(root, prefix)}`,
      ...['-c', 'core.bare=false', 'ls-files', '-z', '--others', `--exclude-per-directory=${IGNORE_FILE}`],
    ],
    join(root, prefix),
  );
  const paths: string[] = [];
  for (const name of told.split('\0')) {
    if (name === '' || name.split('/').some((part) => LEFT_OUT.has(part))) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    // A repository within is one name to git: it is asked of its own files.
    if (name.endsWith('/'))
      paths.push(...(await listedBelow(gitDir, root, normalize(path).replace(/\/$/, ''))));
    else paths.push(path);
  }
  return paths;
}

const run = promisify(execFile);
const MOST_OUTPUT = 64 * MIB;

async function git(gitDir: string, args: readonly string[], cwd = gitDir): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));
  try {
    const { stdout } = await run('git', [...args], {
      cwd,
      env: { ...env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' },
      maxBuffer: MOST_OUTPUT,
    });
    return stdout;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new WattsweepError(
      'CODE_REFUSED',
      isAbsent
        ? `${IGNORE_FILE} is read by git, and there is no git here`
        : `git cannot read ${IGNORE_FILE}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error, ...(isAbsent ? { advice: `Install git, or remove ${IGNORE_FILE}.` } : {}) },
    );
  }
}
