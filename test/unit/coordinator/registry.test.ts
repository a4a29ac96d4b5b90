import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import {
  initialState,
  newTrainer,
  type Input,
  type State,
} from '../../../services/coordinator/core/index.js';
import { TrainerRegistry } from '../../../services/coordinator/fleet/index.js';
import type { Bucket, BucketChange, BucketEntry } from '../../../services/coordinator/nats/index.js';
import { Process, Scheduler } from '../../simulation/scheduler.js';

const TTL_MS = 120;
const LOST_AFTER_MS = 300;

const record = (trainerId: string, over: Partial<TrainerRecord> = {}): Uint8Array =>
  Buffer.from(
    JSON.stringify(
      TrainerRecord.toJSON({ ...TrainerRecord.fromJSON({}), trainerId, address: 'host:1', ...over }),
    ),
  );

/** A bucket by hand: `put` is a renewal, `expire` says nothing. */
class HandBucket implements Pick<Bucket, 'get' | 'watch'> {
  readonly entries = new Map<string, BucketEntry>();
  reachable = true;
  readonly #changes: BucketChange[] = [];
  #revision = 0;
  #wake: () => void = () => undefined;

  put(key: string, value: Uint8Array): void {
    const entry = { key, value, revision: (this.#revision += 1) };
    this.entries.set(key, entry);
    this.#changes.push({ type: 'put', entry });
    this.#wake();
  }
  /** A renewal that the watch missed. */
  putUnseen(key: string, value: Uint8Array): void {
    this.entries.set(key, { key, value, revision: (this.#revision += 1) });
  }
  leave(key: string): void {
    this.entries.delete(key);
    this.#changes.push({ type: 'removed', key });
    this.#wake();
  }
  get(key: string): Promise<BucketEntry | null> {
    if (!this.reachable) return Promise.reject(new Error('away'));
    return Promise.resolve(this.entries.get(key) ?? null);
  }
  async *watch(signal: AbortSignal): AsyncGenerator<BucketChange> {
    signal.addEventListener('abort', () => this.#wake());
    while (!signal.aborted) {
      const change = this.#changes.shift();
      if (change === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else yield change;
    }
  }
}

let bucket: HandBucket;
let stop: AbortController;
let inputs: string[];
let connected: boolean;
let running: Promise<void>;
let scheduler: Scheduler;

beforeEach(() => {
  scheduler = new Scheduler();
  bucket = new HandBucket();
  stop = new AbortController();
  inputs = [];
  connected = true;
  running = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  let hasEnded = false;
  void running.then(() => (hasEnded = true));
  await settled();
  await scheduler.run(() => hasEnded, Infinity);
});

function start(state: State = initialState()): void {
  const registry = new TrainerRegistry({
    bucket: bucket as unknown as Bucket,
    ttlMs: TTL_MS,
    lostAfterMs: LOST_AFTER_MS,
    connected: () => connected,
    now: () => 0,
    offer: (input: Input) => inputs.push(`${input.type} ${idOf(input)}`),
    log: pino({ level: 'silent' }),
    clock: new Process(scheduler).clock,
  });
  running = registry.run(state, stop.signal);
}

const idOf = (input: Input): string =>
  input.type === 'trainer_seen' ? input.trainer.trainerId : 'trainerId' in input ? input.trainerId : '';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Virtual time: what happens meanwhile does not depend on the machine. */
async function wait(ms: number): Promise<void> {
  await settled();
  let isOver = false;
  scheduler.after(ms, () => (isOver = true));
  await scheduler.run(() => isOver, Infinity);
}

/** Renews as a trainer does. */
async function renew(ms: number, ...ids: readonly string[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 30) {
    for (const id of ids) bucket.put(id, record(id));
    await wait(30);
  }
}

describe('the registry of trainers', () => {
  test('tells of a trainer when it comes and when its record changes, not when it renews', async () => {
    start();
    await renew(200, 'a');
    bucket.put('a', record('a', { draining: true }));
    await wait(20);
    expect(inputs).toEqual(['trainer_seen a', 'trainer_seen a']);
  });

  test('calls a trainer silent after the TTL, gone after lost_after, and sees it when it comes back', async () => {
    start();
    bucket.put('a', record('a'));
    bucket.entries.clear();
    await wait(LOST_AFTER_MS + 200);
    expect(inputs).toEqual(['trainer_seen a', 'trainer_silent a', 'trainer_gone a']);
    bucket.put('a', record('a'));
    await wait(20);
    expect(inputs.at(-1)).toBe('trainer_seen a');
  });

  test('sees a silent trainer again although its record is the same', async () => {
    start();
    bucket.put('a', record('a'));
    bucket.entries.clear();
    await wait(TTL_MS + 80);
    await renew(60, 'a');
    expect(inputs).toEqual(['trainer_seen a', 'trainer_silent a', 'trainer_seen a']);
  });

  test('takes a removed record for a goodbye', async () => {
    start();
    bucket.put('a', record('a'));
    await wait(10);
    bucket.leave('a');
    await wait(20);
    expect(inputs).toEqual(['trainer_seen a', 'trainer_silent a']);
  });

  test('accuses nobody while the connection is away, nor when renewals only went unseen', async () => {
    start();
    bucket.put('a', record('a'));
    await wait(10);
    connected = false;
    bucket.entries.clear();
    await wait(LOST_AFTER_MS + 100);
    bucket.putUnseen('a', record('a'));
    connected = true;
    await wait(TTL_MS + 60);
    bucket.putUnseen('a', record('a'));
    await wait(TTL_MS);
    expect(inputs).toEqual(['trainer_seen a']);
  });

  test('learns from the bucket what the watch missed', async () => {
    start();
    bucket.put('a', record('a'));
    await wait(10);
    bucket.putUnseen('a', record('a', { draining: true }));
    await wait(TTL_MS + 100);
    expect(inputs).toEqual(['trainer_seen a', 'trainer_seen a']);
  });

  test('accuses nobody when the bucket does not answer', async () => {
    start();
    bucket.put('a', record('a'));
    bucket.reachable = false;
    await wait(LOST_AFTER_MS + 100);
    expect(inputs).toEqual(['trainer_seen a']);
  });

  test('waits for trainers of an earlier term as for any other', async () => {
    const state = initialState();
    const info = {
      trainerId: 'old',
      instanceId: '',
      address: '',
      slots: [],
      recipes: [],
      labels: {},
      powerMethod: '',
      draining: false,
    };
    state.trainers.set('old', newTrainer(info));
    state.trainers.set('lost', { ...newTrainer({ ...info, trainerId: 'lost' }), status: 'lost' });
    start(state);
    await wait(LOST_AFTER_MS + 200);
    expect(inputs).toEqual(['trainer_silent old', 'trainer_gone old']);
  });

  test('ignores records that cannot be read or stand under another name', async () => {
    start();
    bucket.put('a', Buffer.from('{'));
    bucket.put('b', record('c'));
    bucket.put('d', record('d', { address: '' }));
    await wait(20);
    expect(inputs).toEqual([]);
  });
});
