/** node_modules of the clone: `npm ci`, when the lock file has changed since the last one. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheHome, isClone, projectRoot } from '../lib/layout.mjs';
import { withLock } from '../lib/lock.mjs';
import { npm } from '../lib/npm.mjs';
import { progress, progressEnds, say } from '../lib/say.mjs';

/** @param {string} root */
export const cloneLock = (root) =>
  join(cacheHome(), 'locks', `clone-${createHash('sha256').update(root).digest('hex').slice(0, 12)}.lock`);

/** @param {string} root */
const lockSum = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/**
 * Whether the installed tree is what the lock file says: npm writes its own copy of it at the end of an installation.
 * @param {string} root
 */
function installedMatches(root) {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(
      readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8'),
    ).packages;
    return Object.entries(wanted).every(
      ([path, entry]) => path === '' || entry.optional || present[path]?.version === entry.version,
    );
  } catch {
    return false;
  }
}

/** @returns {Promise<string>} the node_modules folder */
export async function ensureModules() {
  const root = projectRoot();
  const folder = join(root, 'node_modules');
  if (!isClone(root)) return folder;
  const stamp = join(folder, '.wattsweep-stamp');
  const fresh = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === lockSum(root);
  if (fresh()) return folder;
  await withLock(cloneLock(root), async () => {
    if (fresh()) return;
    if (!installedMatches(root)) {
      const began = Date.now();
      progress('modules', 'npm ci');
      rmSync(stamp, { force: true });
      await npm(['ci'], root, "the project's modules").finally(() => progressEnds('modules'));
      say(`modules: ready (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    }
    writeFileSync(stamp, lockSum(root));
  });
  return folder;
}
