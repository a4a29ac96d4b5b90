import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { AttemptEnded, EpochReport } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, StopMode, TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { TRAINERS_BUCKET } from '../../../proto/subjects.js';
import { identify, isAlive } from '../../../services/trainer/host/process.js';
import { attemptFiles, trainerLayout } from '../../../services/trainer/layout.js';
import { startTrainer, type RunningTrainer, type TrainerOptions } from '../../../services/trainer/index.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { runnerOf, spooled } from '../../support/spool.js';
import {
  connectNats,
  createStreams,
  fakeRunner,
  publishedReports,
  publishedTelemetry,
  trainerClient,
  trainerPrograms,
} from '../../support/trainer.js';

let nats: TestNats;
let connection: NatsConnection;
let supervisor: string;
beforeAll(async () => {
  nats = await startNats();
  connection = await connectNats(nats.url);
  await createStreams(connection, 2_000);
  supervisor = (await trainerPrograms()).supervisor;
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});

describe('a trainer', () => {
  let dataDir: string;
  let trainer: RunningTrainer;
  let client: ReturnType<typeof trainerClient>;
  let number = 0;

  const start = async (more: Partial<TrainerOptions> = {}): Promise<void> => {
    trainer = await startTrainer({
      natsUrl: nats.url,
      trainerId: `box-${String(++number)}`,
      dataDir,
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
    client = trainerClient(trainer.grpcAddress);
  };
  const reportsOf = async (trialId: string) =>
    (await publishedReports(connection)).filter(({ fact }) => fact?.value.key?.trialId === trialId);
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
    const listed = await client.list();
    if (!('ok' in listed)) throw new Error(listed.message);
    const { attempts } = listed.ok;
    return attempts.find(({ key }) => key?.trialId === trialId)?.phase;
  };
  const running = (trialId: string) =>
    expect.poll(() => phaseOf(trialId), { timeout: 5_000, interval: 20 }).toBe(AttemptPhase.RUNNING);
  const attemptDir = (trialId: string, attempt = 1): string =>
    trainerLayout(dataDir, trainer.trainerId).attemptDir('ledger-1', { sweepId: 'sweep', trialId, attempt });

  const forkedBy = (trialId: string) =>
    identify(Number(readFileSync(join(attemptDir(trialId), 'work', 'forked.pid'), 'utf8')));

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    await start();
  });
  afterEach(async () => {
    client.close();
    await trainer.close({ drain: true });
    await rm(dataDir, { recursive: true, force: true });
  });

  it('runs an attempt to its end and publishes every epoch once, in order', async () => {
    expect(await client.start('t1', { epochs: 3 })).toEqual({ ok: { created: true } });
    const end = await endOf('t1');
    expect(end.class).toBe(AttemptEndClass.COMPLETED);
    expect(end.seconds).toBeGreaterThan(0.05);
    const reports = await reportsOf('t1');
    expect(reports.map(({ fact }) => fact?.$case)).toEqual(['started', 'epoch', 'epoch', 'epoch', 'ended']);
    expect(reports.map(({ spoolLine }) => spoolLine)).toEqual([3, 5, 7, 9, 10]);
    const [first] = await epochsOf('t1');
    expect(first).toMatchObject({ epoch: 1, step: 2, metrics: { val_accuracy: 0.5, train_loss: 1 } });
    expect(first!.trainSeconds).toBeGreaterThan(0.01);
    expect(await phaseOf('t1')).toBe(AttemptPhase.ENDED);
  });

  it('says null, with the reason, where nothing reads the power', async () => {
    await client.start('t-unmetered', { epochs: 1 });
    const end = await endOf('t-unmetered');
    // On a machine with RAPL there is a reading: then it must say what read it.
    expect(end.energy!.joules === undefined).toBe(end.energy!.method === '');
    expect(end.energy!.absentReason === '').toBe(end.energy!.method !== '');
    expect((await epochsOf('t-unmetered'))[0]!.gpuUtilization).toBeUndefined();
  });

  it('answers a repeated start with what is there, and a busy slot with SLOT_BUSY', async () => {
    const answers = await Promise.all([
      client.start('t2', { epochs: 1, epochMs: 300 }),
      client.start('t2', { epochs: 1, epochMs: 300 }),
    ]);
    expect(answers).toContainEqual({ ok: { created: true } });
    expect(answers).toContainEqual({ ok: { created: false } });
    expect(await client.start('t3', {})).toMatchObject({ code: 'SLOT_BUSY' });
    await endOf('t2');
    expect(await client.start('t2', {})).toEqual({ ok: { created: false } });
    expect(await client.start('t3', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t3');
    expect((await reportsOf('t2')).filter(({ fact }) => fact?.$case === 'started')).toHaveLength(1);
  });

  it('takes several starts in one call, each with its own answer', async () => {
    const stale = { ledgerId: 'ledger-1', term: 0, termId: '' };
    const answer = await client.startAll([
      ['t-together', {}],
      ['t-together', {}],
      ['t-nowhere', { slotId: 'cpu9' }],
      ['t-stale', { fence: stale }],
    ]);
    expect(answer).toMatchObject({
      ok: {
        outcomes: [
          { created: true, failure: undefined },
          { created: false, failure: undefined },
          { created: false, failure: { code: 'SLOT_NOT_FOUND' } },
          { created: false, failure: { code: 'STALE_TERM', knownTerm: 1 } },
        ],
      },
    });
    await endOf('t-together');
  });

  it('has the accepted attempt on the disk before it answers', async () => {
    await client.start('t-disk', { epochs: 1 });
    const [accepted] = spooled(attemptDir('t-disk'), 'accepted');
    expect(accepted?.attempt.spec).toMatchObject({ parameters: { epochs: 1 }, maxEpochs: 3 });
    await endOf('t-disk');
  });

  it('pins the attempt to its slot and keeps the join token from it', async () => {
    process.env.WATTSWEEP_TOKEN = 'secret';
    await client.start('t-env', { epochs: 1 });
    Reflect.deleteProperty(process.env, 'WATTSWEEP_TOKEN');
    await endOf('t-env');
    const { environment } = JSON.parse(
      readFileSync(join(attemptDir('t-env'), 'work', 'spec.json'), 'utf8'),
    ) as {
      environment: Record<string, string>;
    };
    expect(environment).toMatchObject({
      CUDA_VISIBLE_DEVICES: '',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      WATTSWEEP_SLOT: 'cpu',
      WATTSWEEP_SWEEP: 'sweep',
    });
    expect(environment.TF_NUM_INTRAOP_THREADS).toBe(environment.OMP_NUM_THREADS);
    expect(environment).not.toHaveProperty('WATTSWEEP_TOKEN');
  });

  it('refuses an older term, also after a restart', async () => {
    expect(await client.list(5)).toHaveProperty('ok');
    const stale = { code: 'STALE_TERM' };
    expect(await client.list(4)).toMatchObject(stale);
    expect(
      await client.start('t4', {}, { fence: { ledgerId: 'ledger-1', term: 4, termId: '' } }),
    ).toMatchObject(stale);
    expect(await client.stop('t4', StopMode.STOP, { term: 4 })).toMatchObject(stale);
    // Another ledger has terms of its own.
    expect(
      await client.start('t4', { epochs: 1 }, { fence: { ledgerId: 'ledger-2', term: 1, termId: '' } }),
    ).toHaveProperty('ok');
    await endOf('t4');
    client.close();
    await trainer.close({ drain: false });
    number -= 1;
    await start();
    expect(await client.list(4)).toMatchObject(stale);
    expect(await client.list(5)).toHaveProperty('ok');
  });

  it('refuses what it does not offer, and what is no request', async () => {
    expect(await client.start('t5', {}, { recipe: 'alexnet' })).toMatchObject({ code: 'RECIPE_NOT_OFFERED' });
    expect(await client.start('t5', {}, { recipe: 'command', command: ['sh'] })).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    expect(await client.start('t5', {}, { slotId: 'gpu7' })).toMatchObject({ code: 'SLOT_NOT_FOUND' });
    expect(await client.start('t5', {}, { parametersJson: '[1]' })).toMatchObject({
      code: 'PARAMETER_REFUSED',
    });
    expect(await client.start('../t5', {})).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(await client.start('t5', {}, { fence: undefined })).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(await client.start('t5', {}, { fence: { ledgerId: '../x', term: 1, termId: '' } })).toMatchObject({
      code: 'REQUEST_INVALID',
    });
    expect(existsSync(attemptFiles(attemptDir('t5')).accepted)).toBe(false);
  });

  it('passes on what the runner refuses', async () => {
    await client.start('t-refused', { refuse: true });
    expect(await endOf('t-refused')).toMatchObject({
      class: AttemptEndClass.REFUSED,
      code: 'PARAMETER_REFUSED',
      message: 'optimizer: no such optimizer',
    });
  });

  it('classifies a runner that dies: crashed with its last words, killed, out of memory', async () => {
    await client.start('t6', { epochs: 3, crash_at: 2 });
    expect(await endOf('t6')).toMatchObject({
      class: AttemptEndClass.CRASHED,
      code: 'ATTEMPT_CRASHED',
      message: 'The runner exited with code 3 without saying how the attempt ended.',
    });
    expect(await epochsOf('t6')).toHaveLength(1);

    await client.start('t7', { epochs: 3, oom_at: 2 });
    const oom = await endOf('t7');
    expect(oom).toMatchObject({ class: AttemptEndClass.OUT_OF_MEMORY, code: 'ATTEMPT_OUT_OF_MEMORY' });
    expect(oom.message).toContain('OOM when allocating tensor');

    await client.start('t8', { epochs: 100, epochMs: 50 });
    await running('t8');
    process.kill(runnerOf(attemptDir('t8')).pid, 'SIGKILL');
    const killed = await endOf('t8');
    expect(killed.class).toBe(AttemptEndClass.CRASHED);
    expect(killed.message).toContain('SIGKILL');
    expect(spooled(attemptDir('t8'), 'end')).toEqual([
      expect.objectContaining({ class: 'crashed', exit: { code: null, signal: 'SIGKILL', leftovers: 0 } }),
    ]);
    expect(await client.start('t9', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t9');
  });

  it('stops an attempt after a checkpoint, and resumes from it', async () => {
    await client.start('t10', { epochs: 1000, epochMs: 20 });
    await expect.poll(async () => (await epochsOf('t10')).length, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(await client.stop('t10', StopMode.PAUSE)).toEqual({ ok: { wasRunning: true } });
    expect((await endOf('t10')).class).toBe(AttemptEndClass.STOPPED);
    expect(await client.stop('t10', StopMode.PAUSE)).toEqual({ ok: { wasRunning: false } });
    const last = (await epochsOf('t10')).at(-1)!.epoch;
    await client.start(
      't10',
      { epochs: last + 2 },
      { key: { sweepId: 'sweep', trialId: 't10', attempt: 2, termId: '' }, resumeFrom: `1/${String(last)}` },
    );
    await expect
      .poll(async () => (await reportsOf('t10')).filter(({ fact }) => fact?.$case === 'ended').length, {
        timeout: 5_000,
      })
      .toBe(2);
    const second = (await reportsOf('t10')).filter(({ fact }) => fact?.value.key?.attempt === 2);
    expect(second[0]!.fact).toMatchObject({ $case: 'started', value: { resumedEpoch: last } });
    expect(second.flatMap(({ fact }) => (fact?.$case === 'epoch' ? [fact.value.epoch] : []))).toEqual([
      last + 1,
      last + 2,
    ]);
  });

  it('starts from scratch rather than from a checkpoint that the ledger has not reached', async () => {
    await client.start('t11', { epochs: 1000, epochMs: 20 });
    await expect.poll(async () => (await epochsOf('t11')).length, { timeout: 5_000 }).toBeGreaterThan(2);
    await client.stop('t11', StopMode.PAUSE);
    await endOf('t11');
    const key = { sweepId: 'sweep', trialId: 't11', attempt: 2, termId: '' };
    await client.start('t11', { epochs: 1 }, { key, resumeFrom: '1/1' });
    await expect
      .poll(
        async () =>
          (await reportsOf('t11')).flatMap(({ fact }) =>
            fact?.$case === 'started' && fact.value.key?.attempt === 2 ? [fact.value.resumedEpoch] : [],
          ),
        { timeout: 15_000 },
      )
      .toEqual([0]);
  });

  it('ends a runner that ignores everything, and its grandchild in another session', async () => {
    await client.start('t12', { hang: true, fork: true });
    await running('t12');
    const forked = forkedBy('t12');
    expect(isAlive(forked)).toBe(true);
    const began = performance.now();
    await client.stop('t12', StopMode.STOP);
    const end = await endOf('t12');
    // Grace 0.5 s, then SIGTERM, one second later SIGKILL.
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(end.class).toBe(AttemptEndClass.STOPPED);
    expect(end.message).toContain('was killed');
    expect(isAlive(forked)).toBe(false);
    expect(await client.start('t13', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t13');
  });

  it('kills what a finished attempt leaves behind, and a runner that lingers', async () => {
    await client.start('t14', { epochs: 1, fork: true });
    await endOf('t14');
    const forked = forkedBy('t14');
    expect(isAlive(forked)).toBe(false);
    await client.start('t15', { epochs: 1, linger: true });
    expect((await endOf('t15')).class).toBe(AttemptEndClass.COMPLETED);
  });

  it('bounds the output of a program that floods it', async () => {
    await client.start('t16', { epochs: 1, flood_bytes: 6_000_000 });
    expect((await endOf('t16')).class).toBe(AttemptEndClass.COMPLETED);
    const log = join(attemptDir('t16'), 'output.log');
    expect(statSync(log).size).toBeLessThan(1_000_000);
    expect(readFileSync(log, 'utf8')).toContain('bytes left out');
    expect(readdirSync(attemptDir('t16')).filter((name) => name.startsWith('output.log'))).toEqual([
      'output.log',
    ]);
  });

  it('survives what is no line of the protocol, and carries a loss that is not finite', async () => {
    await client.start('t17', { epochs: 2, garbage: true, nan_at: 1 });
    expect((await endOf('t17')).class).toBe(AttemptEndClass.COMPLETED);
    const epochs = await epochsOf('t17');
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(epochs[0]!.metrics.train_loss).toBeNaN();
    expect(readFileSync(join(attemptDir('t17'), 'output.log'), 'utf8')).toContain(
      'not a line of the protocol',
    );
  });

  it('drains: running attempts are preempted after a checkpoint, new ones refused', async () => {
    await client.start('t18', { epochs: 1000 });
    await running('t18');
    expect(await client.drain(true)).toHaveProperty('ok');
    expect(await client.start('t19', {})).toMatchObject({ code: 'DRAINING' });
    expect((await endOf('t18')).class).toBe(AttemptEndClass.PREEMPTED);
    expect(await client.describe()).toMatchObject({ ok: { record: { draining: true } } });
  });

  it('keeps its record alive, and removes it at the end', async () => {
    const kv = await connection.jetstream().views.kv(TRAINERS_BUCKET, { bindOnly: true });
    const read = async (): Promise<TrainerRecord | null> => {
      const entry = await kv.get(trainer.trainerId);
      return entry?.operation === 'PUT' ? TrainerRecord.fromJSON(entry.json()) : null;
    };
    expect(await read()).toMatchObject({
      trainerId: trainer.trainerId,
      address: trainer.grpcAddress,
      slots: [{ slotId: 'cpu', deviceKind: 'cpu' }],
      draining: false,
    });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await read()).not.toBeNull();
    await trainer.close({ drain: true });
    expect(await read()).toBeNull();
  });

  it('refuses the name of a living trainer, and a folder in use', async () => {
    const other = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    const options = {
      natsUrl: nats.url,
      trainerId: trainer.trainerId,
      trainerTtlMs: 2_000,
      logLevel: 'silent',
    };
    await expect(startTrainer({ ...options, dataDir: other })).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await expect(startTrainer({ ...options, dataDir })).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await rm(other, { recursive: true, force: true });
  });

  it('takes over the name of a trainer that died on another disk, once its record is not renewed', async () => {
    const kv = await connection.jetstream().views.kv(TRAINERS_BUCKET, { bindOnly: true });
    const dead = TrainerRecord.toJSON(TrainerRecord.fromPartial({ trainerId: 'moved', instanceId: 'dead' }));
    await kv.put('moved', JSON.stringify(dead));
    const other = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    const moved = await startTrainer({
      natsUrl: nats.url,
      trainerId: 'moved',
      dataDir: other,
      trainerTtlMs: 600,
      logLevel: 'silent',
    });
    expect(TrainerRecord.fromJSON((await kv.get('moved'))!.json()).instanceId).not.toBe('dead');

    // And gives way, with the reason, when another service has taken the name in spite of that.
    await kv.put('moved', JSON.stringify({ ...(dead as object), instanceId: 'usurper' }));
    expect(await moved.closed).toMatchObject({ code: 'ALREADY_RUNNING' });
    expect(TrainerRecord.fromJSON((await kv.get('moved'))!.json()).instanceId).toBe('usurper');
    await rm(other, { recursive: true, force: true });
  });

  it('runs a program only where the box allows it, with its places filled', async () => {
    const command = ['train-it', '--lr={lr}', '{seed}'];
    expect(await client.describe()).not.toMatchObject({
      ok: { record: { recipes: expect.arrayContaining(['command']) as unknown } },
    });
    client.close();
    await trainer.close({ drain: true });
    await start({ allowCommands: ['train-it'] });
    expect(await client.describe()).toMatchObject({
      ok: { record: { recipes: expect.arrayContaining(['command']) as unknown } },
    });
    const recipe = 'command';
    expect(await client.start('t21', {}, { recipe, command: ['/tmp/train-it'] })).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    expect(await client.start('t21', {}, { recipe, command })).toMatchObject({ code: 'PARAMETER_REFUSED' });
    expect(await client.start('t21', { lr: 0.1, epochs: 1 }, { recipe, command })).toHaveProperty('ok');
    await endOf('t21');
    const { attempt } = JSON.parse(readFileSync(join(attemptDir('t21'), 'work', 'spec.json'), 'utf8')) as {
      attempt: { command: string[] };
    };
    expect(attempt.command).toEqual(['train-it', '--lr=0.1', '1']);
  });

  it('publishes devices and steps as telemetry', async () => {
    await client.start('t20', { epochs: 40, epochMs: 50 });
    await expect
      .poll(
        async () =>
          (await publishedTelemetry(connection)).some(
            ({ trainerId, steps, devices }) =>
              trainerId === trainer.trainerId &&
              steps.some(({ key, metrics }) => key?.trialId === 't20' && 'loss' in metrics) &&
              devices.some(({ device, key }) => device === 'cpu' && key?.trialId === 't20'),
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
    await client.stop('t20', StopMode.CANCEL);
    await endOf('t20');
  });
});

describe('a join token', () => {
  it('is needed beyond loopback and on every call', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    await expect(startTrainer({ natsUrl: nats.url, dataDir, listenHost: '0.0.0.0' })).rejects.toMatchObject({
      code: 'USAGE',
    });
    const guarded = await startNats({ token: 'join-me' });
    const guardedConnection = await connectNats(guarded.url, 'join-me');
    await createStreams(guardedConnection, 2_000);
    const options = { natsUrl: guarded.url, dataDir, trainerId: 'guarded', logLevel: 'silent' };
    await expect(startTrainer({ ...options, token: 'wrong' })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const trainer = await startTrainer({ ...options, token: 'join-me' });
    const stranger = trainerClient(trainer.grpcAddress);
    expect(await stranger.describe()).toMatchObject({ code: 'UNAUTHENTICATED' });
    const friend = trainerClient(trainer.grpcAddress, 'join-me');
    expect(await friend.describe()).toHaveProperty('ok');
    stranger.close();
    friend.close();
    await trainer.close({ drain: true });
    await guardedConnection.close();
    await guarded.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
});
