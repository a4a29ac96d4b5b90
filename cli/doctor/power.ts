/** GPUs, what reads their power, and a short reading of it. */
import { type PowerFinding, inspectPower } from '../../services/trainer/index.js';
import { formatWatts } from '../format.js';
import { type Finding, ok, reservation } from './finding.js';

/** Long enough for RAPL and NVML counters, some of which move ten times a second only. */
const READ_FOR_SECONDS = 1.5;

export async function checkPower(): Promise<Finding[]> {
  const { devices, driver, noGpuReason } = await inspectPower(READ_FOR_SECONDS);
  const gpus = devices.filter(({ device }) => device !== 'cpu').map(({ model }, i) => `gpu${i} ${model}`);
  const gpuFinding =
    gpus.length > 0
      ? ok('GPU', gpus.join(', ') + (driver === null ? '' : `, driver ${driver}`))
      : reservation(
          'GPU',
          `${noGpuReason}; trials run on the CPU`,
          'Fine for small sweeps; a GPU needs its NVIDIA driver.',
        );
  return [gpuFinding, powerFinding(devices)];
}

function powerFinding(devices: readonly PowerFinding[]): Finding {
  const read = devices.filter(({ method }) => method !== '');
  const detail = [
    ...read.map(({ model, method, watts }) => `${model}: ${formatWatts(watts)} by ${method}`),
    ...devices.filter(({ method }) => method === '').map(({ device, reason }) => `${device}: ${reason}`),
  ].join('; ');
  return read.length > 0
    ? ok('power', detail)
    : reservation(
        'power',
        detail,
        'Watts and joules will be missing; `--estimate-watts W` assumes some, and labels them as an estimate.',
      );
}
