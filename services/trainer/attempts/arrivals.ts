/**
 * Attempts that wait for a checkpoint from NATS before they begin. One that cannot be had in time is not waited for: the
 * attempt goes on from what lies on this box, or from its first epoch.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Attempt } from './attempt.js';
import type { WantedCheckpoint } from './record.js';
import type { AttemptStore } from './store.js';

export interface ArrivalsOptions {
  readonly store: AttemptStore;
  /** Null when there is none that helps. */
  readonly fetch: (
    attempt: Attempt,
    wanted: WantedCheckpoint,
    signal: AbortSignal,
  ) => Promise<{ readonly path: string; readonly epoch: number } | null>;
  readonly log: Logger;
}

const TRIES = 5;
const RETRY_MS = 1_000;

export class Arrivals {
  readonly #waiting = new Map<string, AbortController>();

  constructor(private readonly options: ArrivalsOptions) {}

  /** Resolves when the attempt may begin: true, unless it was given up meanwhile. */
  async arrived(attempt: Attempt, wanted: WantedCheckpoint): Promise<boolean> {
    const { store, fetch, log } = this.options;
    const controller = new AbortController();
    const { signal } = controller;
    this.#waiting.set(attempt.id, controller);
    try {
      for (let left = TRIES; left > 0; left -= 1) {
        try {
          const found = await fetch(attempt, wanted, signal);
          if (signal.aborted) return false;
          if (found !== null) {
            store.resumeFrom(attempt, found.path, wanted.epoch);
            log.info(
              { attempt: attempt.name, epoch: found.epoch },
              'goes on from a checkpoint of another box',
            );
          }
          return true;
        } catch (error) {
          if (signal.aborted) return false;
          log.warn({ attempt: attempt.name, reason: String(error), left }, 'no checkpoint from NATS yet');
          await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
        }
      }
      return !signal.aborted;
    } finally {
      this.#waiting.delete(attempt.id);
    }
  }

  /** The attempt shall not begin any more; false when it does not wait. */
  giveUp(attempt: Attempt): boolean {
    const controller = this.#waiting.get(attempt.id);
    controller?.abort();
    return controller !== undefined;
  }

  /** The next service takes up what waits. */
  close(): void {
    for (const controller of this.#waiting.values()) controller.abort();
  }
}
