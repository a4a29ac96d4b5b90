/** The writer takes snapshots, and the next one begins with them. */
import { describe, expect, test } from 'vitest';
import {
  Committer,
  loadLedger,
  type LedgerLog,
  type SnapshotWord,
} from '../../../services/coordinator/ledger/index.js';
import { MemoryLog } from '../../../services/coordinator/ledger/memory.js';
import {
  MemorySnapshots,
  type SnapshotOptions,
} from '../../../services/coordinator/ledger/snapshot/index.js';
import { freeze, submit } from '../../support/core.js';

class Scene {
  readonly log = new CountingLog();
  readonly words: SnapshotWord[] = [];
  readonly store = new CountingSnapshots();

  options(over: Partial<SnapshotOptions> = {}): SnapshotOptions {
    return {
      store: this.store,
      schema: 'mine',
      everyEvents: 5,
      tell: (word) => this.words.push(word),
      ...over,
    };
  }

  /** A term in which sweeps are submitted one after another. */
  async term(
    id: string,
    sweeps: readonly string[],
    options = this.options(),
    log: LedgerLog = this.log,
  ): Promise<Committer> {
    let ids = 0;
    const stop = new AbortController();
    const committer = await Committer.lead({
      log,
      snapshots: options,
      coordinatorId: id,
      settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
      now: () => 10,
      newId: () => `${id}-${(ids += 1)}`,
      signal: stop.signal,
      onEnd: () => undefined,
      onCommitted: () => undefined,
      onRejected: () => undefined,
      onRetry: () => undefined,
    });
    for (const sweepId of sweeps) {
      await committer.offer([submit(sweepId)]);
      await this.written();
    }
    await this.settled();
    stop.abort();
    return committer;
  }

  /** Until each snapshot that was begun is there: they are written beside the loop. */
  async written(): Promise<void> {
    while (this.store.begun > this.words.filter(({ what }) => what !== 'skipped').length) await pause();
  }

  /** Until nothing has been said of snapshots for a while, either. */
  async settled(): Promise<void> {
    await this.written();
    for (let quiet = 0, said = -1; quiet < 3; said = this.words.length) {
      await pause();
      quiet = said === this.words.length ? quiet + 1 : 0;
    }
  }

  taken(): number[] {
    return this.words.flatMap((word) => (word.what === 'taken' ? [word.seq] : []));
  }

  skipped(): string[] {
    return this.words.flatMap((word) => (word.what === 'skipped' ? [word.why] : []));
  }
}

class CountingSnapshots extends MemorySnapshots {
  begun = 0;
  override create(): ReturnType<MemorySnapshots['create']> {
    this.begun += 1;
    return super.create();
  }
}

class CountingLog extends MemoryLog {
  reads: number[] = [];
  override read(fromSeq: number): ReturnType<MemoryLog['read']> {
    this.reads.push(fromSeq);
    return super.read(fromSeq);
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 15));
const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const sweepsOf = (committer: Committer): number => committer.state.sweeps.size;

describe('snapshots of the ledger', () => {
  test('are taken every so many events, and two are kept', async () => {
    const scene = new Scene();
    await scene.term('one', names('a', 24));
    expect(scene.taken().length).toBeGreaterThan(2);
    const kept = (await scene.store.list()).map(({ facts }) => facts.seq);
    expect(kept).toEqual(scene.taken().slice(-2));
  });

  test('spare the next term the entries that are in them', async () => {
    const scene = new Scene();
    await scene.term('one', names('a', 24));
    scene.log.reads = [];
    const two = await scene.term('two', []);
    expect(scene.log.reads).toEqual([scene.taken().at(-1)]);
    expect(sweepsOf(two)).toBe(24);
    expect(freeze((await loadLedger(scene.log)).state)).toBe(freeze(two.state));
  });

  test('hold no decision that is not in the ledger, also when much is on its way', async () => {
    const scene = new Scene();
    const committer = await scene.term('one', []);
    expect(sweepsOf(committer)).toBe(0);
    let ids = 0;
    const stop = new AbortController();
    const busy = await Committer.lead({
      log: scene.log,
      snapshots: scene.options({ everyEvents: 3 }),
      coordinatorId: 'busy',
      settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
      now: () => 10,
      newId: () => `busy-${(ids += 1)}`,
      signal: stop.signal,
      onEnd: () => undefined,
      onCommitted: () => undefined,
      onRejected: () => undefined,
      onRetry: () => undefined,
    });
    const offers: Promise<void>[] = [];
    for (const [i, name] of names('a', 60).entries()) {
      offers.push(busy.offer([submit(name)], { seq: i, storedAtMs: null }));
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(offers);
    await scene.settled();
    for (const { facts } of await scene.store.list()) {
      const direct = await loadLedger(scene.log);
      const through = await loadLedger(scene.log, scene.options({ tell: () => undefined }));
      expect(through.eventsInSnapshot).toBeGreaterThan(0);
      expect(freeze(through.state)).toBe(freeze(direct.state));
      expect({ ...through, state: 0, eventsInSnapshot: 0 }).toEqual({
        ...direct,
        state: 0,
        eventsInSnapshot: 0,
      });
      await scene.store.keepOnly(
        new Set(
          (await scene.store.list())
            .map(({ name }) => name)
            .filter((name) => !name.endsWith(String(facts.seq))),
        ),
      );
    }
    stop.abort();
  });

  test('that were damaged are passed over for the one before, and that for the whole ledger', async () => {
    const scene = new Scene();
    await scene.term('one', names('a', 24));
    const stored = (await scene.store.list()).toSorted((a, b) => b.facts.seq - a.facts.seq);
    const newest = (await scene.store.read(stored[0]!))!;
    newest[newest.length >> 1]! ^= 1;
    scene.log.reads = [];
    expect(sweepsOf(await scene.term('two', []))).toBe(24);
    expect(scene.log.reads).toEqual([stored[1]!.facts.seq]);
    expect(scene.skipped()).toEqual([expect.stringContaining('checksum')]);
    const other = (await scene.store.read(stored[1]!))!;
    other[0]! ^= 1;
    scene.log.reads = [];
    expect(sweepsOf(await scene.term('three', []))).toBe(24);
    expect(scene.log.reads).toEqual([1]);
  });

  test('of another version are passed over with a word, and are replaced in time', async () => {
    const scene = new Scene();
    await scene.term('one', names('a', 24), scene.options({ schema: 'theirs' }));
    expect(sweepsOf(await scene.term('two', names('b', 24)))).toBe(48);
    expect(scene.skipped()[0]).toMatch(/another version wrote it \(theirs/);
    expect((await scene.store.list()).every(({ facts }) => facts.schema === 'mine')).toBe(true);
  });

  test('of another ledger, or of one that is no longer there, are passed over', async () => {
    const scene = new Scene();
    await scene.term('one', names('a', 24));
    const longer = new MemoryLog();
    await scene.term('other', names('b', 40), scene.options({ store: new MemorySnapshots() }), longer);
    expect(sweepsOf(await scene.term('two', [], scene.options(), longer))).toBe(40);
    expect(sweepsOf(await scene.term('three', ['x'], scene.options(), new MemoryLog()))).toBe(1);
    expect(scene.skipped()).toHaveLength(4);
  });

  test('that cannot be written cost nothing', async () => {
    const scene = new Scene();
    const broken = new MemorySnapshots().create();
    broken.write = () => Promise.reject(new Error('no room'));
    scene.store.create = () => broken;
    const committer = await scene.term('one', names('a', 24));
    expect(sweepsOf(committer)).toBe(24);
    expect(scene.words.map(({ what }) => what)).toContain('failed');
  });
});
