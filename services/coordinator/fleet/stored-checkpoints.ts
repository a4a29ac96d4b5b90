/**
 * Checkpoints that trainers have put into NATS, so that a trial goes on elsewhere when its box is gone. Which trials may
 * go on is known here: what belongs to another one is removed, once in a while, by whoever leads. Small ones of trials that
 * are done stay while there is room: a person may extend or rerun them, and their box may be gone.
 */
import type { Logger } from 'pino';
import type { StoredName } from '../../../proto/subjects.js';
import { isAborted, type Clock } from '../clock.js';
import type { State, TrialState } from '../core/index.js';

/** What lies there. */
export type ShelvedName = StoredName & {
  /** As many as it has at most. */
  readonly mostBytes: number;
};

/** The object store, as far as it is needed. Each throws NATS_UNREACHABLE. */
export interface CheckpointShelf {
  /** All that lies there, also what was not written to its end. */
  names(): Promise<readonly ShelvedName[]>;
  remove(name: StoredName): Promise<void>;
}

/** Nothing more comes of a trial in these by itself; a person may extend or rerun it. */
const DONE: ReadonlySet<TrialState> = new Set(['succeeded', 'stopped']);

/** Of trials that are done: a small network's. */
const SMALL_BYTES = 8 * 1024 ** 2;
/** Room for all checkpoints of trials that are done. */
const DONE_BYTES = 1024 ** 3;

export type Need = 'needed' | 'done' | 'forgotten';

/**
 * Whether somebody will go on from it. Of a sweep that is deleted and of a trial that diverged nobody will; of a trial that is
 * done, or a sweep that has ended, a person might. What this ledger has not heard of stays: it may be an older copy. So does
 * what is of another ledger: that may be lost, and be restored tomorrow.
 */
export function needOf(state: State, name: StoredName): Need {
  const { ledgerId, sweepId, trialId, trialTermId } = name;
  if (ledgerId !== state.ledgerId) return 'needed';
  if (state.deleted.has(sweepId)) return 'forgotten';
  const sweep = state.sweeps.get(sweepId);
  if (sweep === undefined) return 'needed';
  const hasEnded = sweep.status === 'completed' || sweep.status === 'stopped';
  const trial = sweep.trials.get(trialId);
  // Of the part that an older copy lacks there may have been another trial of the name.
  if (trial === undefined || (trialTermId ?? trial.termId) !== trial.termId)
    return hasEnded ? 'forgotten' : 'needed';
  if (trial.state === 'diverged') return 'forgotten';
  return hasEnded || DONE.has(trial.state) ? 'done' : 'needed';
}

/** What goes: what nobody needs, and of what is done all that is large, then the oldest sweeps' until the rest has room. */
export function toForget(
  state: State,
  names: readonly ShelvedName[],
  doneBytes = DONE_BYTES,
): readonly ShelvedName[] {
  const endOf = ({ sweepId }: StoredName): number => state.sweeps.get(sweepId)?.endedAt ?? Infinity;
  const done = names
    .filter((name) => needOf(state, name) === 'done')
    .sort((a, b) => (endOf(a) === endOf(b) ? 0 : endOf(b) - endOf(a)));
  let room = doneBytes;
  const tooMuch = done.filter(({ mostBytes }) => {
    if (mostBytes > SMALL_BYTES || mostBytes > room) return true;
    room -= mostBytes;
    return false;
  });
  return [...names.filter((name) => needOf(state, name) === 'forgotten'), ...tooMuch];
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
      const forgotten = toForget(state(), names);
      for (const name of forgotten) if (!isAborted(signal)) await shelf.remove(name);
      if (forgotten.length > 0)
        log.debug({ objects: forgotten.length }, 'checkpoints that nobody needs were removed from NATS');
    } catch (error) {
      log.debug({ reason: String(error) }, 'stored checkpoints were not looked through');
    }
  }
}
