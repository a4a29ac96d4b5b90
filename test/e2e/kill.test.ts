/** Processes are killed in the middle of a sweep; nothing may be lost, and nothing may count twice. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowCurve, expectWhole, trainedEpochs, writeCurveSweep } from './command-sweep.js';
import { runnerOf } from '../support/spool.js';
import { readLedger } from './ledger.js';
import { Sandbox, kill, until } from './support.js';

let box: Sandbox;
beforeEach(() => (box = new Sandbox()));
afterEach(() => box.close());

describe('a trainer service is killed and stays away', () => {
  it('its trials run elsewhere; each ends once and no epoch counts twice', async () => {
    const sweep = writeCurveSweep(box, { trials: 6, epochs: 8, epochSeconds: 0.25 });
    const up = box.up([
      sweep,
      '--trainers',
      '2',
      '--restart',
      'never',
      '--lost-after',
      '4s',
      '--trainer-ttl',
      '1s',
      ...allowCurve,
    ]);
    const words = () => up.words;
    await until(
      'both trainers train',
      () => new Set(trainedEpochs(box).map((line) => line.trial)).size >= 2 && trainedEpochs(box).length >= 6,
      { words },
    );
    const victim = await until('there is a second trainer', secondTrainer, { words });
    kill(victim.pid);
    const { exitCode } = await up.exit;
    expect(exitCode, up.words).toBe(0);

    const ledger = await readLedger(join(box.data, 'jetstream'));
    expectWhole(ledger, 6, 8);
    const lost = ledger.of('attempt_ended').filter((event) => event.class === 'lost');
    expect(lost.length).toBeGreaterThan(0);
    for (const { trialId, attempt } of lost) {
      const assigned = ledger.of('attempt_assigned').filter((event) => event.trialId === trialId);
      expect(assigned.find((event) => event.attempt === attempt)?.trainerId).toBe(victim.id);
      expect(assigned.at(-1)?.trainerId).not.toBe(victim.id);
    }
    expect(ledger.of('trainer_lost').map((event) => event.trainerId)).toEqual([victim.id]);
  });

  const secondTrainer = () => {
    const service = box
      .record()
      ?.services.filter(({ name }) => name.startsWith('trainer '))
      .at(-1);
    return service === undefined ? null : { pid: service.pid, id: service.name.replace('trainer ', '') };
  };
});

describe('the coordinator is killed', () => {
  it('training goes on meanwhile, and what was trained is accepted when it is back', async () => {
    const sweep = writeCurveSweep(box, { trials: 3, epochs: 16, epochSeconds: 0.25 });
    const nats = box.wattsweep(['nats', '--port', '0', '--data', box.data]);
    const url = await until('NATS listens', () => /nats:\/\/\S+/.exec(nats.stderr)?.[0].replace(';', ''), {
      words: () => nats.words,
    });
    const trainer = box.wattsweep([
      'trainer',
      '--nats',
      url,
      '--data',
      box.data,
      '--id',
      'box',
      ...allowCurve,
    ]);
    // A fixed port: the second coordinator comes back where the first was.
    const port = String(20_000 + (process.pid % 20_000));
    const coordinate = () =>
      box.wattsweep([
        'coordinator',
        '--nats',
        url,
        '--data',
        box.data,
        '--grpc-port',
        port,
        '--http-port',
        '0',
        '--lease-ttl',
        '2s',
      ]);
    const server = ['--server', `127.0.0.1:${port}`];
    const first = coordinate();
    const submitted = await until(
      'the sweep is accepted',
      async () => {
        const submit = await box.wattsweep(['submit', sweep, ...server]).exit;
        return submit.exitCode === 0 ? submit.stdout.trim() : null;
      },
      { words: () => first.words + trainer.words },
    );

    await until('it trains', () => trainedEpochs(box).length >= 3, {
      words: () => first.words + trainer.words,
    });
    kill(first.child.pid ?? 0);
    const killedAt = Date.now();
    await sleep(2500);
    const backAt = Date.now();
    const second = coordinate();
    const watch = await box.wattsweep(['watch', submitted, ...server]).exit;
    expect(watch.exitCode, watch.stderr + second.words).toBe(0);
    const status = await box.wattsweep(['status', submitted, ...server, '--json']).exit;
    const { trials } = JSON.parse(status.stdout) as { trials: { state: string; attempts: number }[] };
    expect(trials.map((trial) => [trial.state, trial.attempts])).toEqual(trials.map(() => ['succeeded', 1]));

    for (const service of [second, trainer, nats]) {
      service.child.kill('SIGTERM');
      await service.exit;
    }
    const meanwhile = trainedEpochs(box).filter(({ at }) => at > killedAt + 100 && at < backAt);
    expect(meanwhile.length).toBeGreaterThanOrEqual(3);
    const ledger = await readLedger(join(box.data, 'jetstream'));
    expectWhole(ledger, 3, 16);
    for (const { trial, epoch } of meanwhile) {
      const accepted = ledger
        .of('epoch_accepted')
        .filter((event) => event.trialId === trial && event.record.epoch === epoch);
      expect(accepted.map((event) => event.attempt)).toEqual([1]);
    }
    expect(ledger.of('term_started').map((event) => event.term)).toEqual([1, 2]);
  });
});

describe('a training process is killed', () => {
  it('the trial is tried again from its checkpoint, the sweep ends complete', async () => {
    const sweep = join(box.dir, 'sweep.yaml');
    writeFileSync(
      sweep,
      [
        'name: killed-child',
        'recipe: resnet-cifar10',
        'objective: { metric: val_accuracy }',
        'max_epochs: 4',
        'fixed: { depth: 11, train_images: 512, validation_images: 256, bn_momentum: 0.9 }',
        'sweep: { batch_size: [32, 64] }',
      ].join('\n'),
    );
    const up = box.up([sweep]);
    const child = await until('an attempt reports its first epoch', () => runnerOfRunningAttempt(), {
      words: () => up.words,
      withinMs: 90_000,
    });
    kill(child.pid);
    const { exitCode } = await up.exit;
    expect(exitCode, up.words).toBe(0);
    const ledger = await readLedger(join(box.data, 'jetstream'));
    expectWhole(ledger, 2, 4);
    expect(
      ledger
        .of('attempt_ended')
        .map((event) => event.class)
        .sort(),
    ).toEqual(['completed', 'completed', 'crashed']);
    const again = ledger.of('attempt_assigned').find((event) => event.attempt === 2);
    expect(again?.resumeFrom).toMatch(/^1\/\d+$/);
  });

  /** The runner of an attempt that has reported an epoch and not ended. */
  function runnerOfRunningAttempt(): { pid: number } | null {
    const attempts = join(box.data, 'trainers');
    let files: string[];
    try {
      files = readdirSync(attempts, { recursive: true, encoding: 'utf8' });
    } catch {
      return null;
    }
    for (const file of files.filter((name) => /~[^/]+\.jsonl$/.test(name))) {
      const spool = readFileSync(join(attempts, file), 'utf8');
      if (!spool.includes('"type":"epoch"') || spool.includes('"type":"end"')) continue;
      return runnerOf(join(attempts, file.slice(0, -'.jsonl'.length)));
    }
    return null;
  }
});
