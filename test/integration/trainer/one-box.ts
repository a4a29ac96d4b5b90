/** One trainer on a nats-server of the file's own, started anew for each test, and what NATS heard of its attempts. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { AttemptEnded, EpochReport } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { identify } from '../../../services/trainer/host/process.js';
import { trainerLayout } from '../../../services/trainer/layout.js';
import { startTrainer, type RunningTrainer, type TrainerOptions } from '../../../services/trainer/index.js';
import { startNats, type TestNats } from '../../support/nats.js';
import {
  connectNats,
  createStreams,
  fakeRunner,
  publishedReports,
  trainerClient,
  trainerPrograms,
} from '../../support/trainer.js';

/** What is there while a test runs. */
interface Box {
  nats: TestNats;
  connection: NatsConnection;
  trainer: RunningTrainer;
  client: ReturnType<typeof trainerClient>;
  /** The trainer's folder, gone after the test. */
  dataDir: string;
}

/** To be called once, in the `describe` of the tests: hooks make and remove it. */
export function useBox() {
  const box = {} as Box;
  let supervisor: string;
  let number = 0;

  const start = async (more: Partial<TrainerOptions> = {}): Promise<void> => {
    box.trainer = await startTrainer({
      natsUrl: box.nats.url,
      trainerId: `box-${String(++number)}`,
      dataDir: box.dataDir,
      slots: { cpu: 1 },
      trainerTtlMs: 2_000,
      lostAfterMs: 20_000,
      stopGraceMs: 500,
      meterPeriodMs: 20,
      logLevel: 'silent',
      runnerCommand: fakeRunner,
      supervisorCommand: [process.execPath, supervisor],
      ...more,
    });
    box.client = trainerClient(box.trainer.grpcAddress);
  };
  const reportsOf = async (trialId: string) =>
    (await publishedReports(box.connection)).filter(({ fact }) => fact?.value.key?.trialId === trialId);
  const epochsOf = async (trialId: string): Promise<EpochReport[]> =>
    (await reportsOf(trialId)).flatMap(({ fact }) => (fact?.$case === 'epoch' ? [fact.value] : []));
  const endOf = async (trialId: string): Promise<AttemptEnded> => {
    let end: AttemptEnded | undefined;
    await expect
      .poll(
        async () => {
          end = (await reportsOf(trialId)).flatMap(({ fact }) =>
            fact?.$case === 'ended' ? [fact.value] : [],
          )[0];
          return end;
        },
        { timeout: 10_000, interval: 30 },
      )
      .toBeDefined();
    return end!;
  };
  const phaseOf = async (trialId: string): Promise<AttemptPhase | undefined> => {
    const listed = await box.client.list();
    if (!('ok' in listed)) throw new Error(listed.message);
    const { attempts } = listed.ok;
    return attempts.find(({ key }) => key?.trialId === trialId)?.phase;
  };
  const running = (trialId: string) =>
    expect.poll(() => phaseOf(trialId), { timeout: 5_000, interval: 20 }).toBe(AttemptPhase.RUNNING);
  const attemptDir = (trialId: string, attempt = 1): string =>
    trainerLayout(box.dataDir, box.trainer.trainerId).attemptDir('ledger-1', {
      sweepId: 'sweep',
      trialId,
      attempt,
    });

  const forkedBy = (trialId: string) =>
    identify(Number(readFileSync(join(attemptDir(trialId), 'work', 'forked.pid'), 'utf8')));

  beforeAll(async () => {
    box.nats = await startNats();
    box.connection = await connectNats(box.nats.url);
    await createStreams(box.connection, 2_000);
    supervisor = (await trainerPrograms()).supervisor;
  });
  afterAll(async () => {
    await box.connection.close();
    await box.nats.stop();
  });
  beforeEach(async () => {
    box.dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    await start();
  });
  afterEach(async () => {
    box.client.close();
    await box.trainer.close({ drain: true });
    await rm(box.dataDir, { recursive: true, force: true });
  });
  return { box, start, reportsOf, epochsOf, endOf, phaseOf, running, attemptDir, forkedBy };
}
