/**
 * Where set-up has put things, or null. Pure look-ups: nothing here installs, downloads, writes or starts a process.
 *
 * The cache is `WATTSWEEP_HOME`, else `$XDG_CACHE_HOME/wattsweep`, else `~/.cache/wattsweep`; clones share it.
 * The engine folder is meant for `createRequire(enginePath() + '/')('@tensorflow/tfjs-node-gpu')`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  MANIFEST,
  cacheHome,
  cifar10Folder,
  debianFolder,
  engineFolder,
  gpuWanted,
  isClone,
  natsServerFolder,
  onPath,
  projectRoot,
  wasmFolder,
  wasmWanted,
} from './lib/layout.mjs';

export { cacheHome, gpuWanted, isClone, onPath, projectRoot, wasmWanted };

/** @param {string | null} folder */
const whenComplete = (folder) => (folder && existsSync(join(folder, MANIFEST)) ? folder : null);

/**
 * The engine folder, the CUDA one where a GPU is wanted and it is there; null when set-up has not run.
 * @param {{gpu?: boolean}} [options]
 */
export function enginePath({ gpu = gpuWanted() } = {}) {
  return (gpu ? whenComplete(engineFolder(true)) : null) ?? whenComplete(engineFolder(false));
}

/** A folder with what trains by WebAssembly, which the native engine's is too; null when set-up has not run. */
export const wasmPath = () => whenComplete(wasmFolder()) ?? enginePath();

/** The folder with data_batch_1.bin .. data_batch_5.bin and test_batch.bin, or null. */
export const cifar10Dir = () => whenComplete(cifar10Folder());

/**
 * The nats-server to run: `WATTSWEEP_NATS_SERVER`, else what set-up found on PATH to be new enough, else the pinned one.
 * Set-up notes its verdict on PATH's binary, so that this look-up starts no process.
 */
export function natsServerPath() {
  if (process.env.WATTSWEEP_NATS_SERVER) return resolve(process.env.WATTSWEEP_NATS_SERVER);
  const own = onPath('nats-server');
  if (own) {
    try {
      const verdict = JSON.parse(readFileSync(join(cacheHome(), 'nats-server', 'on-path.json'), 'utf8'));
      if (verdict.path === own && verdict.usable) return own;
    } catch {
      // Set-up has not looked at it.
    }
  }
  const folder = whenComplete(natsServerFolder());
  return folder && join(folder, 'nats-server');
}

/**
 * @param {string} piece the Debian package's name in the cache
 * @param {string} binary
 */
function debianTool(piece, binary) {
  const own = onPath(binary);
  if (own) return own;
  const folder = whenComplete(debianFolder(piece));
  const files = folder ? [join(folder, 'bin', binary), join(folder, 'usr', 'bin', binary)] : [];
  return files.find((file) => existsSync(file)) ?? null;
}

export const prometheusPath = () => debianTool('prometheus', 'prometheus');
export const promtoolPath = () => debianTool('prometheus', 'promtool');
export const chromiumPath = () => debianTool('chromium', 'chromium');
