/**
 * The native engine: @tensorflow/tfjs-node-gpu from npm, TensorFlow's current libraries from its own Python wheel, and
 * the package's C++ binding compiled against them. The package's own installer is never run: it fetches a TensorFlow of
 * 2022 from a host that is often unreachable. So the package is installed here, in the cache, and not as a dependency.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import {
  engineFolder,
  engineSource,
  gpuWanted,
  libtensorflowFolder,
  onPath,
  pins,
  platformKey,
  projectRoot,
  wasmFolder,
  wasmWanted,
} from '../lib/layout.mjs';
import { SetupError } from '../lib/errors.mjs';
import { npm } from '../lib/npm.mjs';
import { lastWords, run } from '../lib/run.mjs';
import { progress, say } from '../lib/say.mjs';
import { checkPiece, dropDownloads, ensurePiece } from '../lib/store.mjs';
import { assertPip, fetchWheel, unpackWheels } from '../lib/wheels.mjs';

/** What the binding needs of a wheel of 1.2 GB: two libraries, the C headers, and CUDA's libraries beside them. */
const TAKE = [
  'tensorflow/libtensorflow_cc.*',
  'tensorflow/libtensorflow_framework.*',
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/ctstring*',
  'tensorflow/include/tsl/platform/ctstring*',
  'tensorflow/include/xla/tsl/c/',
  'nvidia/*/lib/*.so*',
  'nvidia/cuda_nvcc/bin/ptxas',
  'nvidia/cuda_nvcc/nvvm/libdevice/*',
];

/** @param {boolean} gpu */
function chosenPins(gpu) {
  const variant = `${platformKey()}-${gpu ? 'cuda' : 'cpu'}`;
  const chosen = /** @type {import('../lib/layout.mjs').EnginePins | undefined} */ (
    pins().libtensorflow[variant]
  );
  if (chosen) return chosen;
  throw new SetupError(
    'SETUP_PLATFORM',
    `There is no TensorFlow library for ${variant}.`,
    'Train on Linux (x86_64 or arm64) or on an Apple silicon Mac; under Windows use WSL 2.',
  );
}

/** The wheels are built for glibc; musl's loader does not take them. */
function assertGlibc() {
  if (process.platform !== 'linux') return;
  const header = /** @type {any} */ (process.report?.getReport()).header;
  if (header.glibcVersionRuntime) return;
  throw new SetupError(
    'SETUP_PLATFORM',
    'TensorFlow needs a Linux with glibc; this one has musl.',
    'Use a Debian, Ubuntu or Fedora based image instead of Alpine.',
  );
}

function compiler() {
  if (process.env.CXX) return process.env.CXX;
  const found = ['g++', 'c++', 'clang++'].find((name) => onPath(name));
  if (found) return found;
  throw new SetupError(
    'SETUP_CXX',
    'There is no C++ compiler on this machine; the TensorFlow binding (three files) is compiled once.',
    'Install g++ (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install), or name one in CXX.',
  );
}

/**
 * TensorFlow opens CUDA's libraries by name, along a search path that lacks some of their folders (cuSOLVER's, so that
 * no GPU would be used at all). So every library gets a link in one folder that is on the path. These folders are all as
 * deep, so that the libraries' own relative paths hold there too.
 * @param {string} folder with nvidia/
 */
export function linkCudaLibraries(folder) {
  const nvidia = join(folder, 'nvidia');
  const meeting = join(nvidia, 'cuda_runtime', 'lib');
  for (const part of readdirSync(nvidia)) {
    const own = join(nvidia, part, 'lib');
    if (own === meeting || !existsSync(own)) continue;
    for (const name of readdirSync(own).filter((file) => file.includes('.so'))) {
      if (!existsSync(join(meeting, name)))
        symlinkSync(join('..', '..', part, 'lib', name), join(meeting, name));
    }
  }
}

/**
 * @param {boolean} gpu
 * @param {boolean} verify
 */
async function ensureLibraries(gpu, verify) {
  const chosen = chosenPins(gpu);
  /** @type {string[]} */
  const files = [];
  const folder = await ensurePiece({
    name: 'tensorflow',
    folder: /** @type {string} */ (libtensorflowFolder(gpu)),
    spaceBytes: chosen.spaceBytes,
    verify,
    make: async (fresh, scratch) => {
      assertGlibc();
      await assertPip();
      if (!chosen.tested)
        say(
          `tensorflow: the libraries for ${platformKey()}${gpu ? ' with CUDA' : ''} have not been tried by us`,
        );
      const downloads = join(scratch, 'pip');
      mkdirSync(downloads);
      for (const wheel of chosen.wheels) files.push(await fetchWheel('tensorflow', wheel, downloads));
      await unpackWheels('tensorflow', files, TAKE, fresh);
      if (gpu) linkCudaLibraries(fresh);
    },
  });
  await dropDownloads(files);
  return folder;
}

/**
 * @param {string} modules the engine's node_modules
 * @param {string} libraries folder with tensorflow/
 */
async function compileBinding(modules, libraries) {
  const mac = process.platform === 'darwin';
  const source = join(modules, '@tensorflow', 'tfjs-node-gpu', 'binding');
  const folder = join(modules, '@tensorflow', 'tfjs-node-gpu', 'lib', 'napi-v8');
  mkdirSync(folder, { recursive: true });
  // Relative, so that the cache can be moved; a temporary folder lies as deep in it as the final one.
  const from = relative(folder, join(libraries, 'tensorflow'));
  const names = ['cc', 'framework'].map((name) => `libtensorflow_${name}`);
  const args = [
    ...['-O2', '-std=c++17', '-fPIC', '-DNAPI_VERSION=8'],
    ...(mac ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']),
    `-I${join(modules, 'node-api-headers', 'include')}`,
    `-I${join(libraries, 'tensorflow', 'include')}`,
    join(source, 'tfjs_backend.cc'),
    join(source, 'tfjs_binding.cc'),
    ...['-o', join(folder, 'tfjs_binding.node')],
    ...(mac
      ? names.map((name) => join(libraries, 'tensorflow', `${name}.2.dylib`))
      : [`-L${join(libraries, 'tensorflow')}`, ...names.map((name) => `-l:${name}.so.2`)]),
    `-Wl,-rpath,${mac ? '@loader_path' : '$ORIGIN'}/${from}`,
  ];
  const ran = await run(compiler(), args);
  if (ran.code === 0) return;
  throw new SetupError(
    'SETUP_CXX',
    'The TensorFlow binding could not be compiled.',
    'A compiler with C++17 is needed (g++ 8 or newer); CXX names another.',
    {
      detail: lastWords(ran),
    },
  );
}

/** Whether a GPU can be opened here, as opposed to a driver lying about. */
const hasGpuDevice = () => existsSync('/dev/nvidia0') || existsSync('/dev/dxg');

/**
 * A real convolution, its gradient, a fused batch normalisation and a saved graph, in a process of its own: a library
 * that needs another CPU or driver ends it by a signal.
 * @param {string} folder an engine folder
 * @param {boolean} gpu whether it is the CUDA one
 */
async function proveEngine(folder, gpu) {
  const ran = await run(process.execPath, [join(projectRoot(), 'setup', 'prove-engine.cjs'), folder], {
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '1' },
  });
  if (ran.code !== 0) {
    throw new SetupError(
      'SETUP_ENGINE',
      'The TensorFlow engine was set up but does not compute right on this machine.',
      'The lines below say why; on x86_64 it needs a CPU with AVX.',
      { detail: lastWords(ran) },
    );
  }
  if (gpu && hasGpuDevice() && !JSON.parse(ran.stdout).gpu) {
    throw new SetupError(
      'SETUP_GPU',
      'There is a GPU on this machine, but TensorFlow does not use it.',
      'The lines below say why (often a driver older than 525: see nvidia-smi); WATTSWEEP_GPU=0 trains on the CPU.',
      { detail: lastWords(ran) },
    );
  }
}

/** What nobody at this machine can mend: no library for this platform, or none that this CPU runs. */
const CANNOT_BE_HAD = new Set(['SETUP_PLATFORM', 'SETUP_ENGINE']);

/**
 * The native engine; where it cannot be had, or `WATTSWEEP_WASM=1` says so, the WebAssembly one.
 * @param {{gpu?: boolean, verify?: boolean}} [options] `gpu` unset: as `gpuWanted()` finds
 * @returns {Promise<string>} the engine folder, see `locate.mjs`
 */
export async function ensureEngine(options = {}) {
  if (wasmWanted() === true) return ensureWasm(options);
  try {
    return await ensureNative(options);
  } catch (error) {
    const hopeless = error instanceof SetupError && CANNOT_BE_HAD.has(error.code);
    // Slots of GPUs refuse WebAssembly: there the error says more.
    const forGpu = options.gpu ?? (gpuWanted() && libtensorflowFolder(true) !== null);
    if (!hopeless || wasmWanted() === false || forGpu) throw error;
    say(error.report);
    say(
      'engine: SO TRAINING FALLS BACK TO WEBASSEMBLY, on one thread and some twenty times slower; WATTSWEEP_WASM=0 refuses that',
    );
    return ensureWasm(options);
  }
}

/** @param {{verify?: boolean}} options */
const ensureWasm = ({ verify = false }) =>
  ensurePiece({
    name: 'engine',
    folder: wasmFolder(),
    verify,
    spaceBytes: 500e6,
    make: async (fresh) => {
      await installPackages(fresh);
      progress('engine', 'proving');
      const ran = await run(process.execPath, [join(projectRoot(), 'setup', 'prove-wasm.cjs'), fresh]);
      if (ran.code === 0) return;
      throw new SetupError(
        'SETUP_ENGINE',
        'The WebAssembly engine was set up but does not compute right on this machine.',
        'The lines below say why; it needs a Node.js with WebAssembly SIMD.',
        { detail: lastWords(ran) },
      );
    },
  });

/** @param {string} fresh */
async function installPackages(fresh) {
  progress('engine', 'npm ci');
  for (const name of ['package.json', 'npm-shrinkwrap.json']) {
    copyFileSync(join(engineSource(), name), join(fresh, name));
  }
  await npm(['ci'], fresh, 'TensorFlow.js');
}

/**
 * @param {{gpu?: boolean, verify?: boolean}} options
 * @returns {Promise<string>}
 */
async function ensureNative({ gpu: asked, verify = false }) {
  let gpu = asked ?? gpuWanted();
  if (asked === undefined && gpu && !libtensorflowFolder(true)) {
    say(
      `engine: there is an NVIDIA driver but no CUDA build of TensorFlow for ${platformKey()}; training would run on the CPU`,
    );
    gpu = false;
  }
  chosenPins(gpu);
  const folder = /** @type {string} */ (engineFolder(gpu));
  const librariesFolder = /** @type {string} */ (libtensorflowFolder(gpu));
  // Said before anything is fetched.
  if ((await checkPiece(folder)) !== 'complete') compiler();
  const libraries = ensureLibraries(gpu, verify);
  const engine = ensurePiece({
    name: 'engine',
    folder,
    verify,
    spaceBytes: 700e6,
    make: async (fresh) => {
      await installPackages(fresh);
      await libraries;
      progress('engine', 'compiling');
      await compileBinding(join(fresh, 'node_modules'), librariesFolder);
      progress('engine', 'proving');
      await proveEngine(fresh, gpu);
    },
  });
  // Both are waited for, so that a failure of one does not leave the other working behind an ended set-up.
  for (const result of await Promise.allSettled([libraries, engine])) {
    if (result.status === 'rejected') throw result.reason;
  }
  return folder;
}
