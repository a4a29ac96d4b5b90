/**
 * Checkpoints that trainers have put into NATS, so that a trial goes on elsewhere when its box is gone. Which trials may
 * go on is known here: what belongs to another one is removed, once in a while, by whoever leads.
 */
import type { Logger } from 'pino';
import type { StoredName } from '../../../proto/subjects.js';
import { isAborted, type Clock } from '../clock.js';
import type { State, TrialState } from '../core/index.js';

/** The object store, as far as it is needed. Each throws NATS_UNREACHABLE. */
export interface CheckpointShelf {
  /** All that lies there, also what was not written to its end. */
  names(): Promise<readonly StoredName[]>;
  remove(name: StoredName): Promise<void>;
}

/** A trial of these may be run again by a person while its sweep is open; of the others there is no more to come. */
const DONE: ReadonlySet<TrialState> = new Set(['succeeded', 'stopped', 'diverged']);

/**
 * Whether nobody will go on from it: its trial is done, or its sweep has ended or is deleted. What this ledger has not heard
 * of stays: it may be an older copy. So does what is of another ledger: that may be lost, and be restored tomorrow.
 */
export function isForgotten(state: State, name: StoredName): boolean {
  const { ledgerId, sweepId, trialId, trialTermId } = name;
  if (ledgerId !== state.ledgerId) return false;
  if (state.deleted.has(sweepId)) return true;
  const sweep = state.sweeps.get(sweepId);
  if (sweep === undefined) return false;
  if (sweep.status === 'completed' || sweep.status === 'stopped') return true;
  const trial = sweep.trials.get(trialId);
  // Of the part that an older copy lacks there may have been another trial of the name.
  if (trial === undefined || (trialTermId ?? trial.termId) !== trial.termId) return false;
  return DONE.has(trial.state);
}

export interface ForgetOptions {
  readonly shelf: CheckpointShelf;
  readonly state: () => State;
  readonly clock: Clock;
  readonly log: Logger;
  /** @default 60000 */
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;

/** Looks again and again until the signal aborts. */
export async function forgetCheckpoints(options: ForgetOptions, signal: AbortSignal): Promise<void> {
  const { shelf, state, clock, log, everyMs = EVERY_MS } = options;
  let ofOthers = 0;
  while (!isAborted(signal)) {
    await clock.sleep(everyMs, { signal, ref: false });
    try {
      const names = await shelf.names();
      const before = ofOthers;
      ofOthers = names.filter(({ ledgerId }) => ledgerId !== state().ledgerId).length;
      if (ofOthers > before)
        log.warn(
          { objects: ofOthers },
          'checkpoints of another ledger lie in NATS; nobody here removes them',
        );
      const forgotten = names.filter((name) => isForgotten(state(), name));
      for (const name of forgotten) if (!isAborted(signal)) await shelf.remove(name);
      if (forgotten.length > 0)
        log.debug({ objects: forgotten.length }, 'checkpoints that nobody needs were removed from NATS');
    } catch (error) {
      log.debug({ reason: String(error) }, 'stored checkpoints were not looked through');
    }
  }
}
