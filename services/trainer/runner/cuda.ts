/**
 * The GPUs that CUDA's driver shows to this process, by UUID and name: what the slot was given and what computes are then
 * compared, and not taken for the same.
 */
import { createRequire } from 'node:module';
import { WattsweepError } from '../../../proto/errors.js';
import type { SlotDevice } from '../protocol/runner.js';

export interface CudaGpu {
  /** As NVML prints it; null from a driver that does not tell. */
  readonly uuid: string | null;
  readonly name: string;
}

interface Library {
  func(prototype: string): unknown;
}
type Call = (...args: readonly unknown[]) => number;

const NAME_BYTES = 128;
const UUID_BYTES = 16;

/**
 * In CUDA's order; null where its driver cannot be asked.
 *
 * @param path of libcuda; WATTSWEEP_CUDA_LIBRARY names another one
 */
export function cudaGpus(
  path = process.env['WATTSWEEP_CUDA_LIBRARY'] ?? 'libcuda.so.1',
): readonly CudaGpu[] | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as { load(path: string): Library };
    const library = koffi.load(path);
    const bind = (prototype: string): Call => library.func(`int ${prototype}`) as Call;
    const count = new Int32Array(1);
    if (bind('cuInit(uint32_t flags)')(0) !== 0) return null;
    if (bind('cuDeviceGetCount(int32_t *count)')(count) !== 0) return null;
    const get = bind('cuDeviceGet(int32_t *device, int ordinal)');
    const getName = bind('cuDeviceGetName(uint8_t *name, int length, int32_t device)');
    const getUuid = uuidCall(bind);
    return Array.from({ length: count[0] ?? 0 }, (_unused, ordinal) => {
      const device = new Int32Array(1);
      const name = Buffer.alloc(NAME_BYTES);
      const uuid = Buffer.alloc(UUID_BYTES);
      const isThere = get(device, ordinal) === 0 && getName(name, NAME_BYTES, device[0]) === 0;
      return {
        uuid: isThere && getUuid?.(uuid, device[0]) === 0 ? uuidText(uuid) : null,
        name: name.toString('utf8', 0, Math.max(0, name.indexOf(0))),
      };
    });
  } catch {
    return null;
  }
}

/** The newer one tells parts of a GPU (MIG) apart. */
function uuidCall(bind: (prototype: string) => Call): Call | null {
  for (const name of ['cuDeviceGetUuid_v2', 'cuDeviceGetUuid'])
    try {
      return bind(`${name}(uint8_t *uuid, int32_t device)`);
    } catch {
      continue;
    }
  return null;
}

const uuidText = (bytes: Buffer): string =>
  `GPU-${bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}`;

/** Without the word before it: a part of a GPU has another one. */
const bare = (uuid: string): string => uuid.replace(/^(GPU|MIG)-/, '').toLowerCase();

/**
 * The name of the GPU that computes, as its driver says. Throws ENGINE_MISSING when CUDA shows others than those of the slot,
 * or more, or fewer.
 */
export function assertGpus(
  { uuids, model }: Pick<SlotDevice, 'uuids' | 'model'>,
  shown: readonly CudaGpu[],
): string {
  const words = shown.map(({ uuid, name }) => `${name} (${uuid ?? 'no UUID'})`).join(', ');
  const isOf = ({ uuid, name }: CudaGpu): boolean =>
    (uuid === null || uuids.some((own) => bare(own) === bare(uuid))) &&
    (name.startsWith(model) || model.startsWith(name));
  if (shown.length !== uuids.length || !shown.every(isOf))
    throw new WattsweepError(
      'ENGINE_MISSING',
      `the slot has ${model} (${uuids.join(', ')}), but CUDA shows ${words === '' ? 'no GPU' : words}`,
    );
  return shown[0]?.name ?? model;
}
