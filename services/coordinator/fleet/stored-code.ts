/**
 * Code that sweeps have shipped. A sweep that stands in the ledger may run again (a person reruns or extends it), so its code
 * stays until the sweep is deleted; what no sweep names is removed, once in a while, by whoever leads.
 */
import type { Logger } from 'pino';
import { isAborted, type Clock } from '../clock.js';
import type { State } from '../core/index.js';

/** The object store, as far as it is needed. Each throws NATS_UNREACHABLE. */
export interface CodeShelf {
  list(): Promise<readonly { readonly sha256: string; readonly storedAtMs: number }[]>;
  keepOnly(hashes: ReadonlySet<string>): Promise<void>;
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

/** What of the store is to stay. */
export function keptCode(
  state: State,
  stored: readonly { readonly sha256: string; readonly storedAtMs: number }[],
  nowMs: number,
): ReadonlySet<string> {
  const named = new Set([...state.sweeps.values()].map(({ spec }) => spec.code?.sha256));
  return new Set(
    stored
      .filter(({ sha256, storedAtMs }) => named.has(sha256) || nowMs - storedAtMs < STAYS_MS)
      .map(({ sha256 }) => sha256),
  );
}

/** Looks again and again until the signal aborts. */
export async function forgetCode(options: ForgetCodeOptions, signal: AbortSignal): Promise<void> {
  const { shelf, state, now, clock, log, everyMs = STAYS_MS } = options;
  while (!isAborted(signal)) {
    await clock.sleep(everyMs, { signal, ref: false });
    if (isAborted(signal)) return;
    try {
      const stored = await shelf.list();
      const kept = keptCode(state(), stored, now());
      if (kept.size === stored.length) continue;
      await shelf.keepOnly(kept);
      log.info({ removed: stored.length - kept.size }, 'code that no sweep names was removed from NATS');
    } catch (error) {
      log.debug({ reason: String(error) }, 'stored code was not looked through');
    }
  }
}
