import { describe, expect, test } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import type { Input, LedgerEvent } from '../../../services/coordinator/core/index.js';
import { decodeBatch, encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { loadLedger } from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import { entries, lead, seen, SlowLog, starts, trainer, turn } from '../../support/committer.js';
import { submit } from '../../support/core.js';

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
