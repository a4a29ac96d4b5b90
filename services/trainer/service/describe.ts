/** What the trainer says of itself and of its devices: the record in the registry, and telemetry. */
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DeviceSample } from '../../../proto/gen/wattsweep/v1/facts.js';
import type { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { ResolvedTrainerOptions } from '../options.js';
import type { PowerMeter } from '../power/meter.js';
import type { StatedDevices } from '../power/stated.js';
import { listOf } from '../slots/cpus.js';
import type { Slot } from '../slots/slot.js';
import type { Box } from './box.js';
import type { Instance } from './instance.js';

type BoxRecord = Omit<TrainerRecord, 'address' | 'recipes' | 'draining' | 'startedAtUnixMs'>;

export function describeBox(
  box: Box,
  meter: PowerMeter,
  options: ResolvedTrainerOptions,
  instance: Instance,
  free: ReadonlyMap<string, number>,
): BoxRecord {
  const metered = box.slots[0]?.metered[0]?.id;
  return {
    trainerId: options.trainerId,
    knowsTermIds: true,
    slots: box.slots.map(({ slotId, device, memoryBytes, sharedBy, cpus }) => ({
      slotId,
      deviceKind: device.kind,
      deviceModel: device.model,
      deviceUuids: [...device.uuids],
      memoryBytes: memoryBytes ?? undefined,
      threads: device.threads,
      freeMemoryBytes: free.get(slotId),
      sharedBy,
      cpus: cpus === undefined ? undefined : listOf(cpus),
    })),
    labels: options.labels,
    software: {
      wattsweep: packageVersion(),
      node: process.versions.node,
      ...(box.driver === null ? {} : { driver: box.driver }),
    },
    powerMethod: metered === undefined ? '' : meter.methodOf(metered),
    instanceId: instance.instanceId,
  };
}

export function deviceSamples(
  meter: PowerMeter,
  stated: StatedDevices,
  slots: readonly Slot[],
  foreign: ReadonlySet<string>,
): DeviceSample[] {
  const own = meter.now().filter(({ device }) => !foreign.has(device));
  const samples = own.map((device) => {
    const holders = slots.filter(
      ({ holder, info }) =>
        holder !== null &&
        !stated.isRunning(info.slotId) &&
        info.metered.some(({ id }) => id === device.device),
    );
    // A device that several attempts share belongs to none of them.
    const holder = holders.length === 1 ? holders[0]?.holder : undefined;
    return {
      device: device.device,
      model: device.model,
      watts: device.watts ?? undefined,
      joules: device.joulesSinceStart ?? undefined,
      method: device.method,
      utilization: device.utilization ?? undefined,
      memoryUsedBytes: device.memoryUsedBytes ?? undefined,
      temperatureCelsius: device.temperatureCelsius ?? undefined,
      clockHertz: device.clockHertz ?? undefined,
      memoryClockHertz: device.memoryClockHertz ?? undefined,
      throttling: device.throttledBy === null ? undefined : { reasons: [...device.throttledBy] },
      powerLimitWatts: device.powerLimitWatts ?? undefined,
      key: holder?.key,
    };
  });
  return [...samples, ...stated.samples()];
}

export function advertisedHost({ advertiseHost, listenHost }: ResolvedTrainerOptions): string {
  if (advertiseHost !== null) return bracketed(advertiseHost);
  if (listenHost !== '0.0.0.0' && listenHost !== '::') return bracketed(listenHost);
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  return outer?.address ?? '127.0.0.1';
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Version in the package.json above this file. */
function packageVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file))
      return (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version ?? '';
    if (folder === dirname(folder)) return '';
  }
}
