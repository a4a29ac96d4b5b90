import { describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../../services/coordinator/clock.js';
import { WattsweepError } from '../../../proto/errors.js';
import type { Action, Input, LedgerEvent, TrainerInfo } from '../../../services/coordinator/core/index.js';
import { decodeBatch, encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import {
  Committer,
  loadLedger,
  type CommitterOptions,
  type LedgerLog,
} from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import { submit } from '../../support/core.js';

const trainer: TrainerInfo = {
  trainerId: 'box',
  instanceId: 'i',
  address: 'a:1',
  slots: ['a', 'b'].map((slotId) => ({ slotId, deviceKind: 'cpu', deviceModel: 'm', deviceUuids: [] })),
  recipes: ['resnet-cifar10'],
  labels: {},
  powerMethod: '',
  draining: false,
};
const seen: Input = { type: 'trainer_seen', trainer, at: 1 };
/** A log whose appends wait until they are let through. */
class SlowLog implements LedgerLog {
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

interface Scene {
  readonly log: SlowLog;
  readonly committer: Committer;
  readonly actions: Action[];
  readonly committed: LedgerEvent[];
  readonly rejected: Input[];
  readonly ends: string[];
  readonly stop: AbortController;
}

/** Waits for nothing. */
const impatient: Clock = { ...systemClock, sleep: () => turn() };

async function lead(log: SlowLog, id = 'one', over: Partial<CommitterOptions> = {}): Promise<Scene> {
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

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const entries = async (log: LedgerLog): Promise<LedgerEvent[][]> => {
  const batches: LedgerEvent[][] = [];
  for await (const { seq, data } of log.read(1)) batches.push([...decodeBatch(data, seq).events]);
  return batches;
};
const starts = (actions: readonly Action[]): Action[] =>
  actions.filter(({ type }) => type === 'start_attempt');

describe('the writer of a term', () => {
  test('releases actions and answers only when the ledger has the events', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    let answered = false;
    const offered = scene.committer.offer([seen, submit('s')]).then(() => (answered = true));
    await turn();
    expect(scene.committer.state.sweeps.has('s')).toBe(true);
    expect([answered, starts(scene.actions).length, scene.committed.length]).toEqual([false, 0, 1]);
    scene.log.waiting.shift()?.();
    await offered;
    expect(starts(scene.actions)).toHaveLength(2);
  });

  test('collects what is decided while an append is under way into one entry', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const first = scene.committer.offer([seen]);
    await turn();
    const rest = ['a', 'b', 'c'].map((id) => scene.committer.offer([submit(id)], { seq: 7, storedAtMs: 70 }));
    await turn();
    expect(scene.log.waiting).toHaveLength(1);
    scene.log.waiting.shift()?.();
    await first;
    expect(scene.committer.savedReports).toEqual({ seq: 0, storedAtMs: null });
    await turn();
    scene.log.waiting.shift()?.();
    await Promise.all(rest);
    expect(scene.committer.savedReports).toEqual({ seq: 7, storedAtMs: 70 });
    const batches = await entries(scene.log);
    expect(batches).toHaveLength(3);
    expect(batches[2]?.filter(({ type }) => type === 'sweep_submitted')).toHaveLength(3);
  });

  test('answers an input without events only after those decided before it', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const order: string[] = [];
    const first = scene.committer.offer([submit('s')]).then(() => order.push('submit'));
    const again = scene.committer.offer([submit('s')]).then(() => order.push('again'));
    const read = scene.committer.acknowledged().then(() => order.push('read'));
    await turn();
    expect(order).toEqual([]);
    scene.log.waiting.shift()?.();
    await Promise.all([first, again, read]);
    expect(order).toEqual(['submit', 'again', 'read']);
  });

  test('gives the same state when its ledger is folded again', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    await scene.committer.offer([seen, submit('s')], { seq: 3, storedAtMs: 30 });
    const loaded = await loadLedger(scene.log);
    expect(loaded.state).toEqual(scene.committer.state);
    expect(loaded).toMatchObject({ lastSeq: 2, reports: { seq: 3, storedAtMs: 30 } });
  });

  test('is deposed by a newer term: nothing is written, no action released, callers are told', async () => {
    const log = new SlowLog(new MemoryLog());
    const one = await lead(log);
    const two = await lead(log, 'two');
    expect(two.committer.state.term).toBe(2);
    expect(two.committer.state.ledgerId).toBe(one.committer.state.ledgerId);
    await expect(one.committer.offer([seen, submit('s')])).rejects.toMatchObject({ code: 'DEPOSED' });
    await expect(one.committer.offer([seen])).rejects.toMatchObject({ code: 'DEPOSED' });
    expect(one.ends).toEqual(['DEPOSED']);
    expect(starts(one.actions)).toEqual([]);
    expect(await entries(log)).toHaveLength(2);
  });

  test('learns of a newer term when it is told to look', async () => {
    const log = new SlowLog(new MemoryLog());
    const one = await lead(log);
    await one.committer.checkTerm();
    expect(one.ends).toEqual([]);
    await lead(log, 'two');
    await one.committer.checkTerm();
    expect(one.ends).toEqual(['DEPOSED']);
  });

  test('wins its term although another coordinator writes in between', async () => {
    const inner = new MemoryLog();
    const log = new SlowLog(inner);
    log.slow = true;
    const leading = lead(log, 'two');
    await turn();
    await lead(new SlowLog(inner), 'one');
    log.slow = false;
    log.waiting.shift()?.();
    const { committer } = await leading;
    expect(committer.state.term).toBe(2);
  });

  test('folds again and decides again when somebody wrote without a new term', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    const stranger: LedgerEvent = {
      type: 'trainer_joined',
      trainer: { ...trainer, trainerId: 'other' },
      at: 1,
    };
    const header = { appendId: 'stranger', term: 1, at: 1, reportsSeq: 0 };
    await scene.log.inner.append('stranger', encodeBatch(header, [encodeEvents([stranger])]), 1);
    await scene.committer.offer([submit('s')]);
    // The other trainer's two slots, which the first decision could not know of.
    expect(starts(scene.actions)).toHaveLength(2);
    expect((await loadLedger(scene.log)).state).toEqual(scene.committer.state);
  });

  test('waits for its own entry when a cluster counts it before it is there', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    const { inner } = scene.log;
    let asked = 0;
    let landed = false;
    scene.log.append = (...args) => {
      asked += 1;
      if (asked === 1) {
        setTimeout(() => {
          landed = true;
          void inner.append(...args);
        }, 100);
        return Promise.reject(new WattsweepError('NATS_UNREACHABLE', 'no acknowledgement'));
      }
      return landed ? inner.append(...args) : Promise.resolve({ ok: false });
    };
    await scene.committer.offer([seen, submit('s')]);
    expect(starts(scene.actions)).toHaveLength(2);
    expect(await entries(scene.log)).toHaveLength(2);
  });

  test('leaves out an input that the core cannot take, and only that one', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    const poison = { ...submit('poison'), spec: null } as unknown as Input;
    const offered = [
      scene.committer.offer([seen]),
      scene.committer.offer([poison]),
      scene.committer.offer([submit('s')]),
    ];
    const outcomes = await Promise.allSettled(offered);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(scene.rejected).toEqual([poison]);
    expect(starts(scene.actions)).toHaveLength(2);
    expect((await loadLedger(scene.log)).state).toEqual(scene.committer.state);
  });

  test('refuses a decision that no entry can hold, and goes on', async () => {
    const scene = await lead(new SlowLog(new MemoryLog({ maxEntryBytes: 20_000 })));
    const noise = Array.from({ length: 60_000 }, (_, i) =>
      String.fromCharCode(33 + ((i * 7919 + i * i) % 90)),
    ).join('');
    const large = { ...submit('large'), source: noise } as Input;
    await expect(scene.committer.offer([large])).rejects.toMatchObject({ code: 'SPEC_TOO_LARGE' });
    await scene.committer.offer([submit('s')]);
    expect([...scene.committer.state.sweeps.keys()]).toEqual(['s']);
  });

  test('splits a backlog into entries below the limit, each decision whole', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const source = 'x'.repeat(200_000);
    const all = Array.from({ length: 6 }, (_, i) =>
      scene.committer.offer([{ ...submit(`s${i}`), source } as Input]),
    );
    scene.log.slow = false;
    await Promise.all(all);
    const batches = (await entries(scene.log)).slice(1);
    expect(batches.map((batch) => batch.filter(({ type }) => type === 'sweep_submitted').length)).toEqual([
      2, 2, 2,
    ]);
  });

  test('tells everybody when leadership ends while it writes', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const offered = scene.committer.offer([seen]);
    await turn();
    scene.stop.abort();
    await expect(offered).rejects.toMatchObject({ code: 'DEPOSED' });
    scene.log.waiting.shift()?.();
    await turn();
    expect(scene.committed.map(({ type }) => type)).toEqual(['term_started']);
  });

  const outgrown = (above: number): Input => ({
    type: 'term_outgrown',
    above,
    trainerId: 'box',
    coordinatorId: 'one',
    at: 3,
  });

  test('goes above a term that a trainer remembers, and commands carry it only once it is written', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const raised = scene.committer.offer([outgrown(7)]);
    await turn();
    expect([scene.committer.state.term, scene.committer.term]).toEqual([8, 1]);
    scene.log.waiting.shift()?.();
    await raised;
    expect(scene.committer.term).toBe(8);
    scene.log.slow = false;
    expect((await lead(scene.log, 'two')).committer.term).toBe(9);
  });

  test('that was deposed cannot go above any term', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    const other = await lead(scene.log, 'two');
    await expect(scene.committer.offer([outgrown(7)])).rejects.toMatchObject({ code: 'DEPOSED' });
    expect([scene.committer.term, other.committer.term]).toEqual([1, 2]);
    expect((await loadLedger(scene.log)).state).toMatchObject({ term: 2, copies: 0 });
  });

  test('asks again when the log that takes over knows less for a moment, and ends its term when that lasts', async () => {
    const older = new MemoryLog();
    const inner = new MemoryLog();
    let isBehind = 0;
    const log = new (class extends SlowLog {
      override async look(): ReturnType<LedgerLog['look']> {
        const { madeAt, lastSeq } = await inner.look();
        return { madeAt, lastSeq: isBehind > 0 ? 1 : lastSeq };
      }
      override read(fromSeq: number): ReturnType<LedgerLog['read']> {
        return (isBehind > 0 ? older : inner).read(fromSeq);
      }
      override append(...args: Parameters<LedgerLog['append']>): ReturnType<LedgerLog['append']> {
        isBehind -= 1;
        return isBehind > 0 ? Promise.resolve({ ok: false }) : inner.append(...args);
      }
    })(inner);
    const scene = await lead(log, 'one', { clock: impatient });
    for await (const { data } of inner.read(1)) await older.append('copy', data, 0);
    await scene.committer.offer([seen]);
    isBehind = 3;
    await scene.committer.offer([submit('s')]);
    expect([await entries(inner), scene.ends]).toEqual([expect.objectContaining({ length: 3 }), []]);

    isBehind = Infinity;
    await expect(scene.committer.offer([submit('t')])).rejects.toMatchObject({ code: 'DEPOSED' });
    expect([await entries(inner), scene.ends]).toEqual([expect.objectContaining({ length: 3 }), ['DEPOSED']]);
  });

  test('ends when its ledger is gone, rather than to begin an empty one', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()), 'one', { clock: impatient });
    const empty = new MemoryLog();
    scene.log.look = () => empty.look();
    scene.log.read = (fromSeq) => empty.read(fromSeq);
    scene.log.append = (...args) => empty.append(...args);
    await expect(scene.committer.offer([seen])).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
      message: /is empty now/,
    });
    expect(scene.ends).toEqual(['LEDGER_UNREADABLE']);
    const { ledgerId } = scene.committer.state;
    await expect(lead(new SlowLog(empty), 'one', { ledgerId })).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
    });
    expect(await entries(empty)).toEqual([]);
  });

  test('ends when an older copy took the place of its ledger, rather than to give its names once more', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()), 'one', { clock: impatient });
    const copy = new MemoryLog();
    for await (const { seq, data } of scene.log.read(1)) await copy.append(`copy-${seq}`, data, seq - 1);
    await scene.committer.offer([seen, submit('s')]);
    const { termId } = scene.committer.state;
    scene.log.look = () => copy.look();
    scene.log.read = (fromSeq) => copy.read(fromSeq);
    scene.log.append = (...args) => copy.append(...args);
    await expect(scene.committer.offer([submit('t')])).rejects.toMatchObject({
      code: 'DEPOSED',
      message: /copy of this ledger/,
    });
    expect(await entries(copy)).toHaveLength(1);
    const next = await lead(new SlowLog(copy), 'two');
    expect(next.committer.state.term).toBe(2);
    expect(next.committer.state.termId).not.toBe(termId);
  });

  test('ends when another ledger of as many entries took the place of its own while the way there was interrupted', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()), 'one', { clock: impatient });
    const other = new MemoryLog();
    const theirs = await lead(new SlowLog(other), 'theirs');
    await Promise.all([scene.committer.offer([seen]), theirs.committer.offer([seen])]);
    const { madeAt = '' } = (await scene.log.look()) ?? {};
    scene.log.look = async () => ({ ...(await other.look()), madeAt });
    scene.log.read = (fromSeq) => other.read(fromSeq);
    scene.log.entryAt = (seq) => other.entryAt(seq);
    scene.log.append = (...args) => other.append(...args);
    scene.log.interruptions += 1;
    const before = await entries(other);
    await expect(scene.committer.offer([submit('s')])).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
      message: /holds the ledger .* now/,
    });
    expect(await entries(other)).toEqual(before);
  });

  test('looks at its last entry once after an interruption, and never without one', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()), 'one', { clock: impatient });
    const { inner } = scene.log;
    let looks = 0;
    scene.log.entryAt = (seq) => ((looks += 1), inner.entryAt(seq));
    await scene.committer.offer([seen]);
    expect(looks).toBe(0);
    scene.log.interruptions += 1;
    await scene.committer.offer([submit('s')]);
    await scene.committer.offer([submit('t')]);
    expect(looks).toBe(1);
  });

  test('stamps an entry with the term in which it is written, not with one that is on its way', async () => {
    const scene = await lead(new SlowLog(new MemoryLog()));
    scene.log.slow = true;
    const offers = [scene.committer.offer([seen])];
    await turn();
    // So large that the raise does not share its entry.
    const large = { ...submit('s'), source: 'x'.repeat(512 * 1024) } as Input;
    offers.push(scene.committer.offer([large]), scene.committer.offer([outgrown(7)]));
    for (let left = offers.length; left > 0; left -= 1) {
      await turn();
      await turn();
      scene.log.waiting.shift()?.();
    }
    await Promise.all(offers);
    const terms: number[] = [];
    for await (const { seq, data } of scene.log.read(1)) terms.push(decodeBatch(data, seq).term);
    expect(terms).toEqual([1, 1, 1, 8]);
  });
});
