/** Once a second: steps of running attempts and readings of the devices. What cannot be published is dropped. */
import type { Logger } from 'pino';
import {
  TelemetryBatch,
  type DeviceSample,
  type StepProgress,
} from '../../../proto/gen/wattsweep/v1/facts.js';
import { telemetrySubject } from '../../../proto/subjects.js';

export interface TelemetryOptions {
  readonly trainerId: string;
  readonly instanceId: string;
  readonly devices: () => readonly DeviceSample[];
  readonly publish: (subject: string, data: Uint8Array, messageId: string) => Promise<void>;
  readonly log: Logger;
  /** @default 1000 */
  readonly periodMs?: number;
}

const PERIOD_MS = 1_000;
/** The newest steps of an attempt that a message carries. */
const MAX_STEPS = 20;

export class TelemetryPublisher {
  readonly #steps = new Map<string, StepProgress[]>();
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #sending = false;

  constructor(private readonly options: TelemetryOptions) {
    this.#timer = setInterval(() => void this.#send(), options.periodMs ?? PERIOD_MS);
    this.#timer.unref();
  }

  push(attemptId: string, step: StepProgress): void {
    const steps = this.#steps.get(attemptId) ?? [];
    steps.push(step);
    if (steps.length > MAX_STEPS) steps.shift();
    this.#steps.set(attemptId, steps);
  }

  async #send(): Promise<void> {
    // A message that waits for NATS is not joined by more of them.
    if (this.#sending) return;
    this.#sending = true;
    const { trainerId, instanceId, devices, publish, log } = this.options;
    const steps = [...this.#steps.values()].flat();
    this.#steps.clear();
    this.#sequence += 1;
    const data = TelemetryBatch.encode({
      trainerId,
      atUnixMs: Date.now(),
      steps,
      devices: devices(),
    }).finish();
    try {
      await publish(
        telemetrySubject(trainerId),
        data,
        `${trainerId}/${instanceId}/${String(this.#sequence)}`,
      );
    } catch (error) {
      log.trace({ reason: String(error) }, 'telemetry was dropped');
    } finally {
      this.#sending = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
