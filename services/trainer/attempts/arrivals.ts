/**
 * Attempts that wait for something before they begin: a checkpoint from NATS, and what their program needs on this box. A
 * checkpoint that cannot be had in time is not waited for: the attempt goes on from what lies on this box, or from its first
 * epoch. Without what its program needs it does not begin at all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import type { ProgramNeeds } from '../programs/needs.js';
import { boxFaultIn } from '../protocol/last-words.js';
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
  /** @throws REQUIREMENT_MISSING, CODE_MISSING; other errors may pass */
  readonly prepare: (needs: ProgramNeeds, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** How an attempt ends that never began. */
export type UnbegunEnd = Parameters<AttemptStore['writeEnd']>[1];

/** `given_up`: whoever gave it up ends it. */
export type Arrival = 'ready' | 'given_up' | UnbegunEnd;

const TRIES = 5;
/** Without code there is no trial: NATS may be away for a while. */
const PREPARE_TRIES = 60;
const RETRY_MS = 1_000;

export class Arrivals {
  readonly #waiting = new Map<string, AbortController>();

  constructor(private readonly options: ArrivalsOptions) {}

  /** Resolves when the attempt may begin, or shall not. */
  async arrived(attempt: Attempt): Promise<Arrival> {
    const { awaits, needs } = attempt.accepted;
    const controller = new AbortController();
    const { signal } = controller;
    this.#waiting.set(attempt.id, controller);
    try {
      if (awaits !== undefined) await this.#checkpoint(attempt, awaits, signal);
      if (needs !== undefined && !signal.aborted) return await this.#needs(attempt, needs, signal);
      return signal.aborted ? 'given_up' : 'ready';
    } finally {
      this.#waiting.delete(attempt.id);
    }
  }

  async #checkpoint(attempt: Attempt, wanted: WantedCheckpoint, signal: AbortSignal): Promise<void> {
    const { store, fetch, log } = this.options;
    for (let left = TRIES; left > 0 && !isAborted(signal); left -= 1) {
      try {
        const found = await fetch(attempt, wanted, signal);
        if (isAborted(signal) || found === null) return;
        store.resumeFrom(attempt, found.path, wanted.epoch);
        log.info({ attempt: attempt.name, epoch: found.epoch }, 'goes on from a checkpoint of NATS');
        return;
      } catch (error) {
        if (isAborted(signal)) return;
        log.warn({ attempt: attempt.name, reason: String(error), left }, 'no checkpoint from NATS yet');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #needs(attempt: Attempt, needs: ProgramNeeds, signal: AbortSignal): Promise<Arrival> {
    const { prepare, log } = this.options;
    for (let left = PREPARE_TRIES; ; left -= 1) {
      try {
        await prepare(needs, signal);
        return signal.aborted ? 'given_up' : 'ready';
      } catch (error) {
        if (signal.aborted) return 'given_up';
        const end = endOf(error, left === 1);
        if (end !== null) return end;
        log.warn(
          { attempt: attempt.name, reason: String(error), left },
          'what the program needs is not here yet',
        );
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
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

/** Asked anew after each wait. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** Null: it is tried again. */
function endOf(error: unknown, isLast: boolean): UnbegunEnd | null {
  if (error instanceof WattsweepError) return { class: 'refused', code: error.code, message: error.message };
  const words = error instanceof Error ? error.message : String(error);
  const fault = boxFaultIn(words);
  if (fault === undefined && !isLast) return null;
  const message = `What the program needs could not be put onto the box: ${words}.`;
  return { class: 'crashed', code: fault?.code ?? 'BOX_UNFIT', message };
}
