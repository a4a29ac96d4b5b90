/**
 * WatchSweep: first everything, then what changed, several changes a message when they come quickly. A slow reader gets
 * fewer and larger messages, never a growing queue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NotLeaderError } from '../../../proto/errors.js';
import type { WatchSweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { LedgerEvent } from '../core/index.js';
import { sweepIn } from './find.js';
import type { Leader } from './leader.js';
import { sentenceOf } from './sentences.js';
import { sweepView, trainerView, trialView } from './views.js';

const MIN_GAP_MS = 200;
const MAX_MESSAGES = 100;

/** What has changed since the last message. */
class Changes {
  readonly trials = new Set<string>();
  messages: string[] = [];
  trainers = false;
  sweep = false;
  /** The sweep's end is in the ledger. */
  ended = false;

  constructor(readonly sweepId: string) {}

  get any(): boolean {
    return this.sweep || this.trainers || this.trials.size > 0 || this.messages.length > 0;
  }

  take(event: LedgerEvent): void {
    if (event.type.startsWith('trainer_')) this.trainers = true;
    else if (!('sweepId' in event) || event.sweepId !== this.sweepId) return;
    else this.sweep = true;
    if (event.type === 'sweep_ended') this.ended = true;
    if (event.type === 'sweep_reopened') this.ended = false;
    if ('trialId' in event) this.trials.add(event.trialId);
    if (event.type === 'attempt_assigned' || event.type === 'attempt_ended') this.trainers = true;
    const sentence = sentenceOf(event);
    if (sentence !== null && this.messages.length < MAX_MESSAGES) this.messages.push(sentence);
  }

  clear(): void {
    this.trials.clear();
    this.messages = [];
    this.trainers = false;
    this.sweep = false;
  }
}

/** Ends with the sweep, or with `signal`. @throws NOT_LEADER when the term ends first */
export async function* watchSweep(
  leader: Leader,
  sweepId: string,
  signal: AbortSignal,
): AsyncGenerator<WatchSweepResponse> {
  const changes = new Changes(sweepId);
  const term = { over: false };
  let wake: () => void = () => undefined;
  const stop = leader.subscribe({
    committed: (events) => {
      for (const event of events) changes.take(event);
      if (changes.any) wake();
    },
    ended: () => {
      term.over = true;
      wake();
    },
  });
  const gone = (): boolean => signal.aborted;
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const first = render(leader, sweepId, null);
    changes.ended = sweepIn(leader.state, sweepId).endedAt !== null;
    await leader.acknowledged();
    yield first;
    while (!gone() && (changes.any || !changes.ended)) {
      if (!changes.any && !term.over) await new Promise<void>((resolve) => (wake = resolve));
      if (gone()) return;
      if (term.over) throw new NotLeaderError('this coordinator stopped leading', null);
      const message = render(leader, sweepId, changes);
      changes.clear();
      await leader.acknowledged();
      yield message;
      await sleep(MIN_GAP_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop();
  }
}

/** @param changes null for everything */
function render(leader: Leader, sweepId: string, changes: Changes | null): WatchSweepResponse {
  const sweep = sweepIn(leader.state, sweepId);
  const trials =
    changes === null
      ? [...sweep.trials.values()]
      : [...changes.trials].flatMap((id) => sweep.trials.get(id) ?? []);
  const trainers = changes === null || changes.trainers ? [...leader.state.trainers.values()] : [];
  return {
    sweep: sweepView(sweep, leader.state),
    trials: trials.map((trial) => trialView(sweep, trial)),
    messages: changes?.messages ?? [],
    trainers: trainers.map(trainerView),
  };
}
