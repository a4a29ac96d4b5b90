/**
 * What this box can train on, as slots: a slot is the place of one attempt. A GPU is known by its UUID, so that meter,
 * driver and program mean the same one.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { SlotDevice } from '../protocol/runner.js';
import type { MeteredDevice } from '../power/meter.js';
import { CPU_DEVICE } from '../power/source.js';
import { cpuModel } from '../power/processor.js';

export interface SlotInfo {
  /** `gpu0`, `gpu1`, ... in bus order; `cpu`, or `cpu0`, `cpu1`, ... when there are several. */
  readonly slotId: string;
  readonly device: SlotDevice;
  /** Bytes of the GPU's memory, when they are known; of a CPU slot its share of the box's memory. */
  readonly memoryBytes: number | null;
  /** Devices whose energy counts for an attempt here. */
  readonly metered: readonly MeteredDevice[];
}

/** A GPU as NVML or nvidia-smi lists it. */
export interface GpuInfo {
  readonly id: string;
  readonly model: string;
  readonly memoryBytes: number | null;
}

export interface SlotPlan {
  readonly slots: 'auto' | { readonly cpu: number };
  readonly threadsPerSlot: number | null;
  /** @default the cores that this process may use */
  readonly cores?: number;
  /** @default the memory that this process may use */
  readonly memoryBytes?: number;
  /** Several trainers on one box: this one has the GPUs `index`, `index + of`, ... and that part of the processors. */
  readonly part?: { readonly index: number; readonly of: number };
}

type Part = NonNullable<SlotPlan['part']>;
const WHOLE: Part = { index: 0, of: 1 };

const isOwn = (index: number, part: Part): boolean => index % part.of === part.index;

/** Devices that the other trainers of this box report: told twice, their watts would be added up twice. */
export function foreignDevices(gpus: readonly GpuInfo[], part: Part = WHOLE): ReadonlySet<string> {
  const foreign = gpus.filter((_gpu, index) => !isOwn(index, part)).map(({ id }) => id);
  return new Set(part.index === 0 ? foreign : [...foreign, CPU_DEVICE]);
}

/** One slot a GPU; else CPU slots that share the cores. */
export function planSlots(gpus: readonly GpuInfo[], plan: SlotPlan): readonly SlotInfo[] {
  const part = plan.part ?? WHOLE;
  const cores = (plan.cores ?? availableParallelism()) / part.of;
  const own = gpus.map((gpu, index) => ({ gpu, index })).filter(({ index }) => isOwn(index, part));
  const gpuSlots = plan.slots === 'auto' && own.length > 0;
  const count = gpuSlots ? own.length : plan.slots === 'auto' ? 1 : plan.slots.cpu;
  const threads = plan.threadsPerSlot ?? Math.max(1, Math.floor(cores / count));
  if (gpuSlots)
    return own.map(({ gpu, index }) => ({
      slotId: `gpu${String(index)}`,
      device: { kind: 'gpu', uuids: [gpu.id], model: gpu.model, threads },
      memoryBytes: gpu.memoryBytes,
      metered: [{ id: gpu.id, share: 1 }],
    }));
  const model = cpuModel();
  const memoryBytes = Math.floor((plan.memoryBytes ?? usableMemory()) / (count * part.of));
  return Array.from({ length: count }, (_unused, index) => ({
    slotId: count === 1 ? 'cpu' : `cpu${String(index)}`,
    device: { kind: 'cpu', uuids: [], model, threads },
    memoryBytes,
    // The counters are the package's. Slots that run side by side must not each count the whole of it.
    metered: [{ id: CPU_DEVICE, share: 1 / (count * part.of) }],
  }));
}

/** The box's memory, or what a container leaves of it. */
function usableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Several slots held by one attempt, as one: it has the devices, threads and energy of all. */
export function joinSlots(first: SlotInfo, further: readonly SlotInfo[]): SlotInfo {
  if (further.length === 0) return first;
  const all = [first, ...further];
  return {
    ...first,
    device: {
      ...first.device,
      uuids: all.flatMap(({ device }) => device.uuids),
      threads: all.reduce((sum, { device }) => sum + device.threads, 0),
    },
    metered: all.flatMap(({ metered }) => metered),
  };
}

/**
 * Environment that pins an attempt to its slot; null takes a variable away. An empty CUDA_VISIBLE_DEVICES hides every
 * GPU from a CPU slot.
 */
export function slotEnvironment(slot: SlotInfo): Readonly<Record<string, string | null>> {
  const threads = String(slot.device.threads);
  return {
    CUDA_VISIBLE_DEVICES: slot.device.uuids.join(','),
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    // TensorFlow takes all of a GPU's memory otherwise, and has no other switch that tfjs could reach.
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_NUM_INTRAOP_THREADS: threads,
    OMP_NUM_THREADS: threads,
    WATTSWEEP_SLOT: slot.slotId,
    // The join token is the service's; no program of a trial may have it.
    WATTSWEEP_TOKEN: null,
  };
}
