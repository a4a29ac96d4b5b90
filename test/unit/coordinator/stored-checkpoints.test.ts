import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { parseStoredName, storedName, type StoredName } from '../../../proto/subjects.js';
import { systemClock } from '../../../services/coordinator/clock.js';
import type { State } from '../../../services/coordinator/core/index.js';
import {
  forgetCheckpoints,
  needOf,
  toForget,
  type ShelvedName,
} from '../../../services/coordinator/fleet/stored-checkpoints.js';

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
      over: { status: 'completed', endedAt: 5, trials: new Map([['t1', { state: 'failed' }]]) },
    }),
  ),
} as unknown as State;
const name = (sweepId: string, trialId: string, ledgerId = 'L1', mostBytes = 9e6): ShelvedName => ({
  mostBytes,
  ledgerId,
  sweepId,
  trialId,
  copy: 0,
});

describe('checkpoints in NATS', () => {
  it.each([
    ['of a trial that runs', name('open', 't1'), 'needed'],
    ['of a paused one', name('open', 't2'), 'needed'],
    ['of one that succeeded', name('open', 't3'), 'done'],
    ['of one that failed, which a person may run again', name('open', 't4'), 'needed'],
    ['of one that diverged', name('open', 't5'), 'forgotten'],
    ['of a trial that the ledger has not heard of', name('open', 't9'), 'needed'],
    ['of a sweep that has ended', name('over', 't1'), 'done'],
    ['of a sweep that was deleted', name('gone', 't1'), 'forgotten'],
    ['of a sweep that an older copy of the ledger lacks', name('later', 't1'), 'needed'],
    ['of another ledger, which may be restored', name('open', 't3', 'L0'), 'needed'],
  ])('%s: %o is %s', (_what, stored, expected) => {
    expect(needOf(state, stored)).toBe(expected);
  });

  it('of what is done stay while they are small and there is room, those of the latest end first', () => {
    const small = name('open', 't3', 'L1', 5e6);
    const ended = name('over', 't1', 'L1', 5e6);
    const names = [ended, small, name('open', 't3'), name('open', 't1'), name('gone', 't1', 'L1', 1)];
    const forgotten = (room: number) =>
      toForget(state, names, room)
        .map((one) => names.indexOf(one))
        .sort();
    expect(forgotten(1e9)).toEqual([2, 4]);
    expect(forgotten(9e6)).toEqual([0, 2, 4]);
    expect(forgotten(0)).toEqual([0, 1, 2, 4]);
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
    const { mostBytes: _bytes, ...plain } = name('s', 't');
    expect(parseStoredName(storedName({ ...plain, copy: 1 }))).toEqual({ ...plain, copy: 1 });
    for (const odd of ['', 'a/b/c', 'L/s/t/2', 'L/s/../0', '../s/t/0', 'L/S/t/0'])
      expect(parseStoredName(odd)).toBeNull();
  });
});
