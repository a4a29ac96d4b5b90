/**
 * What computes: the native engine, tfjs-node-gpu with TensorFlow's own libraries as set-up left it in the cache folder, or
 * where that cannot be had the WebAssembly engine (`wasm.ts`). An engine says which device really computes, after a
 * convolution on it; nothing here assumes a GPU.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import util from 'node:util';
import type { Rank } from '@tensorflow/tfjs-node-gpu';
import { WattsweepError } from '../../../proto/errors.js';
import { cifar10Dir, enginePath, wasmPath, wasmWanted } from '../../../setup/locate.mjs';
import type { SlotDevice } from '../protocol/runner.js';
import { assertGpus, cudaGpus } from './cuda.js';
import type { TensorFlow } from './graph/binding.js';
import { nativeBackend } from './graph/binding.js';
import type { Engine } from './engine-kind.js';
import { compile } from './graph/compile.js';
import { openWasm } from './wasm.js';

export type { Engine } from './engine-kind.js';

/**
 * Folder that holds `node_modules/@tensorflow/tfjs-node-gpu` with its native library: `WATTSWEEP_ENGINE`, else set-up's.
 *
 * @throws WattsweepError ENGINE_MISSING
 */
export function engineFolder(): string {
  const folder = process.env['WATTSWEEP_ENGINE'] ?? enginePath();
  if (folder === null) throw new WattsweepError('ENGINE_MISSING', 'the native engine is not set up');
  if (!existsSync(join(folder, 'node_modules/@tensorflow/tfjs-node-gpu/package.json'))) {
    throw new WattsweepError('ENGINE_MISSING', `${folder} holds no native engine`);
  }
  return folder;
}

/**
 * Folder with CIFAR-10 in its binary layout, `data_batch_1.bin` to `5` and `test_batch.bin`: `WATTSWEEP_CIFAR10`, else
 * set-up's.
 *
 * @throws WattsweepError DATASET_INVALID
 */
export function cifar10Folder(): string {
  const folder = process.env['WATTSWEEP_CIFAR10'] ?? cifar10Dir();
  if (folder === null) throw new WattsweepError('DATASET_INVALID', 'CIFAR-10 is not set up');
  return folder;
}

/**
 * Thread counts for TensorFlow and its libraries, which read them once, when they are loaded.
 *
 * @param threads Threads that compute; at least 1.
 */
export function setThreads(threads: number): void {
  const count = String(Math.max(1, Math.floor(threads)));
  process.env['TF_NUM_INTRAOP_THREADS'] = count;
  process.env['OMP_NUM_THREADS'] = count;
  process.env['TF_NUM_INTEROP_THREADS'] ??= count;
}

/**
 * Loads the engine and computes a convolution on it; on a GPU, on those of the slot, as far as CUDA's driver tells.
 *
 * @throws WattsweepError ENGINE_MISSING when it is not set up or does not load or compute.
 */
export function openEngine(slot: Pick<SlotDevice, 'model'> & Partial<Pick<SlotDevice, 'uuids'>>): Engine {
  const folder = engineFolder();
  shimNode();
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  try {
    const tf = createRequire(join(folder, 'package.json'))('@tensorflow/tfjs-node-gpu') as TensorFlow;
    const backend = nativeBackend(tf);
    assertConvolution(tf);
    const kind = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
    const name = kind === 'gpu' ? gpuName(slot) : (cpus()[0]?.model.trim() ?? 'CPU');
    return {
      tf,
      name: 'tensorflow',
      version: backend.binding.TF_Version,
      mode: 'graph',
      fallback: null,
      device: { kind, name },
      program: (source) => compile(tf, source),
      heldTensors: () => backend.binding.getNumOfTensors(),
    };
  } catch (cause) {
    if (cause instanceof WattsweepError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WattsweepError('ENGINE_MISSING', `the native engine in ${folder} does not work: ${reason}`, {
      cause,
    });
  }
}

/**
 * The engine of a slot: the native one, or the WebAssembly one where set-up found that the native one cannot be had here, or
 * where `WATTSWEEP_WASM=1` wants it. A GPU slot never falls back.
 *
 * @throws WattsweepError ENGINE_MISSING
 */
export async function openEngineOf(slot: SlotDevice): Promise<Engine> {
  const folder = wasmPath();
  const isSetUp = process.env['WATTSWEEP_ENGINE'] !== undefined || enginePath() !== null;
  const falls = wasmWanted() ?? (!isSetUp && folder !== null);
  if (!falls || slot.kind === 'gpu') return openEngine(slot);
  if (folder === null) throw new WattsweepError('ENGINE_MISSING', 'the WebAssembly engine is not set up');
  const why = isSetUp ? 'WATTSWEEP_WASM asks for it' : 'the native engine cannot be had on this box';
  return openWasm(folder, why, assertConvolution);
}

/** The driver's word, where it can be had, and nothing but the slot's own GPUs. */
function gpuName({ model, uuids }: Parameters<typeof openEngine>[0]): string {
  const shown = uuids === undefined || uuids.length === 0 ? null : cudaGpus();
  return shown === null || uuids === undefined ? model : assertGpus({ model, uuids }, shown);
}

/** A 3x3 convolution of ones, where every inner result is 9. A library that loads but cannot compute fails here. */
function assertConvolution(tf: TensorFlow): void {
  const sum = tf.tidy(() => {
    const image = tf.ones<Rank.R4>([1, 8, 8, 1]);
    const kernel = tf.ones<Rank.R4>([3, 3, 1, 1]);
    return tf.conv2d(image, kernel, 1, 'valid').sum().dataSync();
  });
  if (sum[0] !== 9 * 36) throw new Error(`a convolution gave ${String(sum[0])} instead of 324`);
}

/** tfjs-node 4.22 calls two functions that Node 23 removed (tensorflow/tfjs#8425). */
function shimNode(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  legacy['isArray'] ??= Array.isArray;
}
