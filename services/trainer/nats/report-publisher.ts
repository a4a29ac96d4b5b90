/**
 * Publishes facts in order, one message at a time: what comes while a message is on its way travels in the next one. A
 * message is repeated, the same bytes under the same id, until NATS has acknowledged it; nothing is dropped.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ReportBatch, type Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { reportsSubject } from '../../../proto/subjects.js';

/** A fact on its way. */
export interface Outgoing {
  /** Names the fact for good: `LEDGER/SWEEP/TRIAL#ATTEMPT:LINE`. */
  readonly id: string;
  readonly report: Report;
  /** NATS has it. */
  readonly onAcknowledged: () => void;
}

export interface PublisherOptions {
  readonly trainerId: string;
  readonly publish: (subject: string, data: Uint8Array, messageId: string) => Promise<void>;
  readonly log: Logger;
}

const MAX_REPORTS = 500;
/** The server takes messages up to 1 MiB by default. */
const MAX_BYTES = 256 * 1024;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

export class ReportPublisher {
  readonly #queue: Outgoing[] = [];
  readonly #idle = new Set<() => void>();
  #running = false;
  #closed = false;

  constructor(private readonly options: PublisherOptions) {}

  push(outgoing: Outgoing): void {
    this.#queue.push(outgoing);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { trainerId, publish, log } = this.options;
    const subject = reportsSubject(trainerId);
    // Facts of the same moment travel together.
    await Promise.resolve();
    while (this.#queue.length > 0 && !this.isClosed()) {
      const { batch, data } = this.#nextBatch(trainerId);
      const messageId = messageIdOf(batch.map(({ id }) => id));
      for (let retryMs = FIRST_RETRY_MS; !this.isClosed(); retryMs = Math.min(MAX_RETRY_MS, 2 * retryMs)) {
        try {
          await publish(subject, data, messageId);
          this.#queue.splice(0, batch.length);
          this.#acknowledge(batch);
          break;
        } catch (error) {
          log.debug(
            { waiting: this.#queue.length, reason: String(error) },
            'NATS did not acknowledge; trying again',
          );
          await sleep(retryMs);
        }
      }
    }
    this.#running = false;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }

  #acknowledge(batch: readonly Outgoing[]): void {
    for (const { id, onAcknowledged } of batch) {
      try {
        onAcknowledged();
      } catch (error) {
        // A full disk: the fact is published once more after a restart, which is harmless.
        this.options.log.warn({ fact: id, err: error }, 'an acknowledgement could not be noted');
      }
    }
  }

  #nextBatch(trainerId: string): { readonly batch: readonly Outgoing[]; readonly data: Uint8Array } {
    for (let size = MAX_REPORTS; ; size = Math.ceil(size / 2)) {
      const batch = this.#queue.slice(0, size);
      const data = ReportBatch.encode({ trainerId, reports: batch.map(({ report }) => report) }).finish();
      if (data.length <= MAX_BYTES || size === 1) return { batch, data };
    }
  }

  /** Facts that NATS has not acknowledged. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when everything is acknowledged, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#queue.length === 0) return;
    const idle = new Promise<void>((resolve) => this.#idle.add(resolve));
    await Promise.race([idle, sleep(timeoutMs, undefined, { ref: false })]);
  }

  private isClosed(): boolean {
    return this.#closed;
  }

  /** Gives up what waits: it is in the spools, and the next service publishes it. */
  close(): void {
    this.#closed = true;
  }
}

/** The server tells repeated messages by it. Equal for equal facts only, however they are put together. */
const messageIdOf = (ids: readonly string[]): string =>
  ids.length === 1 ? (ids[0] ?? '') : createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 40);
