/** A box and its disk vanish: its trial goes on elsewhere, from the checkpoint that lies in NATS. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StopMode } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { CHECKPOINTS_BUCKET } from '../../../proto/subjects.js';
import type { RunningCoordinator } from '../../../services/coordinator/index.js';
import { buildFakeNvml, type FakeNvml } from '../../support/fake-nvml.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { spooled } from '../../support/spool.js';
import {
  connectNats,
  fakeRunner,
  publishedReports,
  startServiceProcess,
  terminate,
  trainerClient,
  trainerPrograms,
  type ServiceProcess,
} from '../../support/trainer.js';
import { Client, startLeader, until } from '../coordinator/world.js';

const WATTS = 100;
const CHECKPOINT_BYTES = 300_000;
const EPOCHS = 400;
const STREAM = `OBJ_${CHECKPOINTS_BUCKET}`;

describe('a trial whose box is gone', () => {
  let nats: TestNats;
  let connection: NatsConnection;
  let nvml: FakeNvml;
  let coordinator: RunningCoordinator;
  let client: Client;
  const boxes = new Map<string, { readonly service: ServiceProcess; readonly dataDir: string }>();

  beforeEach(async () => {
    nats = await startNats();
    connection = await connectNats(nats.url);
    nvml = await buildFakeNvml({ gpus: 1, watts: [WATTS] });
    coordinator = await startLeader(nats.url, { forgetCheckpointsMs: 200 });
    client = new Client(coordinator.grpcAddress);
  });
  afterEach(async () => {
    client.close();
    for (const { service, dataDir } of boxes.values()) {
      await terminate(service.child);
      for (const pid of processesOf(dataDir)) kill(pid);
      await rm(dataDir, { recursive: true, force: true });
    }
    boxes.clear();
    await coordinator.close();
    await connection.close();
    await nats.stop();
    await nvml.remove();
  });

  const startBox = async (trainerId: string, parameters: object, more: object = {}): Promise<void> => {
    const dataDir = await mkdtemp(join(tmpdir(), `wattsweep-${trainerId}-`));
    const { supervisor } = await trainerPrograms();
    const service = await startServiceProcess(
      {
        natsUrl: nats.url,
        trainerId,
        dataDir,
        trainerTtlMs: 1_000,
        lostAfterMs: 20_000,
        stopGraceMs: 500,
        meterPeriodMs: 20,
        logLevel: 'debug',
        runnerCommand: fakeRunner,
        supervisorCommand: [process.execPath, supervisor],
        // The first checkpoint only: what is trained after it is trained again.
        storeEveryMs: 600_000,
        ...more,
      },
      { ...nvml.env, FAKE_RUNNER_PARAMETERS: JSON.stringify(parameters) },
    );
    boxes.set(trainerId, { service, dataDir });
  };
  /** Kills every process of the box and removes its disk. */
  const vanish = async (trainerId: string): Promise<void> => {
    const box = boxes.get(trainerId)!;
    const pids = processesOf(box.dataDir);
    await box.service.kill();
    for (const pid of pids) kill(pid);
    await rm(box.dataDir, { recursive: true, force: true });
    boxes.delete(trainerId);
  };
  const stored = async () => {
    const { streams } = await connection.jetstreamManager();
    const filter = `$O.${CHECKPOINTS_BUCKET}.M.>`;
    const { state } = await streams.info(STREAM, { subjects_filter: filter });
    const infos = Object.keys(state.subjects ?? {}).map(async (subject) => {
      const { data } = await streams.getMessage(STREAM, { last_by_subj: subject });
      const { size, metadata } = JSON.parse(Buffer.from(data).toString()) as {
        size: number;
        metadata: { epoch: string };
      };
      return { size, epoch: Number(metadata.epoch) };
    });
    return Promise.all(infos);
  };
  const submit = (maxEpochs: number) =>
    client.submit(
      [
        'name: elsewhere',
        'recipe: resnet-cifar10',
        'objective: { metric: val_accuracy }',
        `max_epochs: ${maxEpochs}`,
        'sweep: { batch_size: [32] }',
      ].join('\n'),
    );
  const trialOf = async () => (await client.sweep()).trials[0];
  const startedAt = async (): Promise<(number | undefined)[]> =>
    (await publishedReports(connection)).flatMap(({ fact }) =>
      fact?.$case === 'started' ? [fact.value.resumedEpoch] : [],
    );

  it('resumes on another box from the stored checkpoint; what is trained again is booked as wasted', async () => {
    await startBox('first', { checkpoints: CHECKPOINT_BYTES, epochMs: 150 });
    // Longer than any machine stalls: the box is gone before the trial is done.
    await submit(EPOCHS);
    await until(async () => (await stored()).length > 0, 60_000);
    const [checkpoint] = await stored();
    expect(checkpoint!.size).toBeGreaterThan(CHECKPOINT_BYTES);
    const { epoch } = checkpoint!;
    await until(async () => ((await trialOf())?.epoch ?? 0) >= epoch + 3, 60_000);
    await vanish('first');
    const before = (await trialOf())!.epoch;

    await startBox('second', { epochMs: 4, checkpoints: 1_000 });
    await until(async () => (await client.sweep()).sweep?.trialsByState['succeeded'] === 1, 60_000);
    expect(await startedAt()).toEqual([0, epoch]);
    expect(await trialOf()).toMatchObject({ trainerId: 'second', attempts: 2, epoch: EPOCHS });

    const { reportJson } = await client.call<{ reportJson: string }>((raw, metadata, done) =>
      raw.getReport({ sweepId: '' }, metadata, done),
    );
    const report = JSON.parse(reportJson) as {
      trials: { joules: number; wastedJoules: number; curve: { epochs: number[]; joules: number[] } }[];
    };
    const [trial] = report.trials;
    expect(trial!.curve.epochs).toEqual(Array.from({ length: EPOCHS }, (_unused, index) => index + 1));
    // At least the watts of the epochs that were trained twice, each of 0.004 s.
    expect(trial!.wastedJoules).toBeGreaterThan((before - epoch) * 0.004 * WATTS * 0.9);
    // A small one outlives the end, and the box: a person may extend the sweep.
    await until(async () => (await stored()).some(({ epoch: at }) => at === EPOCHS), 60_000);
    await vanish('second');
    const { sweepId } = (await client.sweep()).sweep!;
    await client.call((raw, metadata, done) =>
      raw.extendSweep(
        { sweepId, yaml: '', overrides: [], trials: undefined, repeats: undefined, maxEpochs: EPOCHS + 2 },
        metadata,
        done,
      ),
    );
    await startBox('third', { epochMs: 4 });
    await until(async () => (await trialOf())?.epoch === EPOCHS + 2, 60_000);
    expect((await startedAt()).at(-1)).toBe(EPOCHS);
    await until(async () => (await client.sweep()).sweep?.trialsByState['succeeded'] === 1, 60_000);
    // Forgotten once the sweep is deleted, chunks too.
    await client.call((raw, metadata, done) => raw.deleteSweep({ sweepId, force: false }, metadata, done));
    await until(async () => (await stored()).length === 0, 15_000);
    const { streams } = await connection.jetstreamManager();
    await until(async () => (await streams.info(STREAM)).state.messages === 0);
  });

  it('a drained box puts its checkpoint into NATS before it leaves; the other one loses no epoch', async () => {
    await startBox('first', { epochMs: 60 });
    await submit(5_000);
    await until(async () => ((await trialOf())?.epoch ?? 0) >= 3, 60_000);
    const { service, dataDir } = boxes.get('first')!;
    await terminate(service.child);
    await rm(dataDir, { recursive: true, force: true });
    const trained = (await publishedReports(connection)).flatMap(({ fact }) =>
      fact?.$case === 'epoch' ? [fact.value.epoch] : [],
    );
    await startBox('second', { epochMs: 10 });
    await until(async () => (await startedAt()).length === 2, 90_000);
    expect((await startedAt()).at(-1)).toBe(Math.max(...trained));
  });

  it('an attempt that is stopped while it waits for its checkpoint ends at once', async () => {
    await startBox('first', {});
    const box = trainerClient(boxes.get('first')!.service.grpcAddress);
    const key = { sweepId: 'sweep', trialId: 't9', attempt: 2, termId: '' };
    nats.process.kill('SIGSTOP');
    expect(await box.start('t9', { epochs: 3 }, { key, slotId: 'gpu0', resumeFrom: '1/4' })).toHaveProperty(
      'ok',
    );
    expect(await box.stop('t9', StopMode.CANCEL, { attempt: 2 })).toEqual({ ok: { wasRunning: true } });
    expect(
      await box.start('t10', { epochs: 1 }, { key: { ...key, trialId: 't10' }, slotId: 'gpu0' }),
    ).toHaveProperty('ok');
    nats.process.kill('SIGCONT');
    await until(
      async () =>
        (await publishedReports(connection)).some(
          ({ fact }) =>
            fact?.$case === 'ended' && fact.value.message.includes('waited for its checkpoint, or'),
        ),
      60_000,
    );
    box.close();
  });
});

/** Supervisors and runners of a box. */
function processesOf(dataDir: string): number[] {
  const root = join(dataDir, 'trainers');
  if (!existsSync(root)) return [];
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name));
  const supervisors = paths
    .filter((path) => path.endsWith('slot.json'))
    .map((path) => (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid);
  const runners = paths
    .filter((path) => /~[^/]+\.jsonl$/.test(path))
    .flatMap((path) => spooled(path.slice(0, -'.jsonl'.length), 'run').map(({ pid }) => pid));
  return [...supervisors, ...runners].filter((pid) => pid > 0);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}
