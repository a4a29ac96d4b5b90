/** GPUs, what reads their power, and a short reading of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { PowerMeter, inspectBox } from '../../services/trainer/index.js';
import { formatWatts } from '../format.js';
import { type Finding, ok, reservation } from './finding.js';

/** Long enough for RAPL and NVML counters, some of which move ten times a second only. */
const READ_FOR_MS = 1500;

export async function checkPower(): Promise<Finding[]> {
  const box = await inspectBox({ slots: 'auto', threadsPerSlot: null }, pino({ level: 'silent' }));
  const gpus = box.gpus.map((gpu, i) => `gpu${i} ${gpu.model}`);
  const driver = box.driver === null ? '' : `, driver ${box.driver}`;
  const gpuFinding =
    gpus.length > 0
      ? ok('GPU', gpus.join(', ') + driver)
      : reservation(
          'GPU',
          `${box.noGpuReason}; trials run on the CPU`,
          'Fine for small sweeps; a GPU needs its NVIDIA driver.',
        );
  const meter = new PowerMeter({
    sources: box.sources,
    noSourceReason: box.noGpuReason,
    estimateWatts: null,
  });
  try {
    await sleep(READ_FOR_MS);
    const readings = meter.now().map((device) => {
      const watts =
        device.watts ??
        (device.joulesSinceStart === null ? null : device.joulesSinceStart / (READ_FOR_MS / 1000));
      return { ...device, watts };
    });
    return [gpuFinding, powerFinding(readings)];
  } finally {
    meter.close();
  }
}

interface DevicePower {
  readonly device: string;
  readonly model: string;
  readonly method: string;
  readonly watts: number | null;
  readonly problem: string | null;
}

function powerFinding(devices: readonly DevicePower[]): Finding {
  const read = devices.filter(({ method }) => method !== '');
  const detail = [
    ...read.map(({ model, method, watts }) => `${model}: ${formatWatts(watts)} by ${method}`),
    ...devices
      .filter(({ method }) => method === '')
      .map(({ device, problem }) => `${device}: ${problem ?? 'no reading'}`),
  ].join('; ');
  return read.length > 0
    ? ok('power', detail)
    : reservation(
        'power',
        detail,
        'Watts and joules will be missing; `--estimate-watts W` assumes some, and labels them as an estimate.',
      );
}
