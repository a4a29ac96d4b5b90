/** How attempts end: by themselves, when asked, and against their will. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { StopMode } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isAlive } from '../../../services/trainer/host/process.js';
import { runnerOf, spooled } from '../../support/spool.js';
import { useBox } from './one-box.js';

describe('a trainer ends attempts:', () => {
  const { box, reportsOf, epochsOf, endOf, running, attemptDir, forkedBy } = useBox();

  it('classifies a runner that dies: crashed with its last words, killed, out of memory', async () => {
    await box.client.start('t6', { epochs: 3, crash_at: 2 });
    expect(await endOf('t6')).toMatchObject({
      class: AttemptEndClass.CRASHED,
      code: 'ATTEMPT_CRASHED',
      message: 'The runner exited with code 3 without saying how the attempt ended.',
    });
    expect(await epochsOf('t6')).toHaveLength(1);

    await box.client.start('t7', { epochs: 3, oom_at: 2 });
    const oom = await endOf('t7');
    expect(oom).toMatchObject({ class: AttemptEndClass.OUT_OF_MEMORY, code: 'ATTEMPT_OUT_OF_MEMORY' });
    expect(oom.message).toContain('OOM when allocating tensor');

    await box.client.start('t8', { epochs: 100, epochMs: 50 });
    await running('t8');
    process.kill(runnerOf(attemptDir('t8')).pid, 'SIGKILL');
    const killed = await endOf('t8');
    expect(killed.class).toBe(AttemptEndClass.CRASHED);
    expect(killed.message).toContain('SIGKILL');
    expect(spooled(attemptDir('t8'), 'end')).toEqual([
      expect.objectContaining({ class: 'crashed', exit: { code: null, signal: 'SIGKILL', leftovers: 0 } }),
    ]);
    expect(await box.client.start('t9', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t9');
  });

  it('stops an attempt after a checkpoint, and resumes from it', async () => {
    await box.client.start('t10', { epochs: 1000, epochMs: 20 });
    await expect.poll(async () => (await epochsOf('t10')).length, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(await box.client.stop('t10', StopMode.PAUSE)).toEqual({ ok: { wasRunning: true } });
    expect((await endOf('t10')).class).toBe(AttemptEndClass.STOPPED);
    expect(await box.client.stop('t10', StopMode.PAUSE)).toEqual({ ok: { wasRunning: false } });
    const last = (await epochsOf('t10')).at(-1)!.epoch;
    await box.client.start(
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
    await box.client.start('t11', { epochs: 1000, epochMs: 20 });
    await expect.poll(async () => (await epochsOf('t11')).length, { timeout: 5_000 }).toBeGreaterThan(2);
    await box.client.stop('t11', StopMode.PAUSE);
    await endOf('t11');
    const key = { sweepId: 'sweep', trialId: 't11', attempt: 2, termId: '' };
    await box.client.start('t11', { epochs: 1 }, { key, resumeFrom: '1/1' });
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
    await box.client.start('t12', { hang: true, fork: true });
    await running('t12');
    const forked = forkedBy('t12');
    expect(isAlive(forked)).toBe(true);
    const began = performance.now();
    await box.client.stop('t12', StopMode.STOP);
    const end = await endOf('t12');
    // Grace 0.5 s, then SIGTERM, one second later SIGKILL.
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(end.class).toBe(AttemptEndClass.STOPPED);
    expect(end.message).toContain('was killed');
    expect(isAlive(forked)).toBe(false);
    expect(await box.client.start('t13', { epochs: 1 })).toEqual({ ok: { created: true } });
    await endOf('t13');
  });

  it('kills what a finished attempt leaves behind, and a runner that lingers', async () => {
    await box.client.start('t14', { epochs: 1, fork: true });
    await endOf('t14');
    const forked = forkedBy('t14');
    expect(isAlive(forked)).toBe(false);
    await box.client.start('t15', { epochs: 1, linger: true });
    expect((await endOf('t15')).class).toBe(AttemptEndClass.COMPLETED);
  });

  it('bounds the output of a program that floods it', async () => {
    await box.client.start('t16', { epochs: 1, flood_bytes: 6_000_000 });
    expect((await endOf('t16')).class).toBe(AttemptEndClass.COMPLETED);
    const log = join(attemptDir('t16'), 'output.log');
    expect(statSync(log).size).toBeLessThan(1_000_000);
    expect(readFileSync(log, 'utf8')).toContain('bytes left out');
    expect(readdirSync(attemptDir('t16')).filter((name) => name.startsWith('output.log'))).toEqual([
      'output.log',
    ]);
  });

  it('survives what is no line of the protocol, and carries a loss that is not finite', async () => {
    await box.client.start('t17', { epochs: 2, garbage: true, nan_at: 1 });
    expect((await endOf('t17')).class).toBe(AttemptEndClass.COMPLETED);
    const epochs = await epochsOf('t17');
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(epochs[0]!.metrics.train_loss).toBeNaN();
    expect(readFileSync(join(attemptDir('t17'), 'output.log'), 'utf8')).toContain(
      'not a line of the protocol',
    );
  });

  it('drains: running attempts are preempted after a checkpoint, new ones refused', async () => {
    await box.client.start('t18', { epochs: 1000 });
    await running('t18');
    expect(await box.client.drain(true)).toHaveProperty('ok');
    expect(await box.client.start('t19', {})).toMatchObject({ code: 'DRAINING' });
    expect((await endOf('t18')).class).toBe(AttemptEndClass.PREEMPTED);
    expect(await box.client.describe()).toMatchObject({ ok: { record: { draining: true } } });
  });
});
