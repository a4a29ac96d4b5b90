/** What is wrong is said with code and advice, by exit code, and alone: nothing half-done is left, and the rest goes on. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExitCode, errorRegistry } from '../../proto/errors.js';
import { type Finished, Sandbox, root } from './support.js';

let box: Sandbox;
beforeAll(() => (box = new Sandbox()));
afterAll(() => box.close());

function file(name: string, ...lines: string[]): string {
  const path = join(box.dir, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

const sound = ['name: x', 'recipe: resnet-cifar10', 'objective: { metric: val_accuracy }'];

function expectRefusal(finished: Finished, code: keyof typeof errorRegistry, ...words: string[]): void {
  expect(finished.stderr).toContain(`error[${code}]`);
  for (const word of words) expect(finished.stderr).toContain(word);
  expect(finished.exitCode).toBe(errorRegistry[code].exit);
  expect(finished.stdout).toBe('');
}

describe('a sweep file with a mistake', () => {
  it.each([
    [
      'an unknown key',
      'SPEC_UNKNOWN_KEY',
      [...sound, 'max_epochs: 2', 'sweap: { shift: [0] }'],
      ['bad.yaml:5:1', 'sweep'],
    ],
    [
      'an unknown parameter',
      'SPEC_UNKNOWN_KEY',
      [...sound, 'max_epochs: 2', 'sweep: { batchsize: [32] }'],
      ['bad.yaml:5:', 'batch_size'],
    ],
    ['a wrong type', 'SPEC_TYPE', [...sound, 'max_epochs: many'], ['bad.yaml:4:13']],
    [
      'an empty grid',
      'SPEC_EMPTY_GRID',
      [...sound, 'max_epochs: 2', 'sweep: { shift: [] }'],
      ['bad.yaml:5:'],
    ],
    [
      'rungs beyond the end',
      'SPEC_STOPPING',
      [...sound, 'max_epochs: 2', 'stopping: { rule: asha, first_rung: 2 }'],
      ['bad.yaml:5:'],
    ],
    [
      'a metric that nobody reports',
      'SPEC_UNKNOWN_METRIC',
      ['name: x', 'recipe: resnet-cifar10', 'objective: { metric: val_acc }', 'max_epochs: 2'],
      ['bad.yaml:3:', 'val_accuracy'],
    ],
    ['broken YAML', 'SPEC_SYNTAX', [...sound, 'max_epochs: [2'], ['bad.yaml:']],
  ] as const)('%s is refused by validate with %s and its place', async (_what, code, lines, words) => {
    const path = file('bad.yaml', ...lines);
    expectRefusal(await box.wattsweep(['validate', path]).exit, code, ...words);
  });

  it('is refused by `up` before anything starts', async () => {
    const path = file('bad.yaml', ...sound, 'max_epochs: 2', 'sweap: { shift: [0] }');
    expectRefusal(await box.up([path]).exit, 'SPEC_UNKNOWN_KEY');
    expect(existsSync(box.data)).toBe(false);
  });

  it('is told as JSON to a program', async () => {
    const path = file('bad.yaml', ...sound, 'max_epochs: 2', 'sweap: { shift: [0] }');
    const { stderr, exitCode } = await box.wattsweep(['validate', path, '--json']).exit;
    expect(exitCode).toBe(ExitCode.badInput);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'SPEC_UNKNOWN_KEY', issues: [{ line: 5, column: 1, suggestion: 'sweep' }] },
    });
  });
});

describe('a command', () => {
  it('without a coordinator says where it looked and what to do', async () => {
    const finished = await box.wattsweep(['status', '--server', '127.0.0.1:1']).exit;
    expectRefusal(finished, 'COORDINATOR_UNREACHABLE', '127.0.0.1:1', 'wattsweep up');
  });

  it('that does not exist, or a flag that does not, is a usage error with a suggestion', async () => {
    expectRefusal(await box.wattsweep(['statsu']).exit, 'USAGE', 'Did you mean status?');
    expectRefusal(await box.wattsweep(['up', '--trainer', '2']).exit, 'USAGE', '--trainers');
  });

  it('named by --help answers on stdout and exits 0', async () => {
    const { stdout, stderr, exitCode } = await box.wattsweep(['up', '--help']).exit;
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Examples:');
  });
});

describe('plan', () => {
  it('counts a large grid without running or listing it', async () => {
    const path = file(
      'large.yaml',
      ...sound,
      'max_epochs: 9',
      'sweep:',
      '  shift: { min: 0, max: 0.5, count: 1000 }',
      '  lr_peak: { min: 0.001, max: 1, scale: log, count: 1000 }',
      'stopping: { rule: asha, first_rung: 1 }',
    );
    const { stdout, stderr, exitCode } = await box.wattsweep(['plan', path, '--json', '--limit', '3']).exit;
    expect(exitCode, stderr).toBe(0);
    const plan = JSON.parse(stdout) as {
      trials: number;
      epochs: number;
      rungs: { epochs: number }[];
      points: { hash: string; params: object }[];
    };
    expect(plan).toMatchObject({ trials: 1_000_000, epochs: 9_000_000 });
    expect(plan.rungs.map((rung) => rung.epochs)).toEqual([1, 3]);
    expect(new Set(plan.points.map((point) => point.hash)).size).toBe(3);
  });

  it.each(['quickstart', 'batch-size-study', 'command'])(
    'accepts examples/%s.yaml without a warning',
    async (name) => {
      const { stdout, stderr, exitCode } = await box.wattsweep([
        'plan',
        join(root, 'examples', `${name}.yaml`),
        '--json',
      ]).exit;
      expect(exitCode, stderr).toBe(0);
      expect((JSON.parse(stdout) as { warnings: string[] }).warnings).toEqual([]);
    },
  );
});

describe('recipe', () => {
  it('counts parameters and layers', async () => {
    const { stdout } = await box.wattsweep(['recipe', 'resnet-cifar10', '--set', 'depth=56', '--json']).exit;
    expect(JSON.parse(stdout)).toMatchObject({ trainable: 1_663_338, nonTrainable: 10_400, layers: 190 });
  });

  it('tells the learning rate used, where it turns', async () => {
    const schedule = 'schedule={ kind: keras-cifar10 }';
    const { stdout } = await box.wattsweep([
      'recipe',
      'resnet-cifar10',
      '--schedule',
      '--json',
      '--set',
      schedule,
    ]).exit;
    const rows = JSON.parse(stdout) as { epoch: number; lr: number }[];
    expect(rows.map(({ epoch }) => epoch)).toEqual([1, 82, 122, 162, 182]);
    [1e-3, 1e-4, 1e-5, 1e-6, 0.5e-6].forEach((lr, i) => expect(rows[i]?.lr).toBeCloseTo(lr, 12));
  });

  it('draws a schedule, and writes augmented pictures', async () => {
    const recipe = ['recipe', 'resnet-cifar10', '--set', 'schedule={ kind: 1cycle }'];
    const { stdout } = await box.wattsweep([...recipe, '--schedule']).exit;
    expect(stdout).toMatch(/^learning rate\n0\.001 │ +[▁-█]+\n[^]*^momentum\n0\.95 │█/m);
    const file = join(box.dir, 'preview.png');
    expect((await box.wattsweep([...recipe, '--preview', file]).exit).exitCode).toBe(0);
    const { width, height } = PNG.sync.read(readFileSync(file));
    expect([width, height]).toEqual([896, 796]);
  });

  it('refuses a depth that is none', async () => {
    expectRefusal(
      await box.wattsweep(['recipe', 'resnet-cifar10', '--set', 'depth=57']).exit,
      'PARAMETER_REFUSED',
      '9n+2',
    );
  });
});

describe('export', () => {
  it('says where it looked for a checkpoint', async () => {
    expectRefusal(await box.wattsweep(['export', 'sweep/trial']).exit, 'CHECKPOINT_INVALID', '--data');
    expectRefusal(await box.wattsweep(['export', box.dir]).exit, 'CHECKPOINT_INVALID', 'holds no checkpoint');
  });
});

describe('this machine', () => {
  const oldServer = (): string => {
    const path = join(box.dir, 'nats-server');
    writeFileSync(path, '#!/bin/sh\necho "nats-server: v2.10.3"\n', { mode: 0o755 });
    return path;
  };

  it.each([
    [
      'nats',
      (path: string) => box.wattsweep(['nats', '--port', '0', '--data', box.data, '--nats-server', path]),
    ],
    ['up', (path: string) => box.up([join(root, 'examples', 'command.yaml'), '--nats-server', path])],
  ])('has an old nats-server: `%s` says how old, and how new it must be', async (_command, start) => {
    expectRefusal(await start(oldServer()).exit, 'NATS_TOO_OLD', '2.10.3', '2.12');
  });

  it('has the port in use: `up` says which, and leaves nothing running', async () => {
    const holder = createServer();
    const port = await new Promise<number>((resolve) => {
      holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port));
    });
    const path = join(root, 'examples', 'command.yaml');
    const flags: [string, string[]][] = [
      ['nats', ['--nats-port', String(port), '--grpc-port', '0', '--http-port', '0']],
      ['coordinator', ['--nats-port', '0', '--grpc-port', String(port), '--http-port', '0']],
    ];
    for (const [, ports] of flags) {
      const finished = await box.wattsweep(['up', path, '--data', box.data, ...ports]).exit;
      expectRefusal(finished, 'PORT_IN_USE', String(port));
      expect(readdirSync(box.data)).not.toContain('up.lock');
      expect(readdirSync(box.data)).not.toContain('up.json');
    }
    holder.close();
  });

  it('listens beyond loopback with a join token only', async () => {
    const nats = await box.wattsweep(['nats', '--listen', '0.0.0.0', '--port', '0', '--data', box.data], {
      WATTSWEEP_TOKEN: '',
    }).exit;
    expectRefusal(nats, 'UNAUTHENTICATED', 'join token');
  });
});

describe('parameters that a trainer refuses', () => {
  it('fail their trial alone, with the sentence; the sweep goes on', async () => {
    const reports = mkdtempSync(join(tmpdir(), 'wattsweep-reports-'));
    const path = file(
      'refused.yaml',
      ...sound,
      'max_epochs: 1',
      'fixed: { depth: 11, train_images: 256, validation_images: 128, bn_momentum: 0.9 }',
      'cases:',
      '  - { batch_size: [0, 64] }',
      '  - { optimizer: [adamm] }',
    );
    const up = await box.up([path, '--json', '--report-dir', reports]).exit;
    rmSync(reports, { recursive: true });
    expect(up.exitCode, up.stderr).toBe(0);
    const { sweep, trials } = JSON.parse(up.stdout) as {
      sweep: { state: string };
      trials: {
        state: string;
        reason: string;
        errorCode: string | null;
        parameters: Record<string, unknown>;
      }[];
    };
    expect(sweep.state).toBe('completed');
    const outcome = (predicate: (parameters: Record<string, unknown>) => boolean) =>
      trials.find((trial) => predicate(trial.parameters));
    expect(outcome((p) => p['batch_size'] === 64)).toMatchObject({ state: 'succeeded', errorCode: null });
    const zero = outcome((p) => p['batch_size'] === 0);
    expect(zero).toMatchObject({ state: 'failed', errorCode: 'PARAMETER_REFUSED' });
    expect(zero?.reason).toMatch(/batch_size.*0/);
    const unknown = outcome((p) => p['optimizer'] === 'adamm');
    expect(unknown).toMatchObject({ state: 'failed', errorCode: 'PARAMETER_REFUSED' });
    expect(unknown?.reason).toMatch(/adamm.*adam/);
  });
});
