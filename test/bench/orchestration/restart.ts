/**
 * How long a coordinator needs with a large ledger before it decides: from the start of its process to the answer that a
 * new sweep is in the ledger. The ledger has the snapshots that its writer took on the way, and the tail that came after
 * the last of them; once more without them, as after an upgrade.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsServerPath, projectRoot } from '../../../setup/locate.mjs';
import { startNatsServer } from '../../../cli/nats/server.js';
import { JetStreamLog, ObjectStoreSnapshots, schemaOf } from '../../../services/coordinator/ledger/index.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { sweepSpec } from '../../support/core.js';
import { drive } from './drive.js';
import { Stack } from './stack.js';

export interface Restart {
  readonly trials: number;
  readonly reports: number;
  readonly ledgerBytes: number;
  /** Events after the last snapshot, of all. */
  readonly tailEvents: number;
  readonly events: number;
  /** One restart after the other. */
  readonly seconds: readonly number[];
  /** Processor seconds of the last of them until then: what a busy machine does not change. */
  readonly processorSeconds: number;
  readonly residentBytes: number;
  /** Without a snapshot that it can read. */
  readonly whole: Start;
}

interface Start {
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly residentBytes: number;
}

const REPORTS_A_TRIAL = 100;
/** So many reports stand in an entry, as under load. */
const SLOTS = 100;
const SMALL_SWEEP = `name: after
recipe: resnet-cifar10
objective: { metric: val_accuracy, goal: maximize }
max_epochs: 1
sweep: { batch_size: [32] }
`;

export async function measureRestart(trials: number, restarts: number): Promise<Restart> {
  const dataDir = mkdtempSync(join(tmpdir(), 'wattsweep-bench-'));
  try {
    const written = await writeLedger(dataDir, trials);
    const starts: Start[] = [];
    for (let i = 0; i < restarts; i++) starts.push(await startAndDecide(dataDir));
    await withNats(dataDir, (link) => new ObjectStoreSnapshots(link).keepOnly(new Set()));
    const whole = await startAndDecide(dataDir);
    return {
      trials,
      ...written,
      seconds: starts.map(({ seconds }) => seconds),
      processorSeconds: starts.at(-1)?.processorSeconds ?? NaN,
      residentBytes: Math.max(...starts.map(({ residentBytes }) => residentBytes)),
      whole,
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function withNats<T>(dataDir: string, use: (link: NatsLink) => Promise<T>): Promise<T> {
  const binary = natsServerPath();
  if (binary === null) throw new Error('nats-server is not set up');
  const { child, port } = await startNatsServer({ binary, host: '127.0.0.1', port: 0, dataDir, token: null });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  try {
    const url = `nats://127.0.0.1:${String(port)}`;
    const link = await NatsLink.connect({ url, token: null, name: 'bench' });
    const result = await use(link);
    await link.close();
    return result;
  } finally {
    child.kill('SIGTERM');
    await gone;
  }
}

/** As the coordinator from `dist/` names it, so that it reads what is written here. */
function schema(): string {
  const manifest = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return schemaOf(manifest.version);
}

/** A sweep of so many trials, all reported to their ends but the last ones, in a ledger on a real server. */
function writeLedger(
  dataDir: string,
  trials: number,
): Promise<Pick<Restart, 'reports' | 'ledgerBytes' | 'events' | 'tailEvents'>> {
  return withNats(dataDir, async (link) => {
    await ensureStreams(link, { leaseTtlMs: 10_000, trainerTtlMs: 10_000, replicas: 1 });
    const written = new JetStreamLog(link);
    const store = new ObjectStoreSnapshots(link);
    let ledgerBytes = 0;
    let reports = 0;
    const { events } = await drive({
      log: {
        maxEntryBytes: written.maxEntryBytes,
        interruptions: 0,
        entryAt: (seq) => written.entryAt(seq),
        look: () => written.look(),
        read: (from) => written.read(from),
        append: (id, data, expected) => {
          ledgerBytes += data.length;
          return written.append(id, data, expected);
        },
      },
      snapshots: {
        store,
        schema: schema(),
        tell: (word) => {
          if (word.what === 'failed') throw new Error('a snapshot failed', { cause: word.error });
        },
      },
      spec: sweepSpec({
        maxEpochs: REPORTS_A_TRIAL,
        sweep: [
          {
            name: 'x',
            // A few more, so that the sweep still runs when the ledger is taken up.
            domain: { kind: 'range', min: 0, max: 1, scale: 'linear', integer: false, count: trials + SLOTS },
          },
        ],
      }),
      slots: SLOTS,
      enough: (progress) => {
        reports = progress.reports;
        return progress.trialsEnded >= trials;
      },
    });
    const held = Math.max(0, ...(await store.list()).map(({ facts }) => facts.events));
    return { reports, ledgerBytes, events, tailEvents: events - held };
  });
}

async function startAndDecide(dataDir: string): Promise<Start> {
  const stack = await Stack.start({ slots: 0, dataDir });
  try {
    const begin = performance.now();
    await stack.startCoordinator();
    const requestId = randomUUID();
    for (;;) {
      try {
        await stack.api.submit({ yaml: SMALL_SWEEP, overrides: [], requestId });
        break;
      } catch (error) {
        // Not leading yet.
        if (performance.now() - begin > 120_000) throw error;
        await sleep(5);
      }
    }
    return {
      seconds: (performance.now() - begin) / 1_000,
      processorSeconds: stack.processorSeconds('coordinator'),
      residentBytes: stack.residentBytes('coordinator'),
    };
  } finally {
    await stack.stop();
  }
}
