/**
 * A lock between processes that share the cache. It only saves double work: what makes two at once safe is that a
 * finished folder appears by one rename. So a lock whose owner is gone may be taken over without much ceremony.
 */
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onInterrupt } from './interrupt.mjs';

/** An owner whose process we cannot see (another host, another container) shows that it lives by touching the file. */
const HEARTBEAT_MS = 5_000;
const FOREIGN_STALE_MS = 60_000;
const POLL_MS = 200;

/** @typedef {{pid: number, started: string, where: string, token: string}} Owner */

/**
 * When a process started, in whatever unit the system has; a process id alone may have been given to another.
 * @param {number} pid
 * @returns {string | null} null when there is no such process
 */
export function startedAt(pid) {
  try {
    if (process.platform === 'linux') {
      // The name in parentheses may hold spaces; field 22 counts from behind it.
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? null;
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}

/** The realm in which a process id means something: this host, this pid namespace. */
export function here() {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** @returns {Owner} */
const self = () => ({
  pid: process.pid,
  started: startedAt(process.pid) ?? '',
  where: here(),
  token: randomBytes(8).toString('hex'),
});

/**
 * @param {string} file
 * @returns {{owner: Owner | null, ageMs: number} | null} null when nobody holds it; an owner of null while it is being written
 */
function read(file) {
  try {
    const ageMs = Date.now() - statSync(file).mtimeMs;
    try {
      return { owner: JSON.parse(readFileSync(file, 'utf8')), ageMs };
    } catch {
      return { owner: null, ageMs };
    }
  } catch {
    return null;
  }
}

/** @param {{owner: Owner | null, ageMs: number}} held */
function isStale({ owner, ageMs }) {
  if (!owner) return ageMs > HEARTBEAT_MS;
  if (owner.where !== here()) return ageMs > FOREIGN_STALE_MS;
  return startedAt(owner.pid) !== owner.started;
}

/**
 * @param {string} file
 * @param {string} content
 */
function tryCreate(file, content) {
  try {
    const fd = openSync(file, 'wx');
    writeSync(fd, content);
    closeSync(fd);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes a stale lock. Two that found it stale must not remove each other's new one, so they queue at a guard.
 * @param {string} file
 */
function removeStale(file) {
  const guard = `${file}.steal`;
  try {
    mkdirSync(guard);
  } catch {
    const held = read(guard);
    if (held && held.ageMs > 10_000) rmdirSync(guard);
    return;
  }
  const held = read(file);
  if (held && isStale(held)) rmSync(file, { force: true });
  rmdirSync(guard);
}

/**
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {{onWait?: (pid: number | null) => void}} [options] `onWait` is called once, if another holds the lock
 * @returns {Promise<T>}
 */
export async function withLock(file, work, { onWait } = {}) {
  mkdirSync(dirname(file), { recursive: true });
  const owner = self();
  let told = false;
  while (!tryCreate(file, JSON.stringify(owner))) {
    const held = read(file);
    if (held && isStale(held)) {
      removeStale(file);
      continue;
    }
    if (!told && held) {
      told = true;
      onWait?.(held.owner?.pid ?? null);
    }
    await sleep(POLL_MS);
  }
  const release = () => {
    if (read(file)?.owner?.token === owner.token) rmSync(file, { force: true });
  };
  const done = onInterrupt(release);
  const heartbeat = setInterval(() => {
    try {
      utimesSync(file, new Date(), new Date());
    } catch {
      // Taken from us after a long sleep: the work stays safe, see above.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    done();
    release();
  }
}
