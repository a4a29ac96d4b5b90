/**
 * Restart with a large ledger, on a real nats-server: from the first read to the first decision acknowledged, with the
 * longest tail that a snapshot leaves (a tenth of all events), and without any snapshot.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { LEDGER_SUBJECT } from '../../../proto/subjects.js';
import {
  Committer,
  JetStreamLog,
  ObjectStoreSnapshots,
  type SnapshotOptions,
} from '../../../services/coordinator/ledger/index.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { startNats } from '../../support/nats.js';
import { makeLedger, type LedgerShape } from './ledger.js';

export interface RestartFigures {
  readonly trials: number;
  readonly reports: number;
  readonly ledgerBytes: number;
  readonly snapshotBytes: number;
  /** Writing the snapshot beside other work, and the longest time that the event loop stood still meanwhile. */
  readonly snapshotMs: number;
  readonly longestBlockMs: number;
  /** Events that the restart had to fold behind the snapshot. */
  readonly tailEvents: number;
  readonly restartMs: number;
  /** User CPU of the restart: the wall time of a machine that does nothing else. */
  readonly restartCpuMs: number;
  readonly restartHeapBytes: number;
  /** Folding everything; null when it was not asked for. */
  readonly withoutSnapshotMs: number | null;
}

const SHARE_IN_SNAPSHOT = 0.91;

export async function measureRestart(shape: LedgerShape, alsoWithout = true): Promise<RestartFigures> {
  const nats = await startNats();
  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'restart' });
  try {
    await ensureStreams(link, { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 });
    const reports = shape.trials * shape.reportsEach;
    const first = Math.floor((SHARE_IN_SNAPSHOT * reports) / (shape.reportsAnEntry ?? 200));
    const entries = makeLedger(shape);
    let ledgerBytes = await append(link, entries, first);

    const taken = await takeSnapshot(link);
    ledgerBytes += await append(link, entries, Infinity);

    const store = new ObjectStoreSnapshots(link);
    const [stored] = await store.list();
    const cpu = process.cpuUsage();
    const restart = await lead(link, { store, schema: 'bench', tell: () => undefined });
    const restartCpuMs = process.cpuUsage(cpu).user / 1_000;
    const restartHeapBytes = process.memoryUsage().heapUsed;
    restart.stop();
    const without = alsoWithout ? await lead(link, undefined) : null;
    without?.stop();
    return {
      trials: shape.trials,
      reports,
      ledgerBytes,
      snapshotBytes: stored?.bytes ?? 0,
      ...taken,
      tailEvents: restart.events - (stored?.facts.events ?? 0),
      restartMs: restart.ms,
      restartCpuMs,
      restartHeapBytes,
      withoutSnapshotMs: without?.ms ?? null,
    };
  } finally {
    await link.close();
    await nats.stop();
  }
}

async function append(link: NatsLink, entries: Iterator<Uint8Array>, most: number): Promise<number> {
  let bytes = 0;
  let flying: Promise<unknown>[] = [];
  for (let count = 0; count < most; count += 1) {
    const next = entries.next();
    if (next.done === true) break;
    const value: Uint8Array = next.value;
    bytes += value.length;
    flying.push(link.jetstream.publish(LEDGER_SUBJECT, value, { timeout: 60_000 }));
    if (flying.length < 32) continue;
    await Promise.all(flying);
    flying = [];
  }
  await Promise.all(flying);
  return bytes;
}

interface Led {
  readonly ms: number;
  readonly events: number;
  readonly stop: () => void;
}

/** To the first decision that is acknowledged. */
async function lead(link: NatsLink, snapshots: SnapshotOptions | undefined): Promise<Led> {
  const stop = new AbortController();
  let ids = Math.random();
  const begin = performance.now();
  const committer = await Committer.lead({
    log: new JetStreamLog(link),
    ...(snapshots === undefined ? {} : { snapshots }),
    coordinatorId: 'bench',
    settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
    now: Date.now,
    newId: () => `bench-${(ids += 1)}`,
    signal: stop.signal,
    onEnd: () => undefined,
    onCommitted: () => undefined,
    onRejected: (_input, error) => {
      throw error;
    },
    onRetry: () => undefined,
  });
  const [trainer] = committer.state.trainers.values();
  if (trainer === undefined) throw new Error('the ledger has no trainer');
  // A box comes back with another address: that is an event, and trials get its slots.
  const info = { ...trainer.info, address: `127.0.0.1:${Math.floor(1e4 * Math.random())}` };
  await committer.offer([{ type: 'trainer_seen', trainer: info, at: Date.now() }]);
  const ms = performance.now() - begin;
  return { ms, events: committer.events, stop: () => stop.abort() };
}

/** One is due at once, since the ledger has none. */
async function takeSnapshot(link: NatsLink): Promise<{ snapshotMs: number; longestBlockMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let told: (ms: number) => void = () => undefined;
  const taken = new Promise<number>((resolve, reject) => {
    told = resolve;
    setTimeout(() => reject(new Error('no snapshot was taken')), 300_000).unref();
  });
  const led = await lead(link, {
    store: new ObjectStoreSnapshots(link),
    schema: 'bench',
    everyEvents: 1,
    tell: (word) => {
      if (word.what === 'taken') told(word.ms);
    },
  });
  delay.enable();
  const snapshotMs = await taken;
  delay.disable();
  led.stop();
  return { snapshotMs, longestBlockMs: delay.max / 1e6 };
}
