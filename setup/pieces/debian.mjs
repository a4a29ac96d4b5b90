/**
 * Test tools that the machine lacks, from Debian's or Ubuntu's own packages: downloaded by apt (which checks their
 * signatures), unpacked into the cache, never installed. Needs no root.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { debianFolder, onPath } from '../lib/layout.mjs';
import { SetupError, diskFull, isDiskFull } from '../lib/errors.mjs';
import { lastWords, run } from '../lib/run.mjs';
import { progress } from '../lib/say.mjs';
import { ensurePiece } from '../lib/store.mjs';

/** @typedef {{name: string, binaries: string[], advice: string, spaceBytes: number}} Tool `binaries` are paths in the package */

/** @param {Tool} tool @param {string} why @param {string} [detail] */
const unavailable = (tool, why, detail) =>
  new SetupError(
    'SETUP_TOOL',
    `The tests need ${tool.name}, and ${why}.`,
    tool.advice,
    detail ? { detail } : {},
  );

/**
 * Settings that keep apt's lists and archives in our folder; its sources and keys stay the system's.
 * @param {string} folder
 */
function ownApt(folder) {
  mkdirSync(join(folder, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(folder, 'archives', 'partial'), { recursive: true });
  return [
    '-o',
    `Dir::State::Lists=${join(folder, 'lists')}`,
    '-o',
    `Dir::Cache=${folder}`,
    '-o',
    'Debug::NoLocking=1',
  ];
}

/**
 * @param {Tool} tool
 * @param {readonly string[]} packages
 * @param {string} scratch the .deb files end up here
 * @param {string[]} apt settings; our own lists are fetched once, when the system's do not do
 */
async function download(tool, packages, scratch, apt) {
  const attempt = () => run('apt-get', [...apt, '--quiet', 'download', ...packages], { cwd: scratch });
  let ran = await attempt();
  if (ran.code !== 0 && apt.length === 0) {
    apt.push(...ownApt(join(scratch, 'apt')));
    progress(tool.name, 'reading the package lists');
    await run('apt-get', [...apt, '--quiet', 'update']);
    ran = await attempt();
  }
  if (ran.code === 0) return;
  if (isDiskFull(ran.stderr)) throw diskFull(scratch, { detail: lastWords(ran) });
  throw unavailable(tool, 'its Debian package could not be downloaded', lastWords(ran));
}

/** @param {string} folder @param {string} scratch @param {Set<string>} unpacked @param {Tool} tool */
async function unpack(tool, folder, scratch, unpacked) {
  for (const name of readdirSync(scratch).filter((file) => file.endsWith('.deb') && !unpacked.has(file))) {
    unpacked.add(name);
    const ran = await run('dpkg-deb', ['-x', join(scratch, name), folder]);
    if (ran.code === 0) continue;
    if (isDiskFull(ran.stderr)) throw diskFull(folder, { detail: lastWords(ran) });
    throw unavailable(tool, `${name} could not be unpacked`, lastWords(ran));
  }
}

/** @param {string} folder */
const libraryPath = (folder) =>
  readdirSync(join(folder, 'usr', 'lib'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.endsWith('-linux-gnu'))
    .map((entry) => join(/** @type {any} */ (entry).parentPath ?? entry.path, entry.name))
    .join(':');

/** @param {string} binary @param {string} [libraries] */
async function missingLibraries(binary, libraries) {
  const ran = await run('ldd', [binary], {
    env: { ...process.env, ...(libraries ? { LD_LIBRARY_PATH: libraries } : {}) },
  });
  return ran.stdout.split('\n').filter((line) => line.includes('not found'));
}

/**
 * @param {Tool} tool
 * @param {{verify?: boolean}} options
 * @returns {Promise<Record<string, string>>} the binaries by name
 */
async function ensureDebianTool(tool, { verify = false }) {
  const own = tool.binaries.map((path) => [basename(path), onPath(basename(path))]);
  if (own.every(([, path]) => path)) return Object.fromEntries(own);
  const folder = await ensurePiece({
    name: tool.name,
    folder: debianFolder(tool.name),
    spaceBytes: tool.spaceBytes,
    verify,
    make: async (fresh, scratch) => {
      if (!onPath('apt-get') || !onPath('dpkg-deb'))
        throw unavailable(tool, 'this system has neither it nor apt to fetch it with');
      /** @type {string[]} */
      const apt = [];
      /** @type {Set<string>} */
      const unpacked = new Set();
      progress(tool.name, 'fetching');
      await download(tool, [tool.name], scratch, apt);
      await unpack(tool, fresh, scratch, unpacked);
      const binaries = tool.binaries.map((path) => join(fresh, path));
      const lacking = (await Promise.all(binaries.map((binary) => missingLibraries(binary)))).flat();
      if (lacking.length === 0) return;
      // What apt would install beside it: exactly the packages that this system lacks.
      const plan = await run('apt-get', [
        ...apt,
        '--simulate',
        '--no-install-recommends',
        'install',
        tool.name,
      ]);
      const packages = [...plan.stdout.matchAll(/^Inst (\S+)/gm)].map(
        (match) => /** @type {string} */ (match[1]),
      );
      progress(tool.name, `fetching ${packages.length} libraries`);
      await download(
        tool,
        packages.filter((name) => name !== tool.name),
        scratch,
        apt,
      );
      await unpack(tool, fresh, scratch, unpacked);
      const still = (
        await Promise.all(binaries.map((binary) => missingLibraries(binary, libraryPath(fresh))))
      ).flat();
      if (still.length > 0)
        throw unavailable(tool, 'some of its libraries could not be had', still.join('\n'));
      mkdirSync(join(fresh, 'bin'), { recursive: true });
      const relativeLibraries = libraryPath(fresh)
        .split(':')
        .map((path) => path.replace(fresh, '$here'))
        .join(':');
      for (const path of tool.binaries) {
        const wrapper = join(fresh, 'bin', basename(path));
        writeFileSync(
          wrapper,
          `#!/bin/sh\nhere=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)\nLD_LIBRARY_PATH="${relativeLibraries}" exec "$here/${path}" "$@"\n`,
        );
        chmodSync(wrapper, 0o755);
      }
    },
  });
  return Object.fromEntries(
    tool.binaries.map((path) => {
      const wrapper = join(folder, 'bin', basename(path));
      return [basename(path), existsSync(wrapper) ? wrapper : join(folder, path)];
    }),
  );
}

/** @param {{verify?: boolean}} [options] */
export const ensurePrometheus = (options = {}) =>
  ensureDebianTool(
    {
      name: 'prometheus',
      binaries: ['usr/bin/prometheus', 'usr/bin/promtool'],
      advice:
        'Put prometheus and promtool on PATH (Debian, Ubuntu: apt install prometheus; macOS: brew install prometheus).',
      spaceBytes: 400e6,
    },
    options,
  );

/** @param {{verify?: boolean}} [options] */
export const ensureChromium = (options = {}) =>
  ensureDebianTool(
    {
      name: 'chromium',
      binaries: ['usr/lib/chromium/chromium'],
      advice: 'Put chromium on PATH (Debian: apt install chromium).',
      spaceBytes: 1200e6,
    },
    options,
  );
