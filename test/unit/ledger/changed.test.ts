import { describe, expect, test } from 'vitest';
import type { LedgerLog } from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import { entries, impatient, lead, seen, SlowLog } from '../../support/committer.js';
import { submit } from '../../support/core.js';

describe('a writer whose log is another one by now', () => {
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
});
