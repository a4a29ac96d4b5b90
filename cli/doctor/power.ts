/** GPUs, what reads their power with a reading of it, and what this box may do with them. */
import {
  type BoxFinding,
  type LimitFinding,
  type PowerFinding,
  inspectPower,
} from '../../services/trainer/index.js';
import { formatWatts } from '../format.js';
import { type Finding, ok, reservation } from './finding.js';

/** @param seconds RAPL and NVML counters move ten times a second only: a second or more. */
export async function checkPower(seconds: number): Promise<Finding[]> {
  const box = await inspectPower(seconds);
  const names = new Map(box.limits.map(({ device }, index) => [device, `gpu${String(index)}`]));
  return [
    gpuFinding(box),
    ...otherGpus(box),
    ...powerFindings(box.devices, seconds),
    ...(box.limits.length === 0 ? [] : [limitFinding(box.limits, names)]),
    box.canPin
      ? ok('CPU slots', 'can be pinned to CPUs of their own (taskset)')
      : reservation(
          'CPU slots',
          'cannot be pinned: no taskset',
          'Install util-linux; one slot needs no pinning.',
        ),
  ];
}

function gpuFinding({ devices, driver, libraries, noGpuReason }: BoxFinding): Finding {
  const gpus = devices.filter(({ device }) => device !== 'cpu').map(({ model }, i) => `gpu${i} ${model}`);
  if (gpus.length === 0)
    return reservation(
      'GPU',
      `${noGpuReason}; trials run on the CPU`,
      'Fine for small sweeps; a GPU needs its NVIDIA driver.',
    );
  const versions = [
    ...(driver === null ? [] : [`driver ${driver}`]),
    ...(libraries.nvml === null ? [] : [`NVML ${libraries.nvml}`]),
    ...(libraries.cuda === null ? [] : [`CUDA up to ${libraries.cuda}`]),
  ];
  return ok('GPU', [gpus.join(', '), ...versions].join(', '));
}

const otherGpus = ({ otherGpus: others }: BoxFinding): readonly Finding[] =>
  others.length === 0
    ? []
    : [
        reservation(
          'other GPUs',
          others.map(({ model, vendor }) => `${model} (${vendor})`).join(', '),
          'Programs may use them: `wattsweep trainer --gpu-vendor amd` (or intel) offers them as slots.',
        ),
      ];

function powerFindings(devices: readonly PowerFinding[], seconds: number): readonly Finding[] {
  const read = devices.filter(({ method }) => method !== '');
  const unread = devices.filter(({ method }) => method === '');
  const reasons = unread.map(({ device, reason }) => `${device}: ${reason}`);
  const words = read.map(({ model, method, watts }) => `${model}: ${formatWatts(watts)} by ${method}`);
  const forbidden = unread.filter(({ reason }) => reason.includes('chmod'));
  const permissions = forbidden.map(({ device, reason }) =>
    reservation('permissions', `${device}: ${reason}`, 'A udev or tmpfiles rule keeps it over restarts.'),
  );
  if (read.length === 0)
    return [
      reservation(
        'power',
        reasons.join('; '),
        'Watts and joules will be missing; `--estimate-watts W` assumes some, and labels them as an estimate.',
      ),
      ...permissions,
    ];
  return [ok('power', `${[...words, ...reasons].join('; ')} (over ${String(seconds)} s)`), ...permissions];
}

function limitFinding(limits: readonly LimitFinding[], names: ReadonlyMap<string, string>): Finding {
  const words = limits.map(({ device, limit, problem }) => {
    const name = names.get(device) ?? device;
    if (limit === null) return `${name}: ${problem}`;
    const range = `${name} ${String(limit.watts)} W of ${String(limit.least)} to ${String(limit.most)} W`;
    return problem === '' ? `${range}, may be set` : `${range}, may not be set: ${problem}`;
  });
  return limits.every(({ problem }) => problem === '')
    ? ok('power limit', words.join('; '))
    : reservation(
        'power limit',
        words.join('; '),
        'Only sweeps over gpu_power_limit_watts need the right: run the trainer as root for them.',
      );
}
