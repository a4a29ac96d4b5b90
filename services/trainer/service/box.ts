/** Looks at the box: GPUs, what reads their power, and the slots that follow from it. */
import type { Logger } from 'pino';
import { NvidiaSmiSource, listSmiGpus } from '../power/nvidia-smi.js';
import { NvmlSource } from '../power/nvml-source.js';
import { Nvml } from '../power/nvml.js';
import { ProcessorSource } from '../power/processor.js';
import type { PowerSource } from '../power/source.js';
import { planSlots, type GpuInfo, type SlotInfo, type SlotPlan } from '../slots/inventory.js';

export interface Box {
  readonly slots: readonly SlotInfo[];
  readonly gpus: readonly GpuInfo[];
  readonly sources: readonly PowerSource[];
  /** Version of the NVIDIA driver; null where there is none. */
  readonly driver: string | null;
  /** Why there are no GPUs; empty when there are. */
  readonly noGpuReason: string;
}

/** Never throws: a box without GPUs, drivers or permissions is a box with less. */
export async function inspectBox(plan: SlotPlan, log: Logger): Promise<Box> {
  const { gpus, source, driver, reason } = await findGpus();
  if (gpus.length === 0 && plan.slots === 'auto') log.info({ reason }, 'no GPU: training on the CPU');
  return {
    slots: planSlots(gpus, plan),
    gpus,
    // GPUs are metered for telemetry also where the slots are CPU slots.
    sources: [...(source === null ? [] : [source]), new ProcessorSource()],
    driver,
    noGpuReason: gpus.length === 0 ? reason : '',
  };
}

async function findGpus(): Promise<{
  readonly gpus: readonly GpuInfo[];
  readonly source: PowerSource | null;
  readonly driver: string | null;
  readonly reason: string;
}> {
  const opened = await Nvml.open();
  if ('nvml' in opened) {
    const source = new NvmlSource(opened.nvml);
    if (source.devices.length > 0)
      return { gpus: source.devices, source, driver: opened.nvml.driverVersion(), reason: '' };
    source.close();
    return {
      gpus: [],
      source: null,
      driver: opened.nvml.driverVersion(),
      reason: 'the NVIDIA driver lists no GPU',
    };
  }
  const gpus = await listSmiGpus();
  if (gpus.length > 0) return { gpus, source: new NvidiaSmiSource(gpus), driver: null, reason: '' };
  return { gpus: [], source: null, driver: null, reason: opened.reason };
}
