/** What a trial's program has printed, as a stream: one attempt after the other, from its box through the coordinator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../proto/errors.js';
import type { ReadTrialOutputResponse } from '../proto/gen/wattsweep/v1/coordinator.js';
import type { Coordinator } from './coordinator.js';

/** Which output of which trial. */
export interface OutputQuery {
  /** The sweep; empty for the newest. */
  readonly sweepId: string;
  readonly trialId: string;
  /** The attempt to begin with; 0 for the newest. */
  readonly attempt: number;
  /** Where in that attempt's output to begin, in bytes. @default 0 */
  readonly from?: number;
  /** Goes on with what is printed, and with further attempts, until the trial has ended. */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
  /** Told once each time that a box or the coordinator is away and waited for, or that an attempt's output is lost. */
  readonly onAway?: (error: WattsweepError) => void;
}

export interface OutputChunk {
  readonly attempt: number;
  readonly trainerId: string;
  readonly data: Uint8Array;
  /** Bytes before `data` that the box has not kept. */
  readonly leftOut: number;
  /** Place of the byte behind `data`, in bytes that the program printed. */
  readonly next: number;
}

const POLL_MS = 500;

/**
 * Without `follow` everything that is there now; nothing when the trial has had no attempt.
 *
 * @throws SWEEP_NOT_FOUND, TRIAL_NOT_FOUND, USAGE, OUTPUT_GONE; without `follow` also TRAINER_UNREACHABLE and
 * COORDINATOR_UNREACHABLE
 */
export async function* streamOutput(
  coordinator: Pick<Coordinator, 'readOutput'>,
  query: OutputQuery,
): AsyncGenerator<OutputChunk, void, undefined> {
  const { sweepId, trialId, follow, signal } = query;
  let attempt = query.attempt;
  let from = query.from ?? 0;
  let isAway = false;
  while (signal?.aborted !== true) {
    let piece: ReadTrialOutputResponse;
    try {
      piece = await coordinator.readOutput({ sweepId, trialId, attempt, from, skipMissing: follow });
      isAway = false;
    } catch (error) {
      if (!follow || !(error instanceof WattsweepError) || !AWAY.has(error.code)) throw error;
      if (!isAway) query.onAway?.(error);
      isAway = true;
      await pause(signal);
      continue;
    }
    attempt = piece.attempt;
    from = piece.next;
    const { trainerId, data, leftOut, missing } = piece;
    if (missing !== '') query.onAway?.(new WattsweepError('OUTPUT_GONE', missing));
    if (data.length > 0) yield { attempt, trainerId, data, leftOut, next: from };
    if (!piece.atEnd) continue;
    if (piece.attemptOver && piece.nextAttempt > 0 && follow) {
      attempt = piece.nextAttempt;
      from = 0;
    } else if (!follow || (piece.trialOver && (piece.attemptOver || attempt === 0))) return;
    else await pause(signal);
  }
}

const AWAY: ReadonlySet<string> = new Set(['TRAINER_UNREACHABLE', 'COORDINATOR_UNREACHABLE', 'NOT_LEADER']);

const pause = (signal?: AbortSignal): Promise<void> =>
  sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
