/**
 * The latest word of each running attempt and each device, from the live telemetry. Bounded, and forgotten when it is
 * no longer renewed: a value that nobody confirms is worse than none.
 */
import type { AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { DeviceSample, StepProgress, TelemetryBatch } from '../../../proto/gen/wattsweep/v1/facts.js';

/** A step's metrics are shown this long after they arrived; slow programs report a step now and then. */
const STEP_TTL_MS = 60_000;
/** A device's reading is shown this long; trainers send about one a second. */
const DEVICE_TTL_MS = 15_000;
const MAX_STEPS = 10_000;
const MAX_DEVICES_PER_TRAINER = 256;

interface Seen<T> {
  readonly value: T;
  /** The coordinator's clock at arrival: trainers' clocks may differ. */
  readonly atMs: number;
}

interface TrainerTelemetry {
  receivedAtMs: number;
  readonly devices: Map<string, Seen<DeviceSample>>;
}

const nameOf = ({ sweepId, trialId, attempt, termId }: AttemptKey): string =>
  `${sweepId}/${trialId}#${attempt}.${termId}`;

export class LiveTelemetry {
  readonly #steps = new Map<string, Seen<StepProgress>>();
  readonly #trainers = new Map<string, TrainerTelemetry>();

  take(batch: TelemetryBatch, nowMs: number): void {
    for (const step of batch.steps) {
      if (step.key === undefined) continue;
      putLast(this.#steps, nameOf(step.key), { value: step, atMs: nowMs }, MAX_STEPS);
    }
    const trainer = this.#trainers.get(batch.trainerId) ?? { receivedAtMs: nowMs, devices: new Map() };
    trainer.receivedAtMs = nowMs;
    for (const device of batch.devices) {
      putLast(trainer.devices, device.device, { value: device, atMs: nowMs }, MAX_DEVICES_PER_TRAINER);
    }
    this.#trainers.set(batch.trainerId, trainer);
  }

  /** The latest step of exactly this attempt: late words of a superseded one are not found. */
  step(key: AttemptKey, nowMs: number): StepProgress | undefined {
    const seen = this.#steps.get(nameOf(key));
    return seen !== undefined && nowMs - seen.atMs < STEP_TTL_MS ? seen.value : undefined;
  }

  /** When the trainer's last telemetry arrived, or undefined. */
  receivedAtMs(trainerId: string): number | undefined {
    return this.#trainers.get(trainerId)?.receivedAtMs;
  }

  devices(trainerId: string, nowMs: number): readonly DeviceSample[] {
    const devices = this.#trainers.get(trainerId)?.devices.values() ?? [];
    return [...devices].filter(({ atMs }) => nowMs - atMs < DEVICE_TTL_MS).map(({ value }) => value);
  }

  /** Forgets old steps, and trainers that the fleet does not know. */
  prune(nowMs: number, isKnownTrainer: (trainerId: string) => boolean): void {
    for (const [name, { atMs }] of this.#steps) if (nowMs - atMs >= STEP_TTL_MS) this.#steps.delete(name);
    for (const [trainerId, { receivedAtMs, devices }] of this.#trainers) {
      for (const [name, { atMs }] of devices) if (nowMs - atMs >= DEVICE_TTL_MS) devices.delete(name);
      if (!isKnownTrainer(trainerId) && nowMs - receivedAtMs >= DEVICE_TTL_MS)
        this.#trainers.delete(trainerId);
    }
  }
}

/** Sets the entry as the youngest and drops the oldest ones above `limit`. */
function putLast<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) break;
    map.delete(oldest);
  }
}
