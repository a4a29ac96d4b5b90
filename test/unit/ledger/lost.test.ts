import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../services/coordinator/clock.js';
import { LedgerBeginning } from '../../../services/coordinator/ledger/index.js';

const FRESH_FOR_MS = 1_000;

/** A NATS with these streams, by the sequence of their last message, and a clock. */
function nats(streams: Record<string, number>) {
  const time = { nowMs: 0 };
  const clock = { monotonicMs: () => time.nowMs } as Clock;
  const link = {
    find: (stream: string) => {
      const lastSeq = streams[stream];
      return Promise.resolve(
        lastSeq === undefined ? null : { firstSeq: 1, lastSeq, bytes: 0, madeAt: 'once' },
      );
    },
  };
  return {
    streams,
    time,
    look: (mayBegin = false) => LedgerBeginning.look(link, mayBegin, FRESH_FOR_MS, clock),
  };
}

describe('a ledger that is empty', () => {
  it.each([
    { what: 'on a new NATS', streams: {} },
    {
      what: 'where a coordinator has made the streams',
      streams: { LEDGER: 0, REPORTS: 0, OBJ_snapshots: 0 },
    },
    { what: 'where boxes wait for it', streams: { KV_trainers: 7, TELEMETRY: 900 } },
  ])('may be begun $what', async ({ streams }) => {
    expect(await (await nats(streams).look()).begin()).toBeNull();
  });

  it.each([
    [{ REPORTS: 1 }, /no stream LEDGER.*REPORTS has had reports/],
    [{ LEDGER: 0, OBJ_snapshots: 3 }, /LEDGER is empty.*snapshots/],
    [{ LEDGER: 0, OBJ_checkpoints: 3 }, /LEDGER is empty.*checkpoints/],
  ])('may not where NATS has had another: %o', async (streams, message) => {
    await expect(nats(streams).look()).rejects.toMatchObject({ code: 'LEDGER_LOST', message });
  });

  it('may where a person says so, and it is told what showed that there was another', async () => {
    const beginning = await nats({ LEDGER: 0, REPORTS: 5, OBJ_snapshots: 1 }).look(true);
    expect(await beginning.begin()).toBe('REPORTS has had reports, there are snapshots of one');
  });

  it('may not be begun by one that has stood by while another led', async () => {
    const { look, streams, time } = nats({});
    const beginning = await look();
    Object.assign(streams, { LEDGER: 0, REPORTS: 5 });
    expect(await beginning.begin()).toBeNull();
    time.nowMs = FRESH_FOR_MS;
    await expect(beginning.begin()).rejects.toMatchObject({ code: 'LEDGER_LOST' });
  });

  it('is not asked for where there is one', async () => {
    const there = await nats({ LEDGER: 3, REPORTS: 5 }).look();
    expect(there.isThere).toBe(true);
    // It has been emptied since.
    await expect(there.begin()).rejects.toMatchObject({ code: 'LEDGER_LOST' });
  });
});
