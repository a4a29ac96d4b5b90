/** A ledger's writer on a log in memory, which waits, loses its way, or is exchanged as a test wants. */
import { systemClock, type Clock } from '../../services/coordinator/clock.js';
import type { Action, Input, LedgerEvent, TrainerInfo } from '../../services/coordinator/core/index.js';
import { decodeBatch } from '../../services/coordinator/ledger/codec.js';
import { Committer, type CommitterOptions, type LedgerLog } from '../../services/coordinator/ledger/index.js';
import type { MemoryLog } from '../../services/coordinator/ledger/memory.js';

export const trainer: TrainerInfo = {
  trainerId: 'box',
  instanceId: 'i',
  address: 'a:1',
  slots: ['a', 'b'].map((slotId) => ({ slotId, deviceKind: 'cpu', deviceModel: 'm', deviceUuids: [] })),
  recipes: ['resnet-cifar10'],
  labels: {},
  powerMethod: '',
  draining: false,
};
export const seen: Input = { type: 'trainer_seen', trainer, at: 1 };
/** A log whose appends wait until they are let through. */
export class SlowLog implements LedgerLog {
  readonly maxEntryBytes: number;
  readonly waiting: (() => void)[] = [];
  slow = false;
  constructor(readonly inner: MemoryLog) {
    this.maxEntryBytes = inner.maxEntryBytes;
  }
  interruptions = 0;
  look(): ReturnType<LedgerLog['look']> {
    return this.inner.look();
  }
  entryAt(seq: number): ReturnType<LedgerLog['entryAt']> {
    return this.inner.entryAt(seq);
  }
  read(fromSeq: number): ReturnType<LedgerLog['read']> {
    return this.inner.read(fromSeq);
  }
  async append(...args: Parameters<LedgerLog['append']>): ReturnType<LedgerLog['append']> {
    if (this.slow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this.inner.append(...args);
  }
}

export interface Scene {
  readonly log: SlowLog;
  readonly committer: Committer;
  readonly actions: Action[];
  readonly committed: LedgerEvent[];
  readonly rejected: Input[];
  readonly ends: string[];
  readonly stop: AbortController;
}

/** Waits for nothing. */
export const impatient: Clock = { ...systemClock, sleep: () => turn() };

export async function lead(log: SlowLog, id = 'one', over: Partial<CommitterOptions> = {}): Promise<Scene> {
  const actions: Action[] = [];
  const committed: LedgerEvent[] = [];
  const rejected: Input[] = [];
  const ends: string[] = [];
  const stop = new AbortController();
  let ids = 0;
  const committer = await Committer.lead({
    log,
    coordinatorId: id,
    settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
    now: () => 10,
    newId: () => `${id}-${(ids += 1)}`,
    signal: stop.signal,
    onEnd: (error) => ends.push(error.code),
    onCommitted: (events, then) => {
      committed.push(...events);
      actions.push(...then);
    },
    onRejected: (input) => rejected.push(input),
    onRetry: () => undefined,
    ...over,
  });
  return { log, committer, actions, committed, rejected, ends, stop };
}

export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
export const entries = async (log: LedgerLog): Promise<LedgerEvent[][]> => {
  const batches: LedgerEvent[][] = [];
  for await (const { seq, data } of log.read(1)) batches.push([...decodeBatch(data, seq).events]);
  return batches;
};
export const starts = (actions: readonly Action[]): Action[] =>
  actions.filter(({ type }) => type === 'start_attempt');
