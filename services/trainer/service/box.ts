/** Looks at the box: GPUs, what reads their power, and the slots that follow from it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { PowerMethod } from '../../../proto/energy.js';
import { monotonicMs } from '../host/clock.js';
import { PowerMeter } from '../power/meter.js';
import { nvmlLimiter, smiLimiter, type PowerLimiter } from '../power/limiter.js';
import { NvidiaSmiSource, listSmiGpus, smiFeed } from '../power/nvidia-smi.js';
import { NvmlSource } from '../power/nvml-source.js';
import { Nvml } from '../power/nvml.js';
import { ProcessorSource } from '../power/processor.js';
import type { PowerSource } from '../power/source.js';
import { planSlots, type GpuInfo, type SlotInfo, type SlotPlan } from '../slots/inventory.js';

export interface Box {
  readonly slots: readonly SlotInfo[];
  readonly gpus: readonly GpuInfo[];
  readonly sources: readonly PowerSource[];
  /** What sets the power limits of its GPUs; null where nothing does. */
  readonly limiter: PowerLimiter | null;
  /** Version of the NVIDIA driver; null where there is none. */
  readonly driver: string | null;
  /** Why there are no GPUs; empty when there are. */
  readonly noGpuReason: string;
}

/** Never throws: a box without GPUs, drivers or permissions is a box with less. */
export async function inspectBox(plan: SlotPlan, log?: Logger): Promise<Box> {
  const { gpus, source, limiter, driver, reason } = await findGpus();
  if (gpus.length === 0 && plan.slots === 'auto') log?.info({ reason }, 'no GPU: training on the CPU');
  return {
    slots: planSlots(gpus, plan),
    gpus,
    // GPUs are metered for telemetry also where the slots are CPU slots.
    sources: [...(source === null ? [] : [source]), new ProcessorSource()],
    limiter,
    driver,
    noGpuReason: gpus.length === 0 ? reason : '',
  };
}

async function findGpus(): Promise<{
  readonly gpus: readonly GpuInfo[];
  readonly source: PowerSource | null;
  readonly limiter: PowerLimiter | null;
  readonly driver: string | null;
  readonly reason: string;
}> {
  const opened = await Nvml.open();
  if ('nvml' in opened) {
    const source = new NvmlSource(opened.nvml);
    if (source.devices.length > 0)
      return {
        gpus: source.devices,
        source,
        limiter: nvmlLimiter(source),
        driver: opened.nvml.driverVersion(),
        reason: '',
      };
    source.close();
    return {
      gpus: [],
      source: null,
      limiter: null,
      driver: opened.nvml.driverVersion(),
      reason: 'the NVIDIA driver lists no GPU',
    };
  }
  const { gpus, columns } = await listSmiGpus();
  if (gpus.length > 0) {
    const source = new NvidiaSmiSource(gpus, smiFeed('nvidia-smi', columns));
    return { gpus, source, limiter: smiLimiter(), driver: null, reason: '' };
  }
  return { gpus: [], source: null, limiter: null, driver: null, reason: opened.reason };
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

/**
 * Meters every device of the box for `seconds` with the means of a trainer, without being one.
 *
 * `noGpuReason` is empty where there are GPUs.
 */
export async function inspectPower(seconds: number): Promise<{
  readonly devices: readonly PowerFinding[];
  readonly driver: string | null;
  readonly noGpuReason: string;
}> {
  const { sources, driver, noGpuReason } = await inspectBox({ slots: 'auto', threadsPerSlot: null });
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
  meter.close();
  return { devices, driver, noGpuReason };
}
