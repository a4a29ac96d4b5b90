/** Looks at the box: GPUs, what reads their power, and the slots that follow from it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { PowerMethod } from '../../../proto/energy.js';
import { monotonicMs } from '../host/clock.js';
import { PowerMeter } from '../power/meter.js';
import { nvmlLimiter, smiLimiter, type LimitFound, type PowerLimiter } from '../power/limiter.js';
import { NvidiaSmiSource, listSmiGpus, smiFeed } from '../power/nvidia-smi.js';
import { NvmlSource } from '../power/nvml-source.js';
import { Nvml } from '../power/nvml.js';
import { ProcessorSource } from '../power/processor.js';
import type { PowerSource } from '../power/source.js';
import { SysfsGpuSource, sysfsGpus } from '../power/sysfs-gpus.js';
import { canPin } from '../slots/cpus.js';
import { planSlots, type GpuInfo, type GpuVendor, type SlotInfo, type SlotPlan } from '../slots/inventory.js';

export interface Box {
  readonly slots: readonly SlotInfo[];
  readonly gpus: readonly GpuInfo[];
  readonly sources: readonly PowerSource[];
  /** What sets the power limits of its GPUs; null where nothing does. */
  readonly limiter: PowerLimiter | null;
  /** Version of the NVIDIA driver; null where there is none. */
  readonly driver: string | null;
  /** Versions of NVIDIA's management library, and of the newest CUDA that the driver runs; null where they are not told. */
  readonly libraries: { readonly nvml: string | null; readonly cuda: string | null };
  /** Why there are no GPUs; empty when there are. */
  readonly noGpuReason: string;
}

export interface BoxPlan extends SlotPlan {
  /** Makers of the GPUs that are looked for. @default ['nvidia'] */
  readonly gpuVendors?: readonly GpuVendor[];
}

interface Gpus {
  readonly gpus: readonly GpuInfo[];
  readonly source: PowerSource | null;
  readonly limiter: PowerLimiter | null;
  readonly driver: string | null;
  readonly libraries: Box['libraries'];
  /** Why there are none; empty when there are. */
  readonly reason: string;
}

/** Never throws: a box without GPUs, drivers or permissions is a box with less. */
export async function inspectBox(plan: BoxPlan, log?: Logger): Promise<Box> {
  const vendors = new Set<string>(plan.gpuVendors ?? ['nvidia']);
  const nvidia = vendors.has('nvidia')
    ? await findNvidia()
    : noGpus('GPUs of NVIDIA are not offered (--gpu-vendor)', null);
  const others = sysfsGpus(vendors);
  const gpus = [...nvidia.gpus, ...others];
  if (gpus.length === 0 && plan.slots === 'auto')
    log?.info({ reason: nvidia.reason }, 'no GPU: training on the CPU');
  return {
    slots: planSlots(gpus, plan),
    gpus,
    // GPUs are metered for telemetry also where the slots are CPU slots.
    sources: [
      ...(nvidia.source === null ? [] : [nvidia.source]),
      ...(others.length === 0 ? [] : [new SysfsGpuSource(others)]),
      new ProcessorSource(),
    ],
    limiter: nvidia.limiter,
    driver: nvidia.driver,
    libraries: nvidia.libraries,
    noGpuReason: gpus.length === 0 ? nvidia.reason : '',
  };
}

const NO_LIBRARIES: Box['libraries'] = { nvml: null, cuda: null };

const noGpus = (reason: string, driver: string | null): Gpus => ({
  gpus: [],
  source: null,
  limiter: null,
  driver,
  libraries: NO_LIBRARIES,
  reason,
});

async function findNvidia(): Promise<Gpus> {
  const opened = await Nvml.open();
  if ('nvml' in opened) {
    const source = new NvmlSource(opened.nvml);
    const driver = opened.nvml.driverVersion();
    const libraries = { nvml: opened.nvml.libraryVersion(), cuda: opened.nvml.cudaVersion() };
    if (source.devices.length > 0)
      return { gpus: source.devices, source, limiter: nvmlLimiter(source), driver, libraries, reason: '' };
    source.close();
    return noGpus('the NVIDIA driver lists no GPU', driver);
  }
  const { gpus, columns } = await listSmiGpus();
  if (gpus.length === 0) return noGpus(opened.reason, null);
  const source = new NvidiaSmiSource(gpus, smiFeed('nvidia-smi', columns));
  return { gpus, source, limiter: smiLimiter(), driver: null, libraries: NO_LIBRARIES, reason: '' };
}

/** What reads the power of one device, for a look at the box. */
export interface PowerFinding {
  /** GPU UUID, or `cpu`. */
  readonly device: string;
  readonly model: string;
  /** Empty when nothing reads it. */
  readonly method: PowerMethod | '';
  /** Watts over the look; null when they could not be read. */
  readonly watts: number | null;
  /** Why they could not be read; empty when they could. */
  readonly reason: string;
}

/** What one may do with the power limit of a GPU. */
export interface LimitFinding {
  /** GPU UUID. */
  readonly device: string;
  /** Null when it has none, or it cannot be read. */
  readonly limit: LimitFound | null;
  /** Why it cannot be set; empty when it can. */
  readonly problem: string;
}

export interface BoxFinding {
  readonly devices: readonly PowerFinding[];
  readonly driver: string | null;
  /** Versions of NVIDIA's management library, and of the newest CUDA that the driver runs; null where they are not told. */
  readonly libraries: Box['libraries'];
  /** Empty where there are GPUs. */
  readonly noGpuReason: string;
  readonly limits: readonly LimitFinding[];
  /** GPUs of makers that are offered only when somebody asks for them. */
  readonly otherGpus: readonly { readonly model: string; readonly vendor: string }[];
  readonly canPin: boolean;
}

/** Meters every device of the box for `seconds` with the means of a trainer, without being one; changes nothing. */
export async function inspectPower(seconds: number): Promise<BoxFinding> {
  const box = await inspectBox({ slots: 'auto', threadsPerSlot: null });
  const { sources, driver, libraries, noGpuReason } = box;
  const meter = new PowerMeter({ sources, noSourceReason: noGpuReason, estimateWatts: null });
  const beginMonotonicMs = monotonicMs();
  await sleep(seconds * 1000);
  const window = { beginMonotonicMs, endMonotonicMs: monotonicMs() };
  meter.sampleAfter(window.endMonotonicMs);
  const devices = meter.now().map(({ device, model }): PowerFinding => {
    const energy = meter.energyBetween([{ id: device, share: 1 }], window);
    return {
      device,
      model,
      method: meter.methodOf(device),
      watts: energy.meanWatts ?? null,
      reason: energy.absentReason,
    };
  });
  const limits = await Promise.all(box.gpus.map(({ id }) => limitFinding(box.limiter, id)));
  meter.close();
  const otherGpus = sysfsGpus(new Set(['amd', 'intel']));
  return { devices, driver, libraries, noGpuReason, limits, otherGpus, canPin: canPin() };
}

async function limitFinding(limiter: PowerLimiter | null, device: string): Promise<LimitFinding> {
  const found = (await limiter?.look(device)) ?? { reason: 'nothing can set it' };
  if ('reason' in found) return { device, limit: null, problem: found.reason };
  return { device, limit: found, problem: (await limiter?.maySet(device)) ?? '' };
}
