/**
 * Code that sweeps have shipped. A sweep that stands in the ledger may run again (a person reruns or extends it), so its code
 * stays until the sweep is deleted; what no sweep names is removed, once in a while, by whoever leads.
 */
import type { Logger } from 'pino';
import { isAborted, type Clock } from '../clock.js';
import type { State } from '../core/index.js';

/** The object store, as far as it is needed. */
export interface CodeShelf {
  /**
   * Removes what is not kept and was written before, whole or in part.
   * @returns how many are gone @throws NATS_UNREACHABLE
   */
  keepOnly(
    isKept: (code: { readonly sha256: string; readonly ledgerId: string | null }) => boolean,
    writtenBeforeMs: number,
  ): Promise<number>;
}

export interface ForgetCodeOptions {
  readonly shelf: CodeShelf;
  readonly state: () => State;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly clock: Clock;
  readonly log: Logger;
  /** @default 3600000 */
  readonly everyMs?: number;
}

/** It is uploaded before its sweep is submitted; an upload takes no longer than this either. */
const STAYS_MS = 3_600_000;

const isNamed = (state: State, sha256: string): boolean =>
  [...state.sweeps.values()].some(({ spec }) => spec.code?.sha256 === sha256);

/** That ledger may be lost, and be restored tomorrow: what its sweeps name is not known. */
const isOfAnother = (state: State, ledgerId: string | null): boolean =>
  ledgerId !== null && ledgerId !== state.ledgerId;

/** Looks again and again until the signal aborts. */
export async function forgetCode(options: ForgetCodeOptions, signal: AbortSignal): Promise<void> {
  const { shelf, state, now, clock, log, everyMs = STAYS_MS } = options;
  while (!isAborted(signal)) {
    await clock.sleep(everyMs, { signal, ref: false });
    if (isAborted(signal)) return;
    try {
      // Asked of the state as it is then: sweeps are submitted meanwhile.
      const removed = await shelf.keepOnly(
        ({ sha256, ledgerId }) => isOfAnother(state(), ledgerId) || isNamed(state(), sha256),
        now() - STAYS_MS,
      );
      if (removed > 0) log.info({ removed }, 'code that no sweep names was removed from NATS');
    } catch (error) {
      log.debug({ reason: String(error) }, 'stored code was not looked through');
    }
  }
}
