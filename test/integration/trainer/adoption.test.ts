import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, StopMode } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isAlive } from '../../../services/trainer/host/process.js';
import { trainerLayout } from '../../../services/trainer/layout.js';
import { buildFakeNvml } from '../../support/fake-nvml.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { runnerOf, spooled } from '../../support/spool.js';
import {
  connectNats,
  createStreams,
  fakeRunner,
  publishedReports,
  startServiceProcess,
  trainerClient,
  trainerPrograms,
  type ServiceProcess,
  terminate,
} from '../../support/trainer.js';

const TTL_MS = 800;

describe('attempts outlive what is around them', () => {
  let nats: TestNats;
  let connection: NatsConnection;
  let dataDir: string;
  let service: ServiceProcess;
  let client: ReturnType<typeof trainerClient>;

  const start = async (options: object = {}, env: Readonly<Record<string, string>> = {}): Promise<void> => {
    const { supervisor } = await trainerPrograms();
    service = await startServiceProcess(
      {
        natsUrl: nats.url,
        trainerId: 'box',
        dataDir,
        slots: { cpu: 2 },
        trainerTtlMs: TTL_MS,
        lostAfterMs: 20_000,
        stopGraceMs: 500,
        meterPeriodMs: 20,
        logLevel: 'info',
        runnerCommand: fakeRunner,
        supervisorCommand: [process.execPath, supervisor],
        ...options,
      },
      env,
    );
    client = trainerClient(service.grpcAddress);
  };
  /** Facts of a trial, each named once by its spool line however often it was published. */
  const factsOf = async (trialId: string): Promise<Report[]> => {
    const facts = new Map<number, Report>();
    for (const report of await publishedReports(connection))
      if (report.fact?.value.key?.trialId === trialId && !facts.has(report.spoolLine))
        facts.set(report.spoolLine, report);
    return [...facts.values()].sort((a, b) => a.spoolLine - b.spoolLine);
  };
  const epochsOf = async (trialId: string): Promise<number[]> =>
    (await factsOf(trialId)).flatMap(({ fact }) => (fact?.$case === 'epoch' ? [fact.value.epoch] : []));
  const endOf = async (trialId: string) => {
    const find = async () =>
      (await factsOf(trialId)).flatMap(({ fact }) => (fact?.$case === 'ended' ? [fact.value] : []));
    await expect.poll(async () => (await find()).length, { timeout: 15_000, interval: 50 }).toBe(1);
    return (await find())[0]!;
  };
  const atLeast = (trialId: string, epochs: number) =>
    expect
      .poll(async () => (await epochsOf(trialId)).length, { timeout: 10_000, interval: 20 })
      .toBeGreaterThanOrEqual(epochs);
  const attemptDir = (trialId: string): string =>
    trainerLayout(dataDir, 'box').attemptDir('ledger-1', { sweepId: 'sweep', trialId, attempt: 1 });
  const runnerOfTrial = (trialId: string) => runnerOf(attemptDir(trialId));
  const slotPath = (slot: string): string => join(dataDir, 'trainers', 'box', 'slots', slot, 'slot.json');
  const slotFile = (slot: string) =>
    JSON.parse(readFileSync(slotPath(slot), 'utf8')) as {
      pid: number;
      startTicks: number;
    };
  const from1 = (count: number): number[] => Array.from({ length: count }, (_unused, index) => index + 1);

  beforeEach(async () => {
    nats = await startNats();
    connection = await connectNats(nats.url);
    await createStreams(connection, TTL_MS);
    dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
  });
  afterEach(async () => {
    client.close();
    await terminate(service.child);
    // Only a test that failed leaves supervisors behind.
    for (const slot of ['cpu0', 'cpu1', 'cpu2', 'cpu3', 'gpu0', 'gpu1']) {
      const supervisor = existsSync(slotPath(slot)) ? slotFile(slot) : null;
      if (supervisor !== null && isAlive(supervisor)) process.kill(supervisor.pid, 'SIGTERM');
    }
    await connection.close();
    await nats.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('a service that is killed in the middle of four attempts: each epoch of each arrives once', async () => {
    const slots = { cpu: 4 };
    await start({ slots });
    const trials = ['t1', 't2', 't3', 't4'];
    for (const [index, trialId] of trials.entries())
      await client.start(trialId, { epochs: 60, epochMs: 40 }, { slotId: `cpu${String(index)}` });
    for (const trialId of trials) await atLeast(trialId, 3);
    await service.kill();
    client.close();
    await start({ slots });
    for (const trialId of trials) {
      expect((await endOf(trialId)).class).toBe(AttemptEndClass.COMPLETED);
      expect(await epochsOf(trialId)).toEqual(from1(60));
    }
  });

  it('a killed service: children go on, the next one adopts them, every epoch arrives', async () => {
    await start();
    await client.start('t1', { epochs: 10_000, epochMs: 40 }, { slotId: 'cpu0' });
    await client.start('t2', { epochs: 30, epochMs: 40 }, { slotId: 'cpu1' });
    await atLeast('t1', 5);
    await atLeast('t2', 5);
    const runner = runnerOfTrial('t1');
    await service.kill();
    // The second attempt ends while nobody is there.
    await expect.poll(() => spooled(attemptDir('t2'), 'end').length, { timeout: 10_000 }).toBe(1);
    expect(isAlive(runner)).toBe(true);
    client.close();
    // As if a service of version 0.1 had started it: it ends what it runs, and takes nothing new.
    const supervisor = slotFile('cpu0');
    writeFileSync(slotPath('cpu0'), JSON.stringify({ ...supervisor, version: 1 }));
    await start();
    expect(isAlive(runner)).toBe(true);
    expect(await client.start('t3', {}, { slotId: 'cpu0' })).toMatchObject({ code: 'SLOT_BUSY' });
    expect(await client.start('t3', { epochs: 1 }, { slotId: 'cpu1' })).toEqual({ ok: { created: true } });
    await endOf('t3');
    await client.stop('t1', StopMode.STOP);
    expect((await endOf('t1')).class).toBe(AttemptEndClass.STOPPED);
    expect((await endOf('t2')).class).toBe(AttemptEndClass.COMPLETED);
    expect(await client.start('t4', { epochs: 1 }, { slotId: 'cpu0' })).toEqual({ ok: { created: true } });
    expect((await endOf('t4')).class).toBe(AttemptEndClass.COMPLETED);
    expect(isAlive(supervisor)).toBe(false);
    expect(slotFile('cpu0')).toMatchObject({ version: 2 });
    expect(await epochsOf('t1')).toEqual(from1((await epochsOf('t1')).length));
    expect((await epochsOf('t1')).length).toBeGreaterThan(10);
    expect(await epochsOf('t2')).toEqual(from1(30));
    // Nothing that was acknowledged is published again.
    const raw = (await publishedReports(connection)).filter(({ fact }) => fact?.value.key?.trialId === 't1');
    expect(raw.length - (await factsOf('t1')).length).toBeLessThanOrEqual(2);
  });

  it('a restarted NATS: facts wait and arrive', async () => {
    await start();
    await client.start('t1', { epochs: 30, epochMs: 40 }, { slotId: 'cpu0' });
    await atLeast('t1', 3);
    await nats.kill();
    await new Promise((resolve) => setTimeout(resolve, 500));
    nats = await startNats({ dataDir: nats.dir, port: nats.port });
    expect((await endOf('t1')).class).toBe(AttemptEndClass.COMPLETED);
    expect(await epochsOf('t1')).toEqual(from1(30));
  });

  it('a service that stays away: the supervisor ends the attempt after a checkpoint, and exits', async () => {
    await start({ lostAfterMs: 600 });
    await client.start('t1', { epochs: 10_000, epochMs: 20 }, { slotId: 'cpu0' });
    await atLeast('t1', 2);
    const supervisor = slotFile('cpu0');
    await service.kill();
    await expect.poll(() => isAlive(supervisor), { timeout: 5_000 }).toBe(false);
    expect(isAlive(runnerOfTrial('t1'))).toBe(false);
    client.close();
    await start({ lostAfterMs: 600 });
    expect((await endOf('t1')).class).toBe(AttemptEndClass.PREEMPTED);
    expect((await epochsOf('t1')).length).toBeGreaterThan(2);
    expect((await factsOf('t1')).map(({ fact }) => fact?.$case)).toContain('ended');
  });

  it('a frozen service: after it goes on, nothing is lost', async () => {
    await start({ lostAfterMs: 5_000 });
    await client.start('t1', { epochs: 60, epochMs: 40 }, { slotId: 'cpu0' });
    await atLeast('t1', 2);
    service.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS));
    service.child.kill('SIGCONT');
    expect((await endOf('t1')).class).toBe(AttemptEndClass.COMPLETED);
    expect(await epochsOf('t1')).toEqual(from1(60));
    expect(await client.describe()).toHaveProperty('ok');
  });

  it('a killed supervisor: the attempt has crashed, its runner is gone, the slot is free', async () => {
    await start();
    await client.start('t1', { epochs: 10_000, epochMs: 20 }, { slotId: 'cpu0' });
    await atLeast('t1', 1);
    const runner = runnerOfTrial('t1');
    process.kill(slotFile('cpu0').pid, 'SIGKILL');
    expect(await endOf('t1')).toMatchObject({
      class: AttemptEndClass.CRASHED,
      message: 'The supervisor of the slot was killed while the attempt ran.',
    });
    expect(isAlive(runner)).toBe(false);
    expect(await client.start('t2', { epochs: 1 }, { slotId: 'cpu0' })).toEqual({ ok: { created: true } });
    expect((await endOf('t2')).class).toBe(AttemptEndClass.COMPLETED);
  });

  it('service and supervisor killed together: the next service says how it ended', async () => {
    await start();
    await client.start('t1', { epochs: 10_000, epochMs: 20 }, { slotId: 'cpu0' });
    await atLeast('t1', 1);
    const runner = runnerOfTrial('t1');
    await service.kill();
    process.kill(slotFile('cpu0').pid, 'SIGKILL');
    client.close();
    await start();
    expect((await endOf('t1')).class).toBe(AttemptEndClass.CRASHED);
    expect(isAlive(runner)).toBe(false);
    const listed = await client.list();
    expect(listed).toMatchObject({ ok: { attempts: [{ phase: AttemptPhase.ENDED, slotId: 'cpu0' }] } });
  });

  it('meters GPUs: joules of epochs and attempts within 1 %, each attempt with its own GPU', async () => {
    const within1Percent = (measured: number, expected: number): void =>
      expect(Math.abs(measured / expected - 1)).toBeLessThan(0.01);
    const fake = await buildFakeNvml({ watts: [100, 250] });
    await start({ slots: 'auto' }, fake.env);
    const described = await client.describe();
    expect(described).toMatchObject({
      ok: {
        record: {
          powerMethod: 'nvml-counter',
          slots: [
            {
              slotId: 'gpu0',
              deviceKind: 'gpu',
              deviceUuids: [fake.gpus[0]!.uuid],
              memoryBytes: 16 * 2 ** 30,
            },
            { slotId: 'gpu1', deviceUuids: [fake.gpus[1]!.uuid] },
          ],
        },
      },
    });
    await client.start('t1', { epochs: 3, epochMs: 400 }, { slotId: 'gpu0' });
    await client.start('t2', { epochs: 3, epochMs: 400 }, { slotId: 'gpu1' });
    for (const [trialId, watts, gpu] of [
      ['t1', 100, 0],
      ['t2', 250, 1],
    ] as const) {
      const end = await endOf(trialId);
      within1Percent(end.energy!.joules!, watts * end.seconds!);
      for (const { fact } of await factsOf(trialId)) {
        if (fact?.$case !== 'epoch') continue;
        const { trainEnergy, evaluationEnergy, trainSeconds, evaluationSeconds, gpuUtilization } = fact.value;
        within1Percent(trainEnergy!.joules!, watts * trainSeconds!);
        within1Percent(evaluationEnergy!.meanWatts!, watts);
        expect(evaluationSeconds).toBeGreaterThan(0);
        expect(trainEnergy!.method).toBe('nvml-counter');
        expect(gpuUtilization).toBeCloseTo(0.9, 3);
      }
      const { environment } = JSON.parse(
        readFileSync(join(attemptDir(trialId), 'work', 'spec.json'), 'utf8'),
      ) as { environment: Record<string, string> };
      expect(environment.CUDA_VISIBLE_DEVICES).toBe(fake.gpus[gpu]!.uuid);
    }
    await fake.remove();
  });

  it('a killed service loses no joule of an attempt: the energy counter bridges the time that it was away', async () => {
    const fake = await buildFakeNvml({ gpus: 1, watts: [100] });
    await start({ slots: 'auto' }, fake.env);
    await client.start('t1', { epochs: 12, epochMs: 250 }, { slotId: 'gpu0' });
    await atLeast('t1', 3);
    await service.kill();
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await start({ slots: 'auto' }, fake.env);
    const end = await endOf('t1');
    expect(end.energy).toMatchObject({ method: 'nvml-counter', absentReason: '' });
    expect(end.energy!.joules! / (100 * end.seconds!)).toBeCloseTo(1, 1);
    expect(await epochsOf('t1')).toEqual(from1(12));
    await fake.remove();
  });

  it('SIGTERM drains: attempts end as preempted, the supervisors leave', async () => {
    await start();
    await client.start('t1', { epochs: 10_000, epochMs: 20 }, { slotId: 'cpu0' });
    await atLeast('t1', 1);
    const supervisor = slotFile('cpu0');
    expect(await terminate(service.child)).toBe(0);
    expect((await endOf('t1')).class).toBe(AttemptEndClass.PREEMPTED);
    await expect.poll(() => isAlive(supervisor), { timeout: 3_000 }).toBe(false);
  });
});
