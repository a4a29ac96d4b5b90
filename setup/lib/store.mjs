/**
 * The cache: folders that are either complete or not there. A piece is made in a temporary folder beside it, gets a
 * manifest (size and SHA-256 of each file) and appears by one rename. Each use checks the sizes; `--verify` the sums.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MANIFEST, cacheHome } from './layout.mjs';
import { SetupError, diskFull, isDiskFull } from './errors.mjs';
import { onInterrupt } from './interrupt.mjs';
import { here, startedAt, withLock } from './lock.mjs';
import { progressEnds, say } from './say.mjs';

/** @param {string} file */
export async function sha256File(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/**
 * Runs `work` with a temporary folder of the cache (same disk, so that a rename works), removed whatever happens.
 * @template T
 * @param {(folder: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withTemporary(work) {
  const parent = join(cacheHome(), 'tmp');
  const folder = join(parent, randomBytes(6).toString('hex'));
  const remove = () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    rmSync(`${folder}.owner`, { force: true });
  };
  const done = onInterrupt(remove);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      `${folder}.owner`,
      JSON.stringify({ pid: process.pid, started: startedAt(process.pid), where: here() }),
    );
    return await work(folder);
  } catch (error) {
    if (error instanceof SetupError || !isDiskFull(error)) throw error;
    throw diskFull(cacheHome(), { cause: error });
  } finally {
    done();
    remove();
  }
}

/** Removes temporary folders whose process was killed before it could do so. */
export function sweepTemporary() {
  const parent = join(cacheHome(), 'tmp');
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    if (!name.endsWith('.owner')) continue;
    try {
      const owner = JSON.parse(readFileSync(join(parent, name), 'utf8'));
      if (owner.where !== here() || startedAt(owner.pid) === owner.started) continue;
      rmSync(join(parent, name.slice(0, -'.owner'.length)), { recursive: true, force: true });
      rmSync(join(parent, name), { force: true });
    } catch {
      // Another process sweeps it at this moment.
    }
  }
}

/** @param {string} path */
async function fsync(path) {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}

/** @param {string} folder */
async function writeManifest(folder) {
  /** @type {Record<string, [size: number, sha256: string]>} */
  const files = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(/** @type {any} */ (entry).parentPath ?? entry.path, entry.name);
    files[relative(folder, file)] = [lstatSync(file).size, await sha256File(file)];
  }
  const path = join(folder, MANIFEST);
  writeFileSync(path, JSON.stringify({ files }));
  await fsync(path);
}

/**
 * @param {string} folder
 * @param {{full?: boolean}} [options] `full` reads every byte
 * @returns {Promise<'complete' | 'missing' | {damage: string}>}
 */
export async function checkPiece(folder, { full = false } = {}) {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) return existsSync(folder) ? { damage: 'its manifest is missing' } : 'missing';
  let files;
  try {
    files = JSON.parse(readFileSync(path, 'utf8')).files;
  } catch {
    return { damage: 'its manifest cannot be read' };
  }
  for (const [name, [size, sha256]] of Object.entries(files)) {
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (!stat) return { damage: `${name} is missing` };
    if (stat.size !== size) return { damage: `${name} has ${stat.size} bytes instead of ${size}` };
    if (full && (await sha256File(join(folder, name))) !== sha256) return { damage: `${name} has changed` };
  }
  return 'complete';
}

/**
 * @param {string} folder
 * @param {number} bytes
 */
function assertSpace(folder, bytes) {
  mkdirSync(folder, { recursive: true });
  const disk = statfsSync(folder);
  const free = disk.bavail * disk.bsize;
  if (free >= bytes) return;
  const gigabytes = (/** @type {number} */ n) => (n / 1e9).toFixed(1);
  throw diskFull(folder, { detail: `needed: ${gigabytes(bytes)} GB, free: ${gigabytes(free)} GB` });
}

/**
 * Returns the folder of a piece, making it first when it is missing or damaged.
 * @param {object} piece
 * @param {string} piece.name for people
 * @param {string} piece.folder where it shall be
 * @param {(temporary: string, scratch: string) => Promise<void>} piece.make fills the first folder; the second is for its waste
 * @param {number} [piece.spaceBytes] free space that making it needs
 * @param {boolean} [piece.verify] check every byte of what is there
 * @returns {Promise<string>}
 */
export async function ensurePiece({ name, folder, make, spaceBytes = 0, verify = false }) {
  if ((await checkPiece(folder, { full: verify })) === 'complete') return folder;
  const lock = join(cacheHome(), 'locks', `${basename(dirname(folder))}-${basename(folder)}.lock`);
  const onWait = (/** @type {number | null} */ pid) =>
    say(`${name}: waiting for another set-up (process ${pid ?? '?'})`);
  const work = async () => {
    const state = await checkPiece(folder, { full: verify });
    if (state === 'complete') return folder;
    if (state !== 'missing')
      say(`${name}: the cached copy is damaged (${state.damage}); setting it up again`);
    sweepTemporary();
    assertSpace(cacheHome(), spaceBytes);
    const began = Date.now();
    const makeIn = async (/** @type {string} */ fresh, /** @type {string} */ scratch) => {
      await make(fresh, scratch);
      await writeManifest(fresh);
      mkdirSync(dirname(folder), { recursive: true });
      // A process that uses the damaged copy keeps its open files; the name must be free for the new one.
      if (existsSync(folder)) renameSync(folder, join(scratch, 'damaged'));
      await rename(fresh, folder).catch(async (error) => {
        if ((await checkPiece(folder)) !== 'complete') throw error;
      });
      await fsync(dirname(folder));
    };
    await withTemporary((fresh) => withTemporary((scratch) => makeIn(fresh, scratch)));
    progressEnds(name);
    say(`${name}: ready (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    return folder;
  };
  try {
    return await withLock(lock, work, { onWait });
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (error instanceof SetupError) throw error;
    if (isDiskFull(error)) throw diskFull(cacheHome(), { cause: error });
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
      throw new SetupError(
        'SETUP_CACHE',
        `The cache ${cacheHome()} cannot be written (${code}).`,
        'Point WATTSWEEP_HOME at a folder of yours.',
        { cause: error },
      );
    }
    throw error;
  } finally {
    progressEnds(name);
  }
}

/**
 * Keeps a verified download for a later try.
 * @param {string} file
 * @param {string} kept
 */
export async function keepDownload(file, kept) {
  await fsync(file);
  mkdirSync(dirname(kept), { recursive: true });
  await rename(file, kept);
}

/** @param {readonly string[]} files */
export const dropDownloads = (files) => Promise.all(files.map((file) => rm(file, { force: true })));
