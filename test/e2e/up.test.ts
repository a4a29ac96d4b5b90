/** `up` as a person meets it: Ctrl-C, a second one, one that was killed, another box that joins. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExitCode, errorRegistry } from '../../proto/errors.js';
import { processStart } from '../../cli/up/process-identity.js';
import { allowCurve, expectWhole, holdTraining, trainedEpochs, writeCurveSweep } from './command-sweep.js';
import { readLedger } from './ledger.js';
import { Sandbox, kill, until } from './support.js';

let box: Sandbox;
beforeEach(() => (box = new Sandbox()));
afterEach(() => box.close());

const jetstream = (): string => join(box.data, 'jetstream');
const isGone = (pid: number): boolean => processStart(pid) === null;

describe('Ctrl-C', () => {
  it('ends all in order; the same command goes on with the sweep, and trains nothing twice that was accepted', async () => {
    const sweep = writeCurveSweep(box, { trials: 2, epochs: 6, epochSeconds: 0.3 });
    const first = box.up([sweep, ...allowCurve]);
    await until('it trains', () => trainedEpochs(box).length >= 3, { words: () => first.words });
    const services = box.record()?.services ?? [];
    expect(services.map(({ name }) => name.split(' ')[0])).toEqual(['nats', 'coordinator', 'trainer']);
    first.child.kill('SIGINT');
    const ended = await first.exit;
    expect(ended.exitCode, first.words).toBe(ExitCode.interrupted);
    expect(ended.stderr).toContain('goes on with it');
    for (const { pid } of services) expect(isGone(pid)).toBe(true);
    for (const { pid } of trainedEpochs(box)) expect(isGone(pid)).toBe(true);
    expect(readdirSync(box.data)).not.toContain('up.json');
    expect(readdirSync(box.data)).not.toContain('up.lock');

    const second = await box.up([sweep, '--set', 'max_epochs=99', ...allowCurve]).exit;
    expect(second.exitCode, second.stderr).toBe(0);
    expect(second.stderr).toContain('going on with curve-');
    expect(second.stderr).toContain('  max_epochs: 6, in the file 99');
    const ledger = await readLedger(jetstream());
    expect(ledger.of('sweep_submitted')).toHaveLength(1);
    expectWhole(ledger, 2, 6);
  });
});

describe('a second `up` on the same folder', () => {
  it('is refused while the first lives', async () => {
    const first = box.up([]);
    await until('the first is up', () => first.stdout.includes('trainers'), { words: () => first.words });
    const second = await box.up([]).exit;
    expect(second.stderr).toContain('error[ALREADY_RUNNING]');
    expect(second.exitCode).toBe(errorRegistry.ALREADY_RUNNING.exit);
    first.child.kill('SIGTERM');
    expect((await first.exit).exitCode).toBe(0);
  });

  it('takes over what a killed one left: training goes on in the same attempts, and ends whole', async () => {
    const sweep = writeCurveSweep(box, { trials: 2, epochs: 8, epochSeconds: 0.1 });
    // However long the second one takes to come up, it finds the attempt of the first.
    const goOn = holdTraining(box);
    const first = box.up([sweep, ...allowCurve]);
    await until('it trains', () => trainedEpochs(box).length >= 2, { words: () => first.words });
    const services = box.record()?.services ?? [];
    kill(first.child.pid ?? 0);
    await first.exit;
    for (const { pid } of services) expect(isGone(pid)).toBe(false);

    const second = box.up([sweep, ...allowCurve]);
    await until('it goes on', () => second.stderr.includes('going on with curve-'), {
      words: () => second.words,
    });
    goOn();
    const { exitCode, stderr } = await second.exit;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain('ended what an earlier `up` had left: trainer');
    for (const { pid } of services) expect(isGone(pid)).toBe(true);
    const ledger = await readLedger(jetstream());
    expectWhole(ledger, 2, 8);
    expect(ledger.of('attempt_ended').map((event) => [event.class, event.attempt])).toEqual([
      ['completed', 1],
      ['completed', 1],
    ]);
  });
});

describe('beyond loopback', () => {
  it('`up --listen` prints the line with which another box joins; without the token nobody does', async () => {
    const first = box.up(['--listen', '0.0.0.0']);
    const line = await until(
      'it prints the line',
      () => /WATTSWEEP_TOKEN=(\S+) npx wattsweep (trainer --nats \S+)/.exec(first.stdout),
      { words: () => first.words },
    );
    const [, token = '', words = ''] = line;
    const [command = '', , url = ''] = words.split(' ');
    const other = join(box.dir, 'other-box');
    const joining = [command, '--nats', url, '--data', other, '--id', 'other'];
    const refused = await box.wattsweep(joining, { WATTSWEEP_TOKEN: 'guessed' }).exit;
    expect(refused.stderr).toContain('error[UNAUTHENTICATED]');
    expect(refused.exitCode).toBe(errorRegistry.UNAUTHENTICATED.exit);

    const joined = box.wattsweep(joining, { WATTSWEEP_TOKEN: token });
    const answer = await until(
      'the other box has joined',
      async () => {
        const { trainers } = (await box.ask(['trainers'])) as {
          trainers: { trainerId: string; state: string; address: string }[];
        };
        return trainers.find(({ trainerId }) => trainerId === 'other');
      },
      { words: () => first.words + joined.words },
    );
    expect(answer).toMatchObject({ state: 'alive' });
    expect(answer.address).not.toMatch(/^127\.|^localhost/);

    const stranger = await box.wattsweep([
      'status',
      '--server',
      box.record()?.grpcAddress ?? '',
      '--token',
      'guessed',
    ]).exit;
    expect(stranger.stderr).toContain('error[UNAUTHENTICATED]');
    joined.child.kill('SIGINT');
    expect((await joined.exit).exitCode).toBe(0);
    first.child.kill('SIGINT');
    expect((await first.exit).exitCode).toBe(0);
  });
});

describe('a sweep of which nothing succeeds', () => {
  it('still has its report, and an exit code of its own', async () => {
    const sweep = join(box.dir, 'sweep.yaml');
    writeFileSync(
      sweep,
      [
        'name: hopeless',
        `command: ${JSON.stringify([process.execPath, '-e', 'console.error("no such data"); process.exit(3)'])}`,
        'objective: { metric: score, goal: maximize }',
        'max_epochs: 2',
        'sweep: { lr: [1] }',
      ].join('\n'),
    );
    const { exitCode, stdout, stderr } = await box.up([sweep, ...allowCurve]).exit;
    expect(exitCode).toBe(ExitCode.noResult);
    expect(stderr).toContain('no such data');
    expect(stdout).toContain('report.html');
  });
});
