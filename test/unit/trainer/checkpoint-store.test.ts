import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Attempt } from '../../../services/trainer/attempts/attempt.js';
import { isUseful } from '../../../services/trainer/checkpoints/fetch.js';
import { CheckpointStore, type StoreBounds } from '../../../services/trainer/checkpoints/store.js';
import type {
  CheckpointObjects,
  StoredCheckpoint,
} from '../../../services/trainer/nats/checkpoint-objects.js';

let dir: string;
let store: CheckpointStore | null = null;
/** What stands in the two places of the trial. */
let places: (StoredCheckpoint | null)[];
let writes: string[];
let warnings: string[];
let totalBytes: number;
/** Called while a checkpoint is written. */
let onWrite: () => Promise<void>;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wattsweep-store-'));
  places = [null, null];
  writes = [];
  warnings = [];
  totalBytes = 0;
  onWrite = () => Promise.resolve();
});
afterEach(async () => {
  store?.close();
  await rm(dir, { recursive: true, force: true });
});

const objects = {
  totalBytes: () => Promise.resolve(totalBytes),
  find: () =>
    Promise.resolve(
      places.filter((place) => place !== null).sort((a, b) => b.attempt - a.attempt || b.epoch - a.epoch),
    ),
  write: async (about: StoredCheckpoint, content: AsyncIterable<Buffer>) => {
    await onWrite();
    for await (const part of content) expect(part.length).toBeGreaterThan(0);
    places[about.name.copy] = about;
    writes.push(`${about.attempt}/${about.epoch} in ${about.name.copy}`);
  },
} as unknown as CheckpointObjects;

function open(bounds: Partial<StoreBounds> = {}): CheckpointStore {
  const write = (line: string): void => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    if (level >= 40) warnings.push(msg);
  };
  store = new CheckpointStore({
    bounds: { storeCheckpointBytes: 1_000, storeTotalBytes: 10_000, storeEveryMs: 0, ...bounds },
    objects: () => objects,
    log: pino({}, { write }),
  });
  return store;
}
const attempt = (number = 1, acknowledgedLine = 100) =>
  ({
    id: `t#${String(number)}`,
    name: 't',
    key: { sweepId: 's', trialId: 't', attempt: number },
    accepted: { ledgerId: 'l', spec: { key: { sweepId: 's', trialId: 't' } } },
    acknowledgedLine,
    epoch: 0,
    over: false,
  }) as unknown as Attempt;
async function checkpoint(of: Attempt, epoch: number, bytes = 10) {
  const path = join(dir, `epoch-${String(epoch)}`);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'state'), Buffer.alloc(bytes));
  return { attempt: of, epoch, path, isWhole: false, epochLine: epoch };
}
const written = (what: readonly string[]) =>
  expect.poll(() => writes, { timeout: 15_000, interval: 10 }).toEqual(what);

describe('checkpoints that go into NATS', () => {
  it('take turns in two places, so that one is always whole', async () => {
    const of = attempt();
    const opened = open();
    for (const epoch of [1, 2, 3]) {
      opened.offer(await checkpoint(of, epoch));
      await expect.poll(() => writes.length, { timeout: 15_000, interval: 10 }).toBe(epoch);
    }
    expect(writes).toEqual(['1/1 in 0', '1/2 in 1', '1/3 in 0']);
  });

  it('give way to a newer one of the attempt, and come once in a while', async () => {
    const of = attempt();
    const opened = open({ storeEveryMs: 600_000 });
    let release: (() => void) | null = null;
    onWrite = () => new Promise((resolve) => (release = resolve));
    opened.offer(await checkpoint(of, 1));
    await expect.poll(() => release, { timeout: 15_000 }).not.toBeNull();
    for (const epoch of [2, 3, 4]) opened.offer(await checkpoint(of, epoch));
    onWrite = () => Promise.resolve();
    release!();
    await written(['1/1 in 0']);
    // The newest waits for its time, or for the end.
    opened.offer(await checkpoint(of, 5));
    opened.ended(of, 'the_next_attempt');
    await written(['1/1 in 0', '1/5 in 1']);
  });

  it('are forgotten when the trial will not go on', async () => {
    const of = attempt();
    const opened = open({ storeEveryMs: 600_000 });
    opened.offer(await checkpoint(of, 1));
    await written(['1/1 in 0']);
    opened.offer(await checkpoint(of, 2));
    opened.ended(of, 'nobody');
    await opened.flush(10_000);
    opened.offer(await checkpoint(attempt(2), 3));
    await written(['1/1 in 0', '2/3 in 1']);
  });

  it('wait until NATS has the report of their epoch', async () => {
    const of = attempt(1, 0) as Attempt & { acknowledgedLine: number };
    const opened = open();
    opened.offer(await checkpoint(of, 3));
    opened.offer(await checkpoint(attempt(2), 1));
    await written(['2/1 in 0']);
    of.acknowledgedLine = 3;
    // Another attempt has taken over: it is not put there at all.
    opened.offer(await checkpoint(attempt(3), 4));
    await written(['2/1 in 0', '3/4 in 1']);
  });

  it('that are too large, or find the store full, stay on their box: told once, training goes on', async () => {
    const opened = open();
    opened.offer(await checkpoint(attempt(), 1, 1_001));
    await expect.poll(() => warnings, { timeout: 15_000 }).toEqual([expect.stringContaining('too large')]);
    totalBytes = 9_995;
    const of = attempt(2);
    opened.offer(await checkpoint(of, 2));
    await expect.poll(() => warnings.length, { timeout: 15_000 }).toBe(2);
    expect(warnings[1]).toContain('full');
    expect(writes).toEqual([]);
    totalBytes = 0;
    opened.ended(of, 'the_next_attempt');
    await written(['2/2 in 0']);
    expect(warnings).toHaveLength(2);
  });

  it('are none where the box shall store none', async () => {
    const opened = open({ storeCheckpointBytes: 0 });
    const of = attempt();
    opened.offer(await checkpoint(of, 1));
    opened.ended(of, 'the_next_attempt');
    await opened.flush(5_000);
    expect(writes).toEqual([]);
  });

  it("a program's whole folder is tried again while it is being written to", async () => {
    const of = Object.assign(attempt(), { epoch: 5 });
    const opened = open();
    let isFirst = true;
    onWrite = async () => {
      if (isFirst) await writeFile(join(dir, 'whole', 'more'), 'x');
      isFirst = false;
    };
    await mkdir(join(dir, 'whole'));
    await writeFile(join(dir, 'whole', 'weights'), 'w');
    opened.offer({ attempt: of, epoch: 4, path: join(dir, 'whole'), isWhole: true, epochLine: 4 });
    await written(['1/5 in 0']);
    expect(places[0]).toMatchObject({ folder: '' });
  });
});

describe('a stored checkpoint helps', () => {
  it.each([
    [{ attempt: 1, epoch: 5 }, { epoch: 5, beyond: { epoch: 0 } }, true],
    [{ attempt: 1, epoch: 6 }, { epoch: 5, beyond: { epoch: 0 } }, false],
    [{ attempt: 1, epoch: 3 }, { epoch: 5, beyond: { epoch: 3 } }, false],
    [{ attempt: 1, epoch: 4 }, { epoch: 5, beyond: { epoch: 3 } }, true],
    [{ attempt: 2, epoch: 4 }, { epoch: 5, beyond: { attempt: 1 } }, true],
    [{ attempt: 1, epoch: 4 }, { epoch: 5, beyond: { attempt: 1 } }, false],
    [{ attempt: 1, epoch: 0 }, { epoch: 5, beyond: { epoch: 0 } }, false],
  ])('%o to what wants %o: %s', (stored, wanted, expected) => {
    expect(isUseful(stored, wanted)).toBe(expected);
  });

  it('stores the last one of a trial that is done, if it is small: a person may extend it', async () => {
    const opened = open({ storeCheckpointBytes: 64e6, storeTotalBytes: 1e9, storeEveryMs: 600_000 });
    const small = attempt(1);
    opened.offer(await checkpoint(small, 1));
    await written(['1/1 in 0']);
    opened.offer(await checkpoint(small, 2));
    opened.ended(small, 'a_person');
    await written(['1/1 in 0', '1/2 in 1']);
    const large = attempt(2);
    const held = new Promise<void>((resolve) => {
      onWrite = () => {
        resolve();
        return Promise.resolve();
      };
    });
    opened.offer(await checkpoint(large, 3));
    await held;
    await written(['1/1 in 0', '1/2 in 1', '2/3 in 0']);
    opened.offer(await checkpoint(large, 4, 9e6));
    opened.ended(large, 'a_person');
    await opened.flush(15_000);
    expect(writes).toHaveLength(3);
  });
});
