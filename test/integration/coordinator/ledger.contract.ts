/** What every ledger log must do; run on each implementation by `ledger.test.ts`. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  decodeBatch,
  encodeBatch,
  encodeEvents,
  type BatchHeader,
} from '../../../services/coordinator/ledger/codec.js';
import { appendFenced } from '../../../services/coordinator/ledger/fence.js';
import type { LedgerLog, LogEntry, FoldedLog } from '../../../services/coordinator/ledger/log.js';
import type { LedgerEvent } from '../../../services/coordinator/core/index.js';

export interface LogUnderTest {
  readonly log: LedgerLog;
  /** Another writer's view of the same log. */
  readonly other: LedgerLog;
  /** The next append of `log` is written, but its acknowledgement never arrives. */
  readonly loseNextAcknowledgement: () => void;
  /** The next append of `log` never arrives. */
  readonly loseNextRequest: () => void;
  close(): Promise<void>;
}

const never = new AbortController().signal;

export const header = (appendId: string, term: number): BatchHeader => ({
  appendId,
  term,
  at: 1,
  reportsSeq: 0,
});

export const paused = (sweepId: string): LedgerEvent => ({ type: 'sweep_paused', sweepId, at: 1 });

export const termStarted = (term: number): LedgerEvent => ({
  type: 'term_started',
  ledgerId: 'l',
  term,
  coordinatorId: `c${term}`,
  settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
  at: 1,
});

const entry = (of: BatchHeader, ...events: LedgerEvent[]): Uint8Array =>
  encodeBatch(of, [encodeEvents(events)]);

async function all(log: LedgerLog, from = 1): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const one of log.read(from)) entries.push(one);
  return entries;
}

/** A log as a writer has folded it up to this entry. */
const upTo = async (log: LedgerLog, lastSeq: number): Promise<FoldedLog> => {
  const entryThere = lastSeq === 0 ? null : await log.entryAt(lastSeq);
  return {
    madeAt: (await log.look())?.madeAt ?? '',
    lastSeq,
    appendId: entryThere === null ? '' : decodeBatch(entryThere, lastSeq).appendId,
    interruptions: log.interruptions,
  };
};

const bytes = (text: string): Uint8Array => Buffer.from(text);
const texts = (entries: readonly LogEntry[]): string[] =>
  entries.map(({ data }) => Buffer.from(data).toString());

export function ledgerContract(name: string, open: () => Promise<LogUnderTest>): void {
  describe(name, () => {
    let opened: LogUnderTest;
    const start = async (): Promise<LogUnderTest> => (opened = await open());
    afterEach(() => opened.close());

    test('gives entries back in order, from any sequence on', async () => {
      const { log } = await start();
      expect(await all(log)).toEqual([]);
      for (let i = 0; i < 5; i += 1)
        expect(await log.append(`a${i}`, bytes(`e${i}`), i)).toEqual({ ok: true, seq: i + 1 });
      expect(texts(await all(log))).toEqual(['e0', 'e1', 'e2', 'e3', 'e4']);
      expect(texts(await all(log, 4))).toEqual(['e3', 'e4']);
      expect(await all(log, 6)).toEqual([]);
    });

    test('refuses an append that does not follow the last entry, and writes nothing', async () => {
      const { log, other } = await start();
      await log.append('a', bytes('a'), 0);
      expect(await other.append('b', bytes('b'), 0)).toEqual({ ok: false });
      expect(await other.append('c', bytes('c'), 7)).toEqual({ ok: false });
      expect(texts(await all(other))).toEqual(['a']);
    });

    test('refuses a deposed leader, also when it writes of another sweep', async () => {
      const { log, other } = await start();
      await log.append('t1', entry(header('t1', 1), termStarted(1)), 0);
      await other.append('t2', entry(header('t2', 2), termStarted(2)), 1);
      const outcome = await appendFenced(
        log,
        header('x', 1),
        entry(header('x', 1), paused('mine')),
        await upTo(log, 1),
        never,
      );
      expect(outcome).toEqual({ outcome: 'deposed', term: 2, coordinatorId: 'c2' });
      expect(await all(log)).toHaveLength(2);
    });

    test('tells a writer that only fell behind from one that is deposed', async () => {
      const { log, other } = await start();
      await log.append('t1', entry(header('t1', 1), termStarted(1)), 0);
      await other.append('y', entry(header('y', 1), paused('other')), 1);
      const outcome = await appendFenced(
        log,
        header('x', 1),
        entry(header('x', 1), paused('mine')),
        await upTo(log, 1),
        never,
      );
      expect(outcome).toEqual({ outcome: 'behind' });
    });

    test('accepts an append once when its acknowledgement is lost', async () => {
      const { log, loseNextAcknowledgement } = await start();
      await log.append('t1', entry(header('t1', 1), termStarted(1)), 0);
      const folded = await upTo(log, 1);
      loseNextAcknowledgement();
      const mine = entry(header('x', 1), paused('s'));
      const outcome = await appendFenced(log, header('x', 1), mine, folded, never);
      expect(outcome).toMatchObject({ outcome: 'accepted', seq: 2 });
      expect(await all(log)).toHaveLength(2);
    });

    test('accepts an append whose acknowledgement is lost although a newer term follows it', async () => {
      const { log, other } = await start();
      const mine = entry(header('x', 1), paused('s'));
      await log.append('x', mine, 0);
      await other.append('t2', entry(header('t2', 2), termStarted(2)), 1);
      expect(await appendFenced(log, header('x', 1), mine, await upTo(log, 0), never)).toMatchObject({
        outcome: 'accepted',
        seq: 1,
      });
    });

    test('writes nothing behind an entry that is not the one folded, once the way to the log was interrupted', async () => {
      const { log } = await start();
      await log.append('t1', entry(header('t1', 1), termStarted(1)), 0);
      const folded = { ...(await upTo(log, 1)), appendId: 'mine', interruptions: log.interruptions - 1 };
      const mine = entry(header('x', 1), paused('s'));
      expect(await appendFenced(log, header('x', 1), mine, folded, never)).toEqual({ outcome: 'behind' });
      expect(await all(log)).toHaveLength(1);
    });

    test('writes an append whose request is lost', async () => {
      const { log, loseNextRequest } = await start();
      const folded = await upTo(log, 0);
      loseNextRequest();
      const mine = entry(header('x', 1), paused('s'));
      const outcome = await appendFenced(log, header('x', 1), mine, folded, never);
      expect(outcome).toMatchObject({ outcome: 'accepted', seq: 1 });
      expect(await all(log)).toHaveLength(1);
    });
  });
}
