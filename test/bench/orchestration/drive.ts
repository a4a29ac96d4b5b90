/**
 * A whole sweep through the coordinator's own path without its edges: reports as the bytes that trainers publish, the
 * feed, the core, the group commit and its bytes. Only NATS and the trainers are played; one trainer gives each running
 * attempt's next report in turn.
 */
import { pino } from 'pino';
import { AttemptEndClass, type AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { ReportBatch, type Energy, type Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import type { Action, SweepSpec } from '../../../services/coordinator/core/index.js';
import { feedReports } from '../../../services/coordinator/fleet/reports.js';
import {
  Committer,
  type LedgerLog,
  type SnapshotOptions,
} from '../../../services/coordinator/ledger/index.js';
import { randomOf } from '../../simulation/random.js';
import { sweepSpec, trainer } from '../../support/core.js';

/** ASHA with rungs at 5, 15 and 45 epochs: about 12 reports a trial. */
export const ashaSpec = (method: 'grid' | 'random', trials: number): SweepSpec =>
  sweepSpec({
    maxEpochs: 45,
    sweep: [
      {
        name: 'x',
        domain: {
          kind: 'range',
          min: 0,
          max: 1,
          scale: 'linear',
          integer: false,
          // To draw each of n values once takes some ln(n) draws a value: that is no cost of trials.
          count: method === 'grid' ? trials : null,
        },
      },
    ],
    search: method === 'grid' ? { method } : { method, trials, caseWeights: [1] },
    stopping: {
      rule: 'asha',
      firstRung: 5,
      eta: 3,
      window: 1,
      compareWithin: [],
      brackets: 1,
      version: 2,
    },
  });

/** A log that forgets: memory is the coordinator's own. */
export const forgetfulLog = (): LedgerLog & { bytes: number } => {
  let lastSeq = 0;
  return {
    bytes: 0,
    maxEntryBytes: 1_047_552,
    interruptions: 0,
    entryAt: () => Promise.resolve(null),
    look: () => Promise.resolve({ madeAt: 'once', lastSeq }),
    async *read() {
      // Nothing is kept.
    },
    append(_appendId, data) {
      this.bytes += data.length;
      return Promise.resolve({ ok: true, seq: (lastSeq += 1) });
    },
  };
};

export interface Progress {
  readonly reports: number;
  readonly trialsEnded: number;
}

export interface DriveOptions {
  readonly log: LedgerLog;
  readonly spec: SweepSpec;
  readonly slots: number;
  /** @default none are taken */
  readonly snapshots?: SnapshotOptions;
  /** Ends the drive early, the sweep under way. @default never */
  readonly enough?: (progress: Progress) => boolean;
  /** Called after each message is in the ledger. */
  readonly onProgress?: (progress: Progress) => void;
}

interface Running {
  readonly key: AttemptKey;
  epoch: number;
  isStopped: boolean;
}

const METERED: Energy = {
  joules: 1234.5,
  meanWatts: 98.7,
  method: 'nvml-counter',
  absentReason: '',
};

/** Runs the sweep to its end, or until it is enough. Returns the writer, whose state is the coordinator's. */
export async function drive({
  log,
  spec,
  slots,
  snapshots,
  enough,
  onProgress,
}: DriveOptions): Promise<Committer> {
  const random = randomOf(1, 'orchestration');
  const running = new Map<string, Running>();
  let ids = 0;
  let reports = 0;
  let trialsEnded = 0;
  const act = (action: Action): void => {
    if (action.type === 'list_attempts') return;
    const { sweepId, trialId, attempt, termId = '' } = action;
    if (action.type === 'start_attempt')
      running.set(trialId, { key: { sweepId, trialId, attempt, termId }, epoch: 0, isStopped: false });
    else {
      const stopped = running.get(trialId);
      if (stopped !== undefined) stopped.isStopped = true;
    }
  };
  const over = new AbortController();
  const committer = await Committer.lead({
    log,
    ...(snapshots === undefined ? {} : { snapshots }),
    coordinatorId: 'bench',
    settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
    now: Date.now,
    newId: () => `bench-${String((ids += 1))}-${String(process.pid)}`,
    signal: over.signal,
    onEnd: (error) => {
      throw error;
    },
    onCommitted: (_events, actions) => actions.forEach(act),
    onRejected: (_input, error) => {
      throw error;
    },
    onRetry: () => undefined,
  });
  await committer.offer([
    { type: 'trainer_seen', trainer: trainer('box', slots, { knowsTermIds: true }), at: Date.now() },
  ]);
  await committer.offer([
    { type: 'submit', sweepId: 'bench', spec, source: '', requestId: '', at: Date.now() },
  ]);

  function* next(): Generator<Report> {
    for (const [trialId, attempt] of [...running]) {
      const { key } = attempt;
      const atUnixMs = Date.now();
      if (attempt.isStopped || attempt.epoch === spec.maxEpochs) {
        running.delete(trialId);
        trialsEnded += 1;
        const end = attempt.isStopped ? AttemptEndClass.STOPPED : AttemptEndClass.COMPLETED;
        const value = { key, class: end, code: '', message: '', seconds: 1, energy: METERED, atUnixMs };
        yield { spoolLine: attempt.epoch + 1, fact: { $case: 'ended', value } };
        continue;
      }
      attempt.epoch += 1;
      reports += 1;
      const value = {
        key,
        epoch: attempt.epoch,
        step: attempt.epoch * 391,
        metrics: { val_accuracy: random.next(), val_loss: random.next(), accuracy: random.next() },
        trainSeconds: 20.1,
        evaluationSeconds: 1.9,
        dataWaitSeconds: 0.1,
        samplesPerSecond: 2500,
        trainEnergy: METERED,
        evaluationEnergy: METERED,
        gpuUtilization: 0.9,
        atUnixMs,
      };
      yield { spoolLine: attempt.epoch, fact: { $case: 'epoch', value } };
    }
  }
  const fed = new AbortController();
  async function* consume() {
    for (let seq = 1; running.size > 0; seq++) {
      // One report of each slot: a stop is known before the next.
      const batch = [...next()];
      const data = ReportBatch.encode({ trainerId: 'box', reports: batch }).finish();
      yield { seq, subject: '', storedAtMs: seq, data };
      await committer.acknowledged();
      const progress = { reports, trialsEnded };
      onProgress?.(progress);
      if (enough?.(progress) === true) break;
    }
    // The feed would wait for more.
    fed.abort();
  }
  const link = {
    bounds: () => Promise.resolve({ firstSeq: 1, lastSeq: 0, bytes: 0 }),
    purgeBelow: () => Promise.resolve(),
    messageAt: () => Promise.resolve(null),
    consume,
  };
  const feed = {
    link,
    sink: committer,
    now: Date.now,
    log: pino({ level: 'error' }),
    onConsumed: () => undefined,
  };
  await feedReports(feed, fed.signal, () => undefined);
  await committer.acknowledged();
  return committer;
}
