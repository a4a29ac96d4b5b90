/**
 * How long a coordinator needs with a large ledger before it decides: from the start of its process to the answer that a
 * new sweep is in the ledger.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsServerPath } from '../../../setup/locate.mjs';
import { startNatsServer } from '../../../cli/nats/server.js';
import { JetStreamLog } from '../../../services/coordinator/ledger/index.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { sweepSpec } from '../../support/core.js';
import { drive } from './drive.js';
import { Stack } from './stack.js';

export interface Restart {
  readonly trials: number;
  readonly reports: number;
  readonly ledgerBytes: number;
  /** Of the first coordinator that met the ledger, and of those that followed it. */
  readonly firstSeconds: number;
  readonly laterSeconds: readonly number[];
  /** Processor seconds of the last of them until then: what a busy machine does not change. */
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
    const { reports, ledgerBytes } = await writeLedger(dataDir, trials);
    const seconds: number[] = [];
    let residentBytes = 0;
    let processorSeconds = 0;
    for (let i = 0; i <= restarts; i++) {
      const { took, resident, processor } = await startAndDecide(dataDir);
      seconds.push(took);
      processorSeconds = processor;
      residentBytes = Math.max(residentBytes, resident);
    }
    const [firstSeconds = NaN, ...laterSeconds] = seconds;
    return { trials, reports, ledgerBytes, firstSeconds, laterSeconds, processorSeconds, residentBytes };
  } finally {
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A sweep of so many trials, all reported to their ends but the last ones, in a ledger on a real server. */
async function writeLedger(
  dataDir: string,
  trials: number,
): Promise<{ reports: number; ledgerBytes: number }> {
  const binary = natsServerPath();
  if (binary === null) throw new Error('nats-server is not set up');
  const { child, port } = await startNatsServer({ binary, host: '127.0.0.1', port: 0, dataDir, token: null });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  try {
    const link = await NatsLink.connect({
      url: `nats://127.0.0.1:${String(port)}`,
      token: null,
      name: 'bench',
    });
    await ensureStreams(link, { leaseTtlMs: 10_000, trainerTtlMs: 10_000, replicas: 1 });
    const written = new JetStreamLog(link);
    let ledgerBytes = 0;
    let reports = 0;
    await drive({
      log: {
        maxEntryBytes: written.maxEntryBytes,
        read: (from) => written.read(from),
        append: (id, data, expected) => {
          ledgerBytes += data.length;
          return written.append(id, data, expected);
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
    await link.close();
    return { reports, ledgerBytes };
  } finally {
    child.kill('SIGTERM');
    await gone;
  }
}

async function startAndDecide(
  dataDir: string,
): Promise<{ readonly took: number; readonly resident: number; readonly processor: number }> {
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
      took: (performance.now() - begin) / 1_000,
      resident: stack.residentBytes('coordinator'),
      processor: stack.processorSeconds('coordinator'),
    };
  } finally {
    await stack.stop();
  }
}
