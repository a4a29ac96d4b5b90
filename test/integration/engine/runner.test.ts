import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { BEST, readAnyCheckpoint, writeCheckpoint } from '../../../services/trainer/runner/checkpoint.js';
import { RunnerProcess, attemptOf, runAttempt } from './harness.js';

const small = { depth: 11, train_images: 200, validation_images: 100, batch_size: 32, bn_momentum: 0.9 };
const checkpoints = (): string => mkdtempSync(join(tmpdir(), 'wattsweep-checkpoints-'));

function stateIn(folder: string): Buffer {
  const newest = readdirSync(folder).toSorted().at(-1);
  return readFileSync(join(folder, newest!, 'state.bin'));
}

describe('the runner trains resnet-cifar10', () => {
  it('reports start, epochs, checkpoints and end, with the times of each epoch', async () => {
    const attempt = attemptOf(
      { ...small, lr_peak: 0.002, schedule: { kind: 'piecewise', at: [0.5], factor: 0.1 } },
      { maxEpochs: 2 },
    );
    const runner = await runAttempt(attempt);
    expect(runner.end).toMatchObject({ class: 'completed', code: '' });
    expect(runner.of('started')).toEqual([
      expect.objectContaining({ trainableParameters: 297_418, stepsPerEpoch: 7, resumedEpoch: 0 }),
    ]);
    const epochs = runner.of('epoch');
    expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 7],
      [2, 14],
    ]);
    // The rate that the last step used, after the drop in the middle.
    expect(epochs.map(({ metrics }) => metrics['learning_rate'])).toEqual([0.002, 0.0002]);
    for (const { metrics, trainWindow, evaluationWindow, trainSeconds, samplesPerSecond } of epochs) {
      expect(metrics['val_accuracy']! * 100).toBeCloseTo(Math.round(metrics['val_accuracy']! * 100), 6);
      expect(metrics['train_accuracy']).toBeGreaterThan(0);
      expect(metrics['l2_penalty']).toBeGreaterThan(0.2);
      expect(trainWindow!.endMonotonicMs).toBeLessThanOrEqual(evaluationWindow!.beginMonotonicMs);
      expect(trainSeconds).toBeCloseTo(
        (trainWindow!.endMonotonicMs - trainWindow!.beginMonotonicMs) / 1000,
        6,
      );
      expect(samplesPerSecond).toBeCloseTo(200 / trainSeconds!, 3);
    }
    expect(epochs[1]!.metrics['train_cross_entropy']).toBeLessThan(
      epochs[0]!.metrics['train_cross_entropy']!,
    );
    expect(runner.of('checkpoint').map(({ epoch }) => epoch)).toEqual([1, 2]);
  });

  it('refuses float16 on a CPU before anything is read', async () => {
    const attempt = attemptOf({ ...small, precision: 'float16' });
    const runner = await runAttempt(attempt);
    expect(runner.end).toMatchObject({ class: 'refused', code: 'PARAMETER_REFUSED' });
    expect(runner.end.message).toContain('float16 is for GPUs, and this slot is a CPU (CPU)');
    expect(runner.of('started')).toEqual([]);
    expect(existsSync(attempt.checkpointDir)).toBe(false);
  });

  it('says that a batch cannot fit, with what it would need, before anything is read', async () => {
    const wide = { network: 'wide-resnet', depth: 28, width: 512, batch_size: 8192 };
    const runner = await runAttempt(attemptOf(wide, { recipe: 'image-classifier' }));
    expect(runner.end).toMatchObject({ class: 'out_of_memory', code: 'ATTEMPT_OUT_OF_MEMORY' });
    expect(runner.end.message).toMatch(
      /this box has .* GiB; a step of wide-resnet.* with batch 8192 needs \d+/,
    );
    expect(runner.of('started')).toEqual([]);
  });

  it("trains another network on a data set of one's own", async () => {
    const sets = mkdtempSync(join(tmpdir(), 'wattsweep-sets-'));
    mkdirSync(join(sets, 'shades'));
    // Two classes, dark and light.
    const images = Buffer.concat(
      Array.from({ length: 64 }, (_, i) => {
        const bytes = Buffer.alloc(2 + 16 * 16 * 3, (i % 2) * 200 + (i % 7));
        bytes.writeUInt16LE(i % 2);
        return bytes;
      }),
    );
    const sha256 = createHash('sha256').update(images).digest('hex');
    writeFileSync(join(sets, 'shades', 'all.bin'), images);
    const part = { file: 'all.bin', images: 64, sha256 };
    const description = { format: 'wattsweep-images', version: 1, side: 16, classes: ['dark', 'light'] };
    writeFileSync(
      join(sets, 'shades', 'dataset.json'),
      JSON.stringify({ ...description, train: part, test: part }),
    );
    vi.stubEnv('WATTSWEEP_DATASETS', sets);
    const parameters = {
      data: 'shades',
      network: 'cnn',
      depth: 2,
      width: 4,
      batch_size: 16,
      bn_momentum: 0.5,
    };
    const attempt = attemptOf({ ...parameters, lr_peak: 0.01 }, { maxEpochs: 3, recipe: 'image-classifier' });
    const runner = await runAttempt(attempt);
    expect(runner.end).toMatchObject({ class: 'completed' });
    expect(runner.of('started')).toMatchObject([{ stepsPerEpoch: 4 }]);
    expect(runner.of('epoch').at(-1)!.metrics['val_accuracy']).toBe(1);
    const first = runner.of('epoch').findIndex(({ metrics }) => metrics['val_accuracy'] === 1) + 1;
    expect(readAnyCheckpoint(join(attempt.checkpointDir, BEST)).epoch).toBe(first);
    // A checkpoint of it fits no other network.
    const path = runner.of('checkpoint').at(-1)!.path;
    const other = await runAttempt({ ...attempt, parameters: { ...parameters, width: 8 }, resumeFrom: path });
    expect(other.end).toMatchObject({ class: 'refused', code: 'CHECKPOINT_INVALID' });
    expect(other.end.message).toContain('it is of cnn/');
    vi.unstubAllEnvs();
  });

  it('validates on training images that it holds out, and measures the test images once', async () => {
    const validation = { from: 'train', size: 150 };
    const runner = await runAttempt(attemptOf({ ...small, validation }, { maxEpochs: 2 }));
    const [first, last] = runner.of('epoch').map(({ metrics }) => metrics);
    expect(first).not.toHaveProperty('test_accuracy');
    expect(last!['test_accuracy']! * 100).toBeCloseTo(Math.round(last!['test_accuracy']! * 100), 6);
    expect(last!['val_accuracy']! * 150).toBeCloseTo(Math.round(last!['val_accuracy']! * 150), 6);
    expect(last!['test_cross_entropy']).not.toBe(last!['val_cross_entropy']);
  });

  it('remembers after a resume what did not improve', async () => {
    // No epoch improves by so much: the rate falls after the second.
    const reduce_on_plateau = { factor: 0.5, patience: 0, min_delta: 9 };
    const first = attemptOf({ ...small, train_images: 64, reduce_on_plateau }, { maxEpochs: 1 });
    const path = (await runAttempt(first)).of('checkpoint')[0]!.path;
    const resumed = await runAttempt({ ...first, maxEpochs: 3, resumeFrom: path });
    const rates = resumed.of('epoch').map(({ epoch, metrics }) => [epoch, metrics['learning_rate']]);
    expect(rates).toEqual([
      [2, 0.001],
      [3, 0.0005],
    ]);
  });

  it('stopped in the middle of an epoch and resumed, equals the uninterrupted run bit for bit', async () => {
    const parameters = { ...small, batch_size: 16 };
    const whole = attemptOf(parameters, { checkpointDir: checkpoints() });
    const uninterrupted = await runAttempt(whole);
    const first = attemptOf(parameters, { checkpointDir: checkpoints() });
    const runner = new RunnerProcess();
    runner.run(first);
    await runner.line('step');
    runner.send({ type: 'stop', mode: 'pause' });
    expect(await runner.line('end')).toMatchObject({ class: 'stopped', code: '' });
    const { epoch, path } = await runner.line('checkpoint');
    expect(epoch).toBe(0);
    // The same process takes the next attempt: resume it there.
    runner.run({ ...first, resumeFrom: path });
    expect(await runner.line('end', 2)).toMatchObject({ class: 'completed' });
    runner.endInput();
    await runner.exited;
    expect(runner.of('epoch').map(({ metrics }) => metrics)).toEqual(
      uninterrupted.of('epoch').map(({ metrics }) => metrics),
    );
    expect(stateIn(first.checkpointDir).equals(stateIn(whole.checkpointDir))).toBe(true);
  });

  it('killed in its second epoch and resumed, has the curve of the uninterrupted run bit for bit', async () => {
    const parameters = { ...small, train_images: 64, batch_size: 8 };
    const whole = attemptOf(parameters, { checkpointDir: checkpoints() });
    const uninterrupted = await runAttempt(whole);
    const killed = attemptOf(parameters, { checkpointDir: checkpoints() });
    const dying = new RunnerProcess();
    dying.run(killed);
    const { path: last } = await dying.line('checkpoint');
    dying.kill();
    await dying.exited;
    const again = await runAttempt({ ...killed, resumeFrom: last });
    const [, second] = uninterrupted.of('epoch');
    expect(again.of('epoch').map(({ metrics }) => metrics)).toEqual([second!.metrics]);
    expect(stateIn(killed.checkpointDir).equals(stateIn(whole.checkpointDir))).toBe(true);
  });

  it('goes on from the checkpoint before a damaged one, and from the first epoch when that is damaged, too', async () => {
    const attempt = attemptOf({ ...small, train_images: 64 }, { maxEpochs: 3, checkpointDir: checkpoints() });
    const runner = new RunnerProcess();
    const run = async (more: Partial<typeof attempt>): Promise<void> => {
      runner.run({ ...attempt, ...more });
      expect(await runner.line('end', runner.of('end').length + 1)).toMatchObject({ class: 'completed' });
    };
    await run({});
    const [, before, newest] = runner.of('checkpoint').map(({ path }) => path);
    const trained = stateIn(attempt.checkpointDir);
    truncateSync(join(newest!, 'state.bin'), 1000);
    await run({ resumeFrom: newest! });
    expect(stateIn(attempt.checkpointDir).equals(trained)).toBe(true);
    for (const path of [before!, newest!]) writeFileSync(join(path, 'checkpoint.json'), '');
    await run({ maxEpochs: 1, resumeFrom: newest! });
    runner.endInput();
    await runner.exited;
    expect(runner.of('started').map(({ resumedEpoch }) => resumedEpoch)).toEqual([0, 2, 0]);
    const epochs = runner.of('epoch');
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 3, 1]);
    expect(epochs[3]!.metrics).toEqual(epochs[2]!.metrics);
    expect(runner.errors).toMatch(
      /epoch-0003.* checksum[^]*older checkpoint: 2 epochs[^]*from its first epoch/,
    );
  });

  it('trains attempt after attempt in one process, each as if it were alone, and stays', async () => {
    const runner = new RunnerProcess();
    const settings = { ...small, train_images: 64 };
    const attempts = [
      settings,
      // The same program with other numbers, then another program.
      { ...settings, lr_peak: 0.01, beta_1: 0.5 },
      { ...settings, optimizer: 'sgd', lr_peak: 0.01 },
      settings,
    ].map((parameters) => attemptOf(parameters, { maxEpochs: 1 }));
    for (const attempt of attempts) runner.run(attempt);
    for (const index of attempts.keys())
      expect(await runner.line('end', index + 1)).toMatchObject({ class: 'completed', stays: true });
    runner.endInput();
    await runner.exited;
    const states = attempts.map(({ checkpointDir }) => stateIn(checkpointDir));
    expect(states[3]!.equals(states[0]!)).toBe(true);
    expect(states[1]!.equals(states[0]!)).toBe(false);
    const epochs = runner.of('epoch').map(({ metrics }) => metrics);
    expect(epochs[3]).toEqual(epochs[0]);
  });

  it('ends as diverged at once, with the step and the last finite values, and keeps no checkpoint of it', async () => {
    const attempt = attemptOf(
      { ...small, optimizer: 'sgd', lr_peak: 1e6, train_images: 1000 },
      { maxEpochs: 1 },
    );
    const { end, lines } = await runAttempt(attempt);
    expect(end).toMatchObject({ class: 'diverged', code: 'NON_FINITE' });
    expect(end.message).toMatch(
      /(is (NaN|Infinity)|not finite) in step \d+ \(epoch 1\); last finite: cross-entropy .* in step \d+/,
    );
    expect(lines.filter(({ type }) => type === 'epoch')).toEqual([]);
    expect(existsSync(attempt.checkpointDir)).toBe(false);
  });

  it('trains ResNet56v2: the loss falls within a few steps', async () => {
    const attempt = attemptOf(
      { depth: 56, train_images: 64, validation_images: 20, batch_size: 16, bn_momentum: 0.9 },
      { maxEpochs: 3, device: { kind: 'cpu', uuids: [], model: 'CPU', threads: 2 } },
    );
    const runner = await runAttempt(attempt);
    expect(runner.of('started')[0]).toMatchObject({ trainableParameters: 1_663_338, stepsPerEpoch: 4 });
    const losses = runner.of('epoch').map(({ metrics }) => metrics['train_cross_entropy']!);
    expect(losses).toHaveLength(3);
    expect(losses[2]).toBeLessThan(losses[0]!);
  });

  it('goes on without a checkpoint when the disk takes none', async () => {
    const file = join(checkpoints(), 'file');
    writeFileSync(file, '');
    const attempt = attemptOf(small, { maxEpochs: 2, checkpointDir: join(file, 'none') });
    const { end, lines } = await runAttempt(attempt);
    expect(end).toMatchObject({ class: 'completed' });
    expect(lines.map(({ type }) => type).filter((type) => type !== 'step')).toEqual([
      'started',
      'epoch',
      'epoch',
      'end',
    ]);
  });

  it('checkpoints and exits when its input ends', async () => {
    const attempt = attemptOf({ ...small, train_images: 2000 }, { maxEpochs: 50 });
    const runner = new RunnerProcess();
    runner.run(attempt);
    await runner.line('step');
    runner.endInput();
    expect(await runner.exited).toEqual([0, null]);
    expect(runner.of('end')).toEqual([
      expect.objectContaining({
        class: 'stopped',
        message: expect.stringMatching(/supervisor gone/) as unknown,
      }),
    ]);
    expect(readdirSync(attempt.checkpointDir).length).toBeGreaterThan(0);
  });
});

it('refuses parameters, recipes and checkpoints with a code and a sentence, and goes on', async () => {
  const foreign = writeCheckpoint(checkpoints(), {
    network: 'resnet-cifar10/20',
    epoch: 1,
    step: 7,
    progress: {},
    vectors: {},
  });
  const runner = new RunnerProcess();
  const cases = [
    [attemptOf({ batch_size: 0 }), 'PARAMETER_REFUSED', /batch_size: 0 is below 1/],
    [attemptOf({ optimizer: 'adan' }), 'PARAMETER_REFUSED', /did you mean 'adam'/],
    [attemptOf({ depth: 30 }), 'PARAMETER_REFUSED', /depth: 30 is not 9n\+2/],
    [attemptOf({}, { recipe: 'resnet-cifar11' }), 'RECIPE_NOT_OFFERED', /no recipe 'resnet-cifar11'/],
    [attemptOf(small, { resumeFrom: foreign }), 'CHECKPOINT_INVALID', /not of resnet-cifar10\/11/],
  ] as const;
  for (const [attempt] of cases) runner.run(attempt);
  for (const [index, [, code, message]] of cases.entries()) {
    const end = await runner.line('end', index + 1);
    expect(end).toMatchObject({ class: 'refused', code });
    expect(end.message).toMatch(message);
  }
  runner.endInput();
  expect(await runner.exited).toEqual([0, null]);
});

it('does not blame the trial for what the box lacks', async () => {
  vi.stubEnv('WATTSWEEP_CIFAR10', join(checkpoints(), 'none'));
  const { end } = await runAttempt(attemptOf(small));
  vi.unstubAllEnvs();
  expect(end).toMatchObject({ class: 'crashed', code: 'DATASET_INVALID' });
});

describe('the runner runs any program', () => {
  const program = (source: string, more = {}) =>
    attemptOf(
      { lr_peak: 0.1, name: 'x' },
      { recipe: 'command', command: [process.execPath, '-e', source], ...more },
    );

  it('takes its reports, with the parameters in file and environment', async () => {
    const { end, lines } = await runAttempt(
      program(`
        const { lr_peak } = JSON.parse(require('fs').readFileSync(process.env.WATTSWEEP_PARAMETERS_FILE, 'utf8'));
        console.log('hello'); console.log('{broken'); console.log('x'.repeat(100000));
        console.log(JSON.stringify({ epoch: 1, lr: lr_peak, same: Number(process.env.WATTSWEEP_PARAMETER_LR_PEAK) }));
        console.log('{"epoch":2,"loss":NaN}'); console.log('{"epoch":2,"loss":1}');
      `),
    );
    expect(end).toMatchObject({ class: 'completed' });
    expect(lines.flatMap((line) => (line.type === 'epoch' ? [[line.epoch, line.metrics]] : []))).toEqual([
      [1, { lr: 0.1, same: 0.1 }],
      [2, { loss: 'NaN' }],
    ]);
  });

  it.each([
    ['process.exit(3)', { class: 'crashed', code: 'ATTEMPT_CRASHED' }, /exit code 3/],
    ['process.kill(process.pid, "SIGSEGV")', { class: 'crashed', code: 'ATTEMPT_CRASHED' }, /SIGSEGV/],
    ['console.log("done")', { class: 'crashed', code: 'NO_REPORT' }, /without a report/],
  ])('classes the end of %s', async (source, expected, message) => {
    const { end } = await runAttempt(program(source));
    expect(end).toMatchObject(expected);
    expect(end.message).toMatch(message);
  });

  it('ends with the program, whoever holds its output still', async () => {
    const runner = await runAttempt(
      program(`
        const { spawn } = require('child_process');
        const left = spawn('sleep', ['600'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
        left.unref();
        console.log(JSON.stringify({ epoch: 1, pid: left.pid }));
      `),
    );
    process.kill(runner.of('epoch')[0]!.metrics['pid']!, 'SIGKILL');
    expect(runner.end).toMatchObject({ class: 'completed' });
  });

  it('says when the program does not exist', async () => {
    const { end } = await runAttempt(attemptOf({}, { recipe: 'command', command: ['/no/such/program'] }));
    expect(end).toMatchObject({ class: 'crashed', code: 'ATTEMPT_CRASHED' });
    expect(end.message).toMatch(/could not be started: .*ENOENT/);
  });

  it('asks it to stop with SIGTERM', async () => {
    const runner = new RunnerProcess();
    const source = `process.on('SIGTERM', () => process.exit(0)); console.log('{"epoch":1,"a":1}'); setInterval(() => {}, 1e3);`;
    runner.run(program(source));
    await runner.line('epoch');
    runner.send({ type: 'stop', mode: 'stop' });
    expect(await runner.line('end')).toMatchObject({ class: 'stopped' });
    runner.endInput();
    await runner.exited;
  });
});
