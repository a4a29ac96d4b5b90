/** Samples of trainers, slots and devices: the ledger's fleet, joined with the latest readings. */
import { throttleReasons } from '../../../proto/energy.js';
import { metrics } from '../../../proto/metrics.js';
import { heldSlots } from '../core/fleet/held.js';
import { isOpen } from '../core/placement/resources.js';
import type { State, TrainerState } from '../core/state.js';
import type { LiveTelemetry } from './live.js';
import { methodLabel } from './names.js';
import type { Snapshot } from './registry.js';

const zeroes: Readonly<Record<TrainerState['status'], number>> = { alive: 0, suspect: 0, lost: 0 };

export function addFleet(snapshot: Snapshot, state: State, live: LiveTelemetry, nowMs: number): void {
  const byState = { ...zeroes };
  for (const [trainerId, trainer] of state.trainers) {
    byState[trainer.status] += 1;
    if (trainer.status === 'lost') continue;
    const { slots } = trainer.info;
    const held = heldSlots(trainer);
    const idle = slots.filter(({ slotId }) => !trainer.holders.has(slotId));
    const offered = isOpen(trainer)
      ? idle.filter(({ slotId }) => !trainer.slotQuarantines.has(slotId) && !held.has(slotId))
      : [];
    snapshot.add(metrics.slots, { trainer: trainerId, state: 'busy' }, slots.length - idle.length);
    snapshot.add(metrics.slots, { trainer: trainerId, state: 'free' }, offered.length);
    snapshot.add(metrics.slots, { trainer: trainerId, state: 'withheld' }, idle.length - offered.length);
    const quarantined = trainer.quarantine === null ? trainer.slotQuarantines.size : slots.length;
    snapshot.add(metrics.trainerQuarantined, { trainer: trainerId }, quarantined);
    snapshot.add(metrics.attemptsHeld, { trainer: trainerId }, trainer.held.size);
    const receivedAtMs = live.receivedAtMs(trainerId);
    if (receivedAtMs !== undefined) {
      snapshot.add(metrics.telemetryReceived, { trainer: trainerId }, receivedAtMs / 1000);
    }
    addDevices(snapshot, trainerId, live, nowMs);
  }
  for (const [name, count] of Object.entries(byState)) snapshot.add(metrics.trainers, { state: name }, count);
}

function addDevices(snapshot: Snapshot, trainerId: string, live: LiveTelemetry, nowMs: number): void {
  for (const sample of live.devices(trainerId, nowMs)) {
    const id = { trainer: trainerId, device: sample.device };
    const method = methodLabel(sample.method);
    snapshot.add(metrics.deviceInfo, { ...id, model: sample.model }, 1);
    snapshot.add(metrics.devicePower, { ...id, method }, sample.watts);
    snapshot.add(metrics.deviceEnergy, { ...id, method }, sample.joules);
    snapshot.add(metrics.deviceUtilization, id, sample.utilization);
    snapshot.add(metrics.deviceMemoryUsed, id, sample.memoryUsedBytes);
    snapshot.add(metrics.deviceTemperature, id, sample.temperatureCelsius);
    snapshot.add(metrics.deviceClock, { ...id, clock: 'processors' }, sample.clockHertz);
    snapshot.add(metrics.deviceClock, { ...id, clock: 'memory' }, sample.memoryClockHertz);
    snapshot.add(metrics.devicePowerLimit, id, sample.powerLimitWatts);
    if (sample.throttling === undefined) continue;
    const active = new Set(sample.throttling.reasons);
    for (const reason of throttleReasons)
      snapshot.add(metrics.deviceThrottled, { ...id, reason }, Number(active.has(reason)));
  }
}
