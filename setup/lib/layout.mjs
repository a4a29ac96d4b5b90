/**
 * How the cache is laid out: one folder a piece, named after what it is made of (versions, sums), so that a new pin is a
 * new folder and an old clone keeps its own. Pure: reads the pins, looks at the machine, writes nothing.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{name: string, version: string, file: string, sha256: string, bytes?: number}} Wheel */
/** @typedef {{tested: boolean, spaceBytes: number, wheels: Wheel[]}} EnginePins */

/** The folder of the clone or of the installed package, from `setup/lib/` as well as from its copy in `dist/`. */
export function projectRoot() {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!(existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'setup', 'pins.json')))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('wattsweep: its own package.json was not found above ' + import.meta.url);
    folder = parent;
  }
  return folder;
}

/** A clone has the sources and its settings; an installed tarball has neither and is never rebuilt. */
export function isClone(root = projectRoot()) {
  return existsSync(join(root, 'tsconfig.json')) && existsSync(join(root, 'package-lock.json'));
}

/** @param {NodeJS.ProcessEnv} [env] */
export function cacheHome(env = process.env) {
  if (env.WATTSWEEP_HOME) return resolve(env.WATTSWEEP_HOME);
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wattsweep');
}

/** The versions and sums that set-up accepts. */
export function pins() {
  return JSON.parse(readFileSync(join(projectRoot(), 'setup', 'pins.json'), 'utf8'));
}

/** `linux-x64`, `linux-arm64`, `darwin-arm64`: the keys of `pins.json`. */
export const platformKey = () => `${process.platform}-${process.arch}`;

/**
 * Whether the engine should bring CUDA: `WATTSWEEP_GPU=1` or `0` decides, else a driver that can be seen does.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function gpuWanted(env = process.env) {
  if (env.WATTSWEEP_GPU) return env.WATTSWEEP_GPU !== '0';
  if (process.platform !== 'linux') return false;
  if (existsSync('/proc/driver/nvidia/version')) return true;
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const folders = [
    `/usr/lib/${triplet}`,
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/nvidia/lib64',
    '/usr/lib/wsl/lib',
    '/run/opengl-driver/lib',
  ];
  return folders.some((folder) => existsSync(join(folder, 'libnvidia-ml.so.1')));
}

/** @param {...string} parts */
const fingerprint = (...parts) => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 12);

/**
 * The cache folder of the TensorFlow libraries, or null where no wheel is pinned for this platform.
 * @param {boolean} gpu
 */
export function libtensorflowFolder(gpu) {
  const variant = `${platformKey()}-${gpu ? 'cuda' : 'cpu'}`;
  const chosen = /** @type {EnginePins | undefined} */ (pins().libtensorflow[variant]);
  if (!chosen) return null;
  const key = fingerprint(...chosen.wheels.map((wheel) => wheel.sha256));
  return join(cacheHome(), 'libtensorflow', `${chosen.wheels[0]?.version}-${variant}-${key}`);
}

/** What the engine folder is installed from. */
export const engineSource = () => join(projectRoot(), 'services', 'trainer', 'engine');

/** @param {boolean} gpu */
export function engineFolder(gpu) {
  const libraries = libtensorflowFolder(gpu);
  if (!libraries) return null;
  const lock = readFileSync(join(engineSource(), 'npm-shrinkwrap.json'), 'utf8');
  return join(
    cacheHome(),
    'engine',
    `tfjs-${gpu ? 'cuda' : 'cpu'}-${fingerprint(lock, libraries.split('-').at(-1) ?? '')}`,
  );
}

/** The cache folder of the engine without TensorFlow's library: the same packages, nothing compiled. */
export function wasmFolder() {
  const lock = readFileSync(join(engineSource(), 'npm-shrinkwrap.json'), 'utf8');
  return join(cacheHome(), 'engine', `tfjs-wasm-${fingerprint(lock)}`);
}

/**
 * Whether training by WebAssembly is wanted: `WATTSWEEP_WASM=1` or `0` decides; null where nobody did.
 * @param {NodeJS.ProcessEnv} [env]
 */
export const wasmWanted = (env = process.env) => (env.WATTSWEEP_WASM ? env.WATTSWEEP_WASM !== '0' : null);

export const natsServerFolder = () =>
  join(cacheHome(), 'nats-server', `${pins().natsServer.version}-${platformKey()}`);
export const cifar10Folder = () => join(cacheHome(), 'cifar10', pins().cifar10.version);
/** @param {string} name */
export const debianFolder = (name) => join(cacheHome(), 'debian', `${name}-${platformKey()}`);

/** The name of the file that makes a cache folder complete: without it the folder is not there. */
export const MANIFEST = '.manifest.json';

/**
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | null}
 */
export function onPath(name, env = process.env) {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (!folder) continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}
