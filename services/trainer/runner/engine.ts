/**
 * The native engine: tfjs-node-gpu with TensorFlow's own libraries, as set-up left it in the cache folder. It says which
 * device really computes, after a convolution on it; nothing here assumes a GPU.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';
import { WattsweepError } from '../../../proto/errors.js';
import type { SlotDevice } from '../protocol/runner.js';
import type { TensorFlow } from './graph/binding.js';
import { nativeBackend } from './graph/binding.js';

export interface Engine {
  readonly tf: TensorFlow;
  /** TensorFlow's version, e.g. `2.21.0`. */
  readonly version: string;
  /** What computes, as a convolution showed. */
  readonly device: { readonly kind: 'gpu' | 'cpu'; readonly name: string };
}

/** The locators of set-up; plain JavaScript, present in a clone and in the published package. */
interface Locate {
  enginePath(): string | undefined | Promise<string | undefined>;
  cifar10Dir(): string | undefined | Promise<string | undefined>;
}

async function locate(): Promise<Partial<Locate>> {
  // From services/trainer/runner/ in a clone, from a bundle in dist/ one or more levels down in a package.
  for (const up of ['..', '../..', '../../..', '../../../..']) {
    const file = new URL(`${up}/setup/locate.mjs`, import.meta.url);
    if (existsSync(file)) return (await import(pathToFileURL(file.pathname).href)) as Partial<Locate>;
  }
  return {};
}

/** Folder that holds `node_modules/@tensorflow/tfjs-node-gpu` with its native library. */
export async function engineFolder(): Promise<string> {
  const folder = process.env['WATTSWEEP_ENGINE'] ?? (await (await locate()).enginePath?.());
  if (
    folder === undefined ||
    !existsSync(join(folder, 'node_modules/@tensorflow/tfjs-node-gpu/package.json'))
  ) {
    throw new WattsweepError(
      'ENGINE_MISSING',
      `the native engine is not set up${folder === undefined ? '' : ` in ${folder}`}`,
    );
  }
  return folder;
}

/** Folder with CIFAR-10 in its binary layout: `data_batch_1.bin` to `5`, `test_batch.bin`. */
export async function cifar10Folder(): Promise<string> {
  const folder = process.env['WATTSWEEP_CIFAR10'] ?? (await (await locate()).cifar10Dir?.());
  if (folder === undefined || !existsSync(folder)) {
    throw new WattsweepError(
      'DATASET_INVALID',
      `CIFAR-10 is not set up${folder === undefined ? '' : ` in ${folder}`}`,
    );
  }
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
 * Loads the engine and computes a convolution on it.
 *
 * @throws WattsweepError ENGINE_MISSING when it is not set up or does not load or compute.
 */
export async function openEngine(slot: SlotDevice): Promise<Engine> {
  const folder = await engineFolder();
  shimNode();
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  try {
    const tf = createRequire(join(folder, 'package.json'))('@tensorflow/tfjs-node-gpu') as TensorFlow;
    const backend = nativeBackend(tf);
    assertConvolution(tf);
    const kind = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
    const name = kind === 'gpu' ? slot.model : (cpus()[0]?.model.trim() ?? 'CPU');
    return { tf, version: backend.binding.TF_Version, device: { kind, name } };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WattsweepError('ENGINE_MISSING', `the native engine in ${folder} does not work: ${reason}`, {
      cause,
    });
  }
}

/** A 3x3 convolution of ones, where every inner result is 9. A library that loads but cannot compute fails here. */
function assertConvolution(tf: TensorFlow): void {
  const sum = tf.tidy(() =>
    tf
      .conv2d(
        tf.ones([1, 8, 8, 1]) as ReturnType<typeof tf.tensor4d>,
        tf.ones([3, 3, 1, 1]) as ReturnType<typeof tf.tensor4d>,
        1,
        'valid',
      )
      .sum()
      .dataSync(),
  );
  if (sum[0] !== 9 * 36) throw new Error(`a convolution gave ${String(sum[0])} instead of 324`);
}

/** tfjs-node 4.22 calls two functions that Node 23 removed (tensorflow/tfjs#8425). */
function shimNode(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  legacy['isArray'] ??= Array.isArray;
}
