import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { parseStoredName, storedName, type StoredName } from '../../../proto/subjects.js';
import { systemClock } from '../../../services/coordinator/clock.js';
import type { State } from '../../../services/coordinator/core/index.js';
import { forgetCheckpoints, isForgotten } from '../../../services/coordinator/fleet/stored-checkpoints.js';

const state = {
  ledgerId: 'L1',
  deleted: new Set(['gone']),
  sweeps: new Map(
    Object.entries({
      open: {
        status: 'running',
        trials: new Map(
          Object.entries({ t1: 'running', t2: 'paused', t3: 'succeeded', t4: 'failed', t5: 'diverged' }).map(
            ([trialId, trial]) => [trialId, { state: trial }],
          ),
        ),
      },
      over: { status: 'completed', trials: new Map([['t1', { state: 'failed' }]]) },
    }),
  ),
} as unknown as State;
const name = (sweepId: string, trialId: string, ledgerId = 'L1'): StoredName => ({
  ledgerId,
  sweepId,
  trialId,
  copy: 0,
});

describe('checkpoints in NATS', () => {
  it.each([
    ['of a trial that runs', name('open', 't1'), false],
    ['of a paused one', name('open', 't2'), false],
    ['of one that succeeded', name('open', 't3'), true],
    ['of one that failed, which a person may run again', name('open', 't4'), false],
    ['of one that diverged', name('open', 't5'), true],
    ['of a trial that the ledger has not heard of', name('open', 't9'), false],
    ['of a sweep that has ended', name('over', 't1'), true],
    ['of a sweep that was deleted', name('gone', 't1'), true],
    ['of a sweep that an older copy of the ledger lacks', name('later', 't1'), false],
    ['of another ledger, which may be restored', name('open', 't3', 'L0'), false],
  ])('%s: %o forgotten is %s', (_what, stored, expected) => {
    expect(isForgotten(state, stored)).toBe(expected);
  });

  it('are removed once nobody needs them, though the store fails now and then', async () => {
    const over = new AbortController();
    const there = [name('open', 't1'), name('open', 't3'), name('gone', 't1')];
    let calls = 0;
    const shelf = {
      names: () => (++calls % 2 === 1 ? Promise.reject(new Error('away')) : Promise.resolve([...there])),
      remove: (stored: StoredName) => {
        there.splice(
          there.findIndex((one) => storedName(one) === storedName(stored)),
          1,
        );
        return Promise.resolve();
      },
    };
    const log = pino({ level: 'silent' });
    const options = { shelf, state: () => state, clock: systemClock, log, everyMs: 1 };
    const forgetting = forgetCheckpoints(options, over.signal);
    await expect.poll(() => there.length).toBe(1);
    over.abort();
    await forgetting;
    expect(there).toEqual([name('open', 't1')]);
  });

  it('have names that are read back, and no others are', () => {
    expect(parseStoredName(storedName({ ...name('s', 't'), copy: 1 }))).toEqual({
      ...name('s', 't'),
      copy: 1,
    });
    for (const odd of ['', 'a/b/c', 'L/s/t/2', 'L/s/../0', '../s/t/0', 'L/S/t/0'])
      expect(parseStoredName(odd)).toBeNull();
  });
});
