import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { AttemptPhase, StopMode } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { attemptFiles } from '../../../services/trainer/layout.js';
import { spooled } from '../../support/spool.js';
import { publishedTelemetry } from '../../support/trainer.js';
import { useBox } from './one-box.js';

describe('a trainer', () => {
  const { box, start, reportsOf, epochsOf, endOf, phaseOf, attemptDir } = useBox();

  it('runs an attempt to its end and publishes every epoch once, in order', async () => {
    expect(await box.client.start('t1', { epochs: 3 })).toEqual({ ok: { created: true } });
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
    await box.client.start('t-unmetered', { epochs: 1 });
    const end = await endOf('t-unmetered');
    // On a machine with RAPL there is a reading: then it must say what read it.
    expect(end.energy!.joules === undefined).toBe(end.energy!.method === '');
    expect(end.energy!.absentReason === '').toBe(end.energy!.method !== '');
    expect((await epochsOf('t-unmetered'))[0]!.gpuUtilization).toBeUndefined();
  });

  it('answers a repeated start with what is there, and a busy slot with SLOT_BUSY', async () => {
    const answers = await Promise.all([
      box.client.start('t2', { epochs: 1, epochMs: 300 }),
      box.client.start('t2', { epochs: 1, epochMs: 300 }),
    ]);
    expect(answers).toContainEqual({ ok: { created: true } });
    expect(answers).toContainEqual({ ok: { created: false } });
    expect(await box.client.start('t3', {})).toMatchObject({ code: 'SLOT_BUSY' });
    await endOf('t2');
    expect(await box.client.start('t2', {})).toEqual({ ok: { created: false } });
    expect(await box.client.start('t3', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t3');
    expect((await reportsOf('t2')).filter(({ fact }) => fact?.$case === 'started')).toHaveLength(1);
  });

  it('takes several starts in one call, each with its own answer', async () => {
    const stale = { ledgerId: 'ledger-1', term: 0, termId: '' };
    const answer = await box.client.startAll([
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
    await box.client.start('t-disk', { epochs: 1 });
    const [accepted] = spooled(attemptDir('t-disk'), 'accepted');
    expect(accepted?.attempt.spec).toMatchObject({ parameters: { epochs: 1 }, maxEpochs: 3 });
    await endOf('t-disk');
  });

  it('pins the attempt to its slot and keeps the join token from it', async () => {
    process.env.WATTSWEEP_TOKEN = 'secret';
    await box.client.start('t-env', { epochs: 1 });
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
    expect(await box.client.list(5)).toHaveProperty('ok');
    const stale = { code: 'STALE_TERM' };
    expect(await box.client.list(4)).toMatchObject(stale);
    expect(
      await box.client.start('t4', {}, { fence: { ledgerId: 'ledger-1', term: 4, termId: '' } }),
    ).toMatchObject(stale);
    expect(await box.client.stop('t4', StopMode.STOP, { term: 4 })).toMatchObject(stale);
    // Another ledger has terms of its own.
    expect(
      await box.client.start('t4', { epochs: 1 }, { fence: { ledgerId: 'ledger-2', term: 1, termId: '' } }),
    ).toHaveProperty('ok');
    await endOf('t4');
    box.client.close();
    await box.trainer.close({ drain: false });
    await start({ trainerId: box.trainer.trainerId });
    expect(await box.client.list(4)).toMatchObject(stale);
    expect(await box.client.list(5)).toHaveProperty('ok');
  });

  it('refuses what it does not offer, and what is no request', async () => {
    expect(await box.client.start('t5', {}, { recipe: 'alexnet' })).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    expect(await box.client.start('t5', {}, { recipe: 'command', command: ['sh'] })).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    expect(await box.client.start('t5', {}, { slotId: 'gpu7' })).toMatchObject({ code: 'SLOT_NOT_FOUND' });
    expect(await box.client.start('t5', {}, { parametersJson: '[1]' })).toMatchObject({
      code: 'PARAMETER_REFUSED',
    });
    expect(await box.client.start('../t5', {})).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(await box.client.start('t5', {}, { fence: undefined })).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(
      await box.client.start('t5', {}, { fence: { ledgerId: '../x', term: 1, termId: '' } }),
    ).toMatchObject({
      code: 'REQUEST_INVALID',
    });
    expect(existsSync(attemptFiles(attemptDir('t5')).accepted)).toBe(false);
  });

  it('passes on what the runner refuses', async () => {
    await box.client.start('t-refused', { refuse: true });
    expect(await endOf('t-refused')).toMatchObject({
      class: AttemptEndClass.REFUSED,
      code: 'PARAMETER_REFUSED',
      message: 'optimizer: no such optimizer',
    });
  });

  it('runs a program only where the box allows it, with its places filled', async () => {
    const command = ['train-it', '--lr={lr}', '{seed}'];
    expect(await box.client.describe()).not.toMatchObject({
      ok: { record: { recipes: expect.arrayContaining(['command']) as unknown } },
    });
    box.client.close();
    await box.trainer.close({ drain: true });
    await start({ allowCommands: ['train-it'] });
    expect(await box.client.describe()).toMatchObject({
      ok: { record: { recipes: expect.arrayContaining(['command']) as unknown } },
    });
    const recipe = 'command';
    expect(await box.client.start('t21', {}, { recipe, command: ['/tmp/train-it'] })).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    expect(await box.client.start('t21', {}, { recipe, command })).toMatchObject({
      code: 'PARAMETER_REFUSED',
    });
    expect(await box.client.start('t21', { lr: 0.1, epochs: 1 }, { recipe, command })).toHaveProperty('ok');
    await endOf('t21');
    const { attempt } = JSON.parse(readFileSync(join(attemptDir('t21'), 'work', 'spec.json'), 'utf8')) as {
      attempt: { command: string[] };
    };
    expect(attempt.command).toEqual(['train-it', '--lr=0.1', '1']);
  });

  it('publishes devices and steps as telemetry', async () => {
    await box.client.start('t20', { epochs: 40, epochMs: 50 });
    await expect
      .poll(
        async () =>
          (await publishedTelemetry(box.connection)).some(
            ({ trainerId, steps, devices }) =>
              trainerId === box.trainer.trainerId &&
              steps.some(({ key, metrics }) => key?.trialId === 't20' && 'loss' in metrics) &&
              devices.some(({ device, key }) => device === 'cpu' && key?.trialId === 't20'),
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
    await box.client.stop('t20', StopMode.CANCEL);
    await endOf('t20');
  });
});
