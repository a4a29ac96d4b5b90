/** GPUs of AMD and Intel in trees of the kernel that the test writes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { sysfsGpus, SysfsGpuSource } from '../../../services/trainer/power/sysfs-gpus.js';
import { joinSlots, planSlots, slotEnvironment } from '../../../services/trainer/slots/inventory.js';

let root: string;
/** Files below the device of a card; null removes one. */
const card = (name: string, files: Readonly<Record<string, string | number>>): void => {
  for (const [file, content] of Object.entries(files)) {
    const path = join(root, 'class/drm', name, 'device', file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${content}\n`);
  }
};
const both = new Set(['nvidia', 'amd', 'intel']);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wattsweep-sysfs-'));
  // Behind the other one on the bus, though its card comes first.
  card('card0', {
    vendor: '0x1002',
    device: '0x744c',
    uevent: 'DRIVER=amdgpu\nPCI_SLOT_NAME=0000:44:00.0',
    unique_id: '1b2c3d4e5f607182',
    product_name: 'Radeon PRO W7900',
    mem_info_vram_total: 48e9,
    mem_info_vram_used: 3e9,
    gpu_busy_percent: 75,
    'hwmon/hwmon3/power1_average': 180e6,
    'hwmon/hwmon3/power1_cap': 241e6,
    'hwmon/hwmon3/temp1_input': 61_000,
    'hwmon/hwmon3/freq1_input': 2_100_000_000,
    'hwmon/hwmon3/freq2_input': 1_124_000_000,
  });
  card('card1', {
    vendor: '0x1002',
    device: '0x7550',
    uevent: 'PCI_SLOT_NAME=0000:03:00.0',
    'hwmon/hwmon4/power1_input': 95e6,
  });
  card('card2', {
    vendor: '0x8086',
    device: '0x56a0',
    uevent: 'PCI_SLOT_NAME=0000:09:00.0',
    'hwmon/hwmon5/energy1_input': 5e6,
  });
  // In a processor.
  card('card3', { vendor: '0x8086', device: '0x4680', uevent: 'PCI_SLOT_NAME=0000:00:02.0' });
  card('card4', { vendor: '0x10de', device: '0x2204' });
  mkdirSync(join(root, 'class/drm/card0-DP-1'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('GPUs of AMD and Intel', () => {
  it('are found in bus order when somebody asks for them', () => {
    expect(sysfsGpus(both, root)).toMatchObject([
      { id: 'PCI-0000:03:00.0', vendor: 'amd', index: 0, model: 'AMD GPU 0x7550', memoryBytes: null },
      { id: 'PCI-0000:09:00.0', vendor: 'intel', index: 0, model: 'Intel GPU 0x56a0' },
      { id: 'GPU-1b2c3d4e5f607182', vendor: 'amd', index: 1, model: 'Radeon PRO W7900', memoryBytes: 48e9 },
    ]);
    expect(sysfsGpus(new Set(['nvidia']), root)).toEqual([]);
    expect(sysfsGpus(both, join(root, 'none'))).toEqual([]);
  });

  it('have their joules and watts from hwmon, and null with the reason, once, where the driver shows none', () => {
    let nowMs = 0;
    const problems: string[] = [];
    const meter = new PowerMeter({
      sources: [new SysfsGpuSource(sysfsGpus(both, root))],
      periodMs: 1e9,
      noSourceReason: '',
      estimateWatts: null,
      onProblem: (device, reason) => problems.push(`${device}: ${reason}`),
      clock: () => nowMs,
    });
    const pass = (untilMs: number): void => {
      while (nowMs < untilMs) {
        nowMs += 500;
        // 150 W.
        card('card2', { 'hwmon/hwmon5/energy1_input': 5e6 + nowMs * 150e3 });
        meter.sample();
      }
    };
    pass(10_000);
    card('card0', { 'hwmon/hwmon3/power1_average': 120e6 });
    pass(20_000);
    const energy = (id: string) =>
      meter.energyBetween([{ id, share: 1 }], { beginMonotonicMs: 0, endMonotonicMs: 20_000 });
    const amd = energy('GPU-1b2c3d4e5f607182');
    expect(amd.method).toBe('hwmon');
    expect(amd.joules! / (180 * 10 + 120 * 10)).toBeCloseTo(1, 2);
    expect(energy('PCI-0000:03:00.0').joules! / (95 * 20)).toBeCloseTo(1, 6);
    expect(energy('PCI-0000:09:00.0').joules! / (150 * 20)).toBeCloseTo(1, 6);
    expect(meter.now().find(({ device }) => device === 'GPU-1b2c3d4e5f607182')).toMatchObject({
      utilization: 0.75,
      memoryUsedBytes: 3e9,
      temperatureCelsius: 61,
      clockHertz: 2.1e9,
      memoryClockHertz: 1.124e9,
      powerLimitWatts: 241,
      throttledBy: null,
    });
    expect(meter.now().find(({ device }) => device === 'PCI-0000:09:00.0')).toMatchObject({
      watts: 150,
      memoryUsedBytes: null,
    });
    expect(problems).toContain('PCI-0000:09:00.0: memory: the driver shows none');
    expect(new Set(problems).size).toBe(problems.length);
    rmSync(join(root, 'class/drm/card1/device/hwmon/hwmon4/power1_input'));
    pass(21_000);
    expect(problems.at(-1)).toContain('shows neither energy nor power');
    meter.close();
  });

  it('are the only ones that an attempt of their slot sees', () => {
    const slots = planSlots(sysfsGpus(both, root), { slots: 'auto', threadsPerSlot: 1, cpus: [] });
    const seen = slots.map((slot) => slotEnvironment(slot));
    expect(seen[0]).toMatchObject({
      ROCR_VISIBLE_DEVICES: '0',
      HIP_VISIBLE_DEVICES: '0',
      CUDA_VISIBLE_DEVICES: '',
    });
    expect(seen[1]).toMatchObject({
      ZE_AFFINITY_MASK: '0',
      ZE_ENABLE_PCI_ID_DEVICE_ORDER: '1',
      CUDA_VISIBLE_DEVICES: '',
    });
    expect(seen[2]).toMatchObject({ ROCR_VISIBLE_DEVICES: 'GPU-1b2c3d4e5f607182', HIP_VISIBLE_DEVICES: '0' });
    // One of the two has no unique id: both are told by number.
    expect(slotEnvironment(joinSlots(slots[0]!, [slots[2]!]))).toMatchObject({
      ROCR_VISIBLE_DEVICES: '0,1',
      HIP_VISIBLE_DEVICES: '0,1',
    });
  });
});
