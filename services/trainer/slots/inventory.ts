/**
 * What this box can train on, as slots: a slot is the place of one attempt. A GPU is known by its UUID, so that meter,
 * driver and program mean the same one.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { SlotDevice } from '../protocol/runner.js';
import type { MeteredDevice } from '../power/meter.js';
import { CPU_DEVICE } from '../power/source.js';
import { cpuModel } from '../power/processor.js';
import { canPin, partOf, usableCpus } from './cpus.js';

export interface SlotInfo {
  /** `gpu0`, `gpu1`, ... in bus order, `gpu0-0`, `gpu0-1`, ... where slots share one; `cpu`, or `cpu0`, `cpu1`, ... */
  readonly slotId: string;
  readonly device: SlotDevice;
  /** Bytes of the GPU's memory, or of its part of it, when they are known; of a CPU slot its share of the box's memory. */
  readonly memoryBytes: number | null;
  /** Devices whose energy counts for an attempt here. */
  readonly metered: readonly MeteredDevice[];
  /** Slots that share its GPU, itself included; absent when it has it alone. */
  readonly sharedBy?: number;
  /** Its GPUs, when they are not NVIDIA's. */
  readonly foreign?: readonly GpuInfo[];
  /** CPUs that its attempts are pinned to; absent when they may use all of the box. */
  readonly cpus?: readonly number[];
}

/** A GPU as NVML, nvidia-smi or the kernel lists it. */
export interface GpuInfo {
  readonly id: string;
  readonly model: string;
  readonly memoryBytes: number | null;
  /** @default 'nvidia' */
  readonly vendor?: GpuVendor;
  /** Among those of its vendor, in bus order; of NVIDIA's, which are named by UUID, it is not needed. */
  readonly index?: number;
}

export type GpuVendor = 'nvidia' | 'amd' | 'intel';

export interface SlotPlan {
  readonly slots: 'auto' | { readonly cpu: number };
  readonly threadsPerSlot: number | null;
  /** Slots that share each GPU. @default 1 */
  readonly slotsPerDevice?: number;
  /** CPUs to divide among CPU slots; none: nothing is pinned. @default those that this process may use, if it can pin */
  readonly cpus?: readonly number[];
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

/** One slot a GPU, or several; else CPU slots that share the cores. */
export function planSlots(gpus: readonly GpuInfo[], plan: SlotPlan): readonly SlotInfo[] {
  const part = plan.part ?? WHOLE;
  const own = gpus.map((gpu, index) => ({ gpu, index })).filter(({ index }) => isOwn(index, part));
  if (plan.slots === 'auto' && own.length > 0) {
    const each = own.map((one) => gpuSlots(one, own.length, plan));
    // The first of every GPU, then the second: slots are taken in their order, and a GPU that is free comes first.
    return (each[0] ?? []).flatMap((_slot, place) => each.flatMap((slots) => slots.slice(place, place + 1)));
  }
  return cpuSlots(plan.slots === 'auto' ? 1 : plan.slots.cpu, plan, part);
}

const coresOf = ({ cores = availableParallelism() }: SlotPlan): number => cores;

function gpuSlots(
  { gpu, index }: { readonly gpu: GpuInfo; readonly index: number },
  gpus: number,
  plan: SlotPlan,
): readonly SlotInfo[] {
  const { slotsPerDevice: each = 1, part = WHOLE } = plan;
  const threads = plan.threadsPerSlot ?? Math.max(1, Math.floor(coresOf(plan) / (part.of * gpus * each)));
  const name = `gpu${String(index)}`;
  return Array.from({ length: each }, (_unused, place) => ({
    slotId: each === 1 ? name : `${name}-${String(place)}`,
    device: { kind: 'gpu', uuids: [gpu.id], model: gpu.model, threads },
    memoryBytes: gpu.memoryBytes === null ? null : Math.floor(gpu.memoryBytes / each),
    metered: [{ id: gpu.id, share: 1, ...(each === 1 ? {} : { isShared: true }) }],
    ...(each === 1 ? {} : { sharedBy: each }),
    ...((gpu.vendor ?? 'nvidia') === 'nvidia' ? {} : { foreign: [gpu] }),
  }));
}

/** Each with CPUs of its own, where there are enough: then an attempt does not wait for those of another. */
function cpuSlots(count: number, plan: SlotPlan, part: Part): readonly SlotInfo[] {
  const { threadsPerSlot, cpus = canPin() ? usableCpus() : [] } = plan;
  const ofPart = partOf(cpus, part.index, part.of);
  const fewest = Math.floor(ofPart.length / count);
  // All of them is no restriction; more threads than CPUs were asked for by somebody who wants to share them.
  const isPinned = count * part.of > 1 && fewest >= 1 && (threadsPerSlot ?? 1) <= fewest;
  const model = cpuModel();
  const memoryBytes = Math.floor((plan.memoryBytes ?? usableMemory()) / (count * part.of));
  const cores = coresOf(plan);
  return Array.from({ length: count }, (_unused, index) => {
    const own = partOf(ofPart, index, count);
    const even = Math.max(1, Math.floor(cores / (part.of * count)));
    return {
      slotId: count === 1 ? 'cpu' : `cpu${String(index)}`,
      device: {
        kind: 'cpu',
        uuids: [],
        model,
        threads: threadsPerSlot ?? (isPinned && cores >= cpus.length ? own.length : even),
      },
      memoryBytes,
      // The counters are the package's: what it uses is divided among the attempts that run.
      metered: [{ id: CPU_DEVICE, share: 1 / part.of, ...(count === 1 ? {} : { isShared: true }) }],
      ...(isPinned ? { cpus: own } : {}),
    };
  });
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
      uuids: [...new Set(all.flatMap(({ device }) => device.uuids))],
      threads: all.reduce((sum, { device }) => sum + device.threads, 0),
    },
    metered: all.flatMap(({ metered }) => metered),
    ...(first.foreign === undefined ? {} : { foreign: all.flatMap(({ foreign = [] }) => foreign) }),
    ...(all.every(({ cpus }) => cpus !== undefined) ? { cpus: all.flatMap(({ cpus = [] }) => cpus) } : {}),
  };
}

/** What shows GPUs of AMD and Intel to their libraries, and no other ones. */
function visibleTo(gpus: readonly GpuInfo[]): Readonly<Record<string, string>> {
  const indexes = gpus.map(({ index = 0 }) => index).join(',');
  if (gpus[0]?.vendor === 'intel') return { ZE_AFFINITY_MASK: indexes, ZE_ENABLE_PCI_ID_DEVICE_ORDER: '1' };
  if (gpus[0]?.vendor !== 'amd') return {};
  const areNamed = gpus.every(({ id }) => id.startsWith('GPU-'));
  return {
    ROCR_VISIBLE_DEVICES: areNamed ? gpus.map(({ id }) => id).join(',') : indexes,
    // Counts what the one above has left.
    HIP_VISIBLE_DEVICES: gpus.map((_gpu, index) => index).join(','),
  };
}

/** What libraries read how many threads they may start from. */
const THREAD_COUNTS = [
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'MKL_NUM_THREADS',
  'NUMEXPR_NUM_THREADS',
  'TF_NUM_INTRAOP_THREADS',
  'TF_NUM_INTEROP_THREADS',
];

/**
 * Environment that pins an attempt to its slot; null takes a variable away. An empty CUDA_VISIBLE_DEVICES hides every
 * GPU from a CPU slot.
 */
export function slotEnvironment(slot: SlotInfo): Readonly<Record<string, string | null>> {
  const threads = String(slot.device.threads);
  return {
    CUDA_VISIBLE_DEVICES: slot.foreign === undefined ? slot.device.uuids.join(',') : '',
    ...visibleTo(slot.foreign ?? []),
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    // TensorFlow takes all of a GPU's memory otherwise, and has no other switch that tfjs could reach.
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    ...Object.fromEntries(THREAD_COUNTS.map((name) => [name, threads])),
    WATTSWEEP_SLOT: slot.slotId,
    // The join token is the service's; no program of a trial may have it.
    WATTSWEEP_TOKEN: null,
  };
}
