/** Follows a sweep to its end and shows it; a coordinator that goes away meanwhile is waited for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../proto/errors.js';
import type { Coordinator } from '../client/coordinator.js';
import { type LiveView, liveView } from './live.js';
import { type SweepView, hasEnded } from './sweep-view.js';

/** A coordinator needs some seconds to start again, fold its ledger and win its term. */
const RECONNECT_WITHIN_MS = 120_000;
const RECONNECT_PAUSE_MS = 500;

export interface WatchOptions {
  readonly live?: LiveView;
  readonly signal?: AbortSignal;
  readonly reconnectWithinMs?: number;
}

/** @returns the last state, ended unless `signal` came first. @throws when the coordinator stays away. */
export async function watchToEnd(
  coordinator: Coordinator,
  sweepId: string,
  options: WatchOptions = {},
): Promise<SweepView> {
  const live = options.live ?? liveView();
  const reconnectWithinMs = options.reconnectWithinMs ?? RECONNECT_WITHIN_MS;
  let awaySince: number | null = null;
  try {
    while (!options.signal?.aborted) {
      try {
        const id = live.view.sweep?.sweepId ?? sweepId;
        for await (const update of coordinator.watch(id, options.signal)) {
          if (awaySince !== null) live.say('the coordinator is back');
          awaySince = null;
          live.update(update);
        }
        if (live.view.sweep !== null && hasEnded(live.view.sweep)) break;
      } catch (error) {
        if (!isAway(error)) throw error;
        if (awaySince === null) live.say('the coordinator does not answer; waiting for it, training goes on');
        awaySince ??= performance.now();
        if (performance.now() - awaySince > reconnectWithinMs) throw error;
      }
      await sleep(RECONNECT_PAUSE_MS);
    }
  } finally {
    live.end();
  }
  return live.view;
}

/** The coordinator is between two lives, or does not lead yet. */
export const isAway = (error: unknown): boolean =>
  error instanceof WattsweepError &&
  (error.code === 'COORDINATOR_UNREACHABLE' || error.code === 'NOT_LEADER');
