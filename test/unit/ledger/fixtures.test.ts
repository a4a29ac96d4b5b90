/** Ledgers of released versions open, fold to what they folded to then, and their decisions come out again. */
import { describe, expect, test } from 'vitest';
import { Replay } from '../../../services/coordinator/core/index.js';
import { decodeBatch } from '../../../services/coordinator/ledger/codec.js';
import { loadLedger } from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import { readFixtures, summaryOf } from '../../support/ledger-fixtures.js';

const fixtures = readFixtures();

test('there is a ledger of every release', () => {
  expect(fixtures.map(({ name }) => name)).toContain('0.1.0');
});

describe.each(fixtures)('the ledger $name', ({ entries, expected }) => {
  test('folds to what it was', async () => {
    const log = new MemoryLog();
    for (const [seq, data] of entries.entries()) await log.append(`a${seq}`, data, seq);
    const { state, lastSeq } = await loadLedger(log);
    expect(lastSeq).toBe(entries.length);
    expect(summaryOf(state)).toEqual(expected);
  });

  test('replays: every decision comes out as it was recorded', () => {
    const events = entries.flatMap((data, i) => decodeBatch(data, i + 1).events);
    for (const sweepId of Object.keys(expected)) {
      const replay = new Replay(sweepId);
      for (const event of events) replay.take(event);
      expect(replay.finish()).toBeNull();
      const trials = Object.values(expected[sweepId]?.trials ?? {});
      expect(replay.decisions).toBe(trials.flatMap(({ decisions }) => decisions).length);
    }
  });
});
