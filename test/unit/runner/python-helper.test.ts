/** `examples/wattsweep_report.py` as programs use it: what it prints is what the command recipe reads. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseReport } from '../../../services/trainer/runner/recipes/command/report.js';

const examples = resolve(import.meta.dirname, '../../../examples');
const helper = join(examples, 'wattsweep_report.py');
const hasPython = spawnSync('python3', ['--version']).status === 0;

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'wattsweep-python-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const environment = (more: Readonly<Record<string, string>> = {}) => ({
  ...process.env,
  PYTHONPATH: `${examples}:${folder}`,
  PYTHONDONTWRITEBYTECODE: '1',
  ...more,
});

function python(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const ran = spawnSync('python3', args, { cwd: folder, env: environment(more), encoding: 'utf8' });
  return { ...ran, reports: reportsIn(ran.stdout) };
}

const reportsIn = (stdout: string) =>
  stdout
    .split('\n')
    .map(parseReport)
    .filter((report) => report !== 'log');

const write = (name: string, lines: readonly string[]): string => {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  return name;
};

describe.skipIf(!hasPython)('a program with the Python helper', () => {
  it('has its parameters, and reports behind an open line', () => {
    writeFileSync(join(folder, 'parameters.json'), '{"lr": 0.25, "schedule": {"kind": "constant"}}');
    const program = write('train.py', [
      'import wattsweep_report as wattsweep',
      'settings = wattsweep.parameters(lr=0.1, momentum=0.9)',
      'print("step 9/10 [====>", end="")',
      'for epoch in range(1, wattsweep.max_epochs(90) + 1):',
      '    wattsweep.report(epoch, val_accuracy=float("nan") if epoch == 2 else 0.5, **{k: settings[k] for k in ("lr", "momentum")})',
    ]);
    const { reports, status, stderr } = python([program], {
      WATTSWEEP_PARAMETERS_FILE: join(folder, 'parameters.json'),
      WATTSWEEP_MAX_EPOCHS: '2',
    });
    expect(status, stderr).toBe(0);
    expect(reports).toEqual([
      { epoch: 1, step: 0, metrics: { val_accuracy: 0.5, lr: 0.25, momentum: 0.9 } },
      { epoch: 2, step: 0, metrics: { val_accuracy: NaN, lr: 0.25, momentum: 0.9 } },
    ]);
  });

  it('under Keras reports each epoch and ends training when asked, without the epoch that was cut', () => {
    // What the callback needs of Keras: its base class, and its order of calls.
    write('keras.py', ['class callbacks:', '    class Callback:', '        model = None']);
    const program = write('train.py', [
      'import os, signal, types',
      'import wattsweep_report as wattsweep',
      'callback = wattsweep.keras_callback()',
      'callback.model = types.SimpleNamespace(stop_training=False)',
      'callback.on_train_begin()',
      'for epoch in range(9):',
      '    if epoch == 2: os.kill(os.getpid(), signal.SIGTERM)',
      '    callback.on_train_batch_end(0)',
      '    callback.on_epoch_end(epoch, {"loss": 1.5, "val_accuracy": 0.25})',
      '    if callback.model.stop_training: break',
      'print("epochs begun:", epoch + 1)',
    ]);
    const { reports, stdout, status, stderr } = python([program]);
    expect(status, stderr).toBe(0);
    const metrics = { loss: 1.5, val_accuracy: 0.25 };
    expect(reports).toEqual([
      { epoch: 1, step: 0, metrics },
      { epoch: 2, step: 0, metrics },
    ]);
    expect(stdout).toContain('epochs begun: 3');
  });
});

describe.skipIf(!hasPython)('the Python helper around a program', () => {
  it('reads epochs from its output, passes that on, and ends with its exit code', () => {
    const program = write('train.sh', [
      'printf "epoch 1 ...\\repoch 1 acc 0.5\\n"',
      'echo "epoch 2 acc 0.75"',
      'exit 7',
    ]);
    const regex = 'epoch (?P<epoch>\\d+) acc (?P<val_accuracy>\\S+)';
    const { reports, status, stdout } = python([helper, '--regex', regex, '--', 'sh', program]);
    expect(reports).toEqual([
      { epoch: 1, step: 0, metrics: { val_accuracy: 0.5 } },
      { epoch: 2, step: 0, metrics: { val_accuracy: 0.75 } },
    ]);
    expect(stdout).toContain('epoch 2 acc 0.75');
    expect(status).toBe(7);
  });

  it('counts the lines that match when the pattern names no epoch', () => {
    const { reports } = python([
      helper,
      '--regex',
      'acc (?P<acc>\\S+)',
      '--',
      'printf',
      'acc 0.1\\nx\\nacc 0.2\\n',
    ]);
    expect(reports.map((report) => report !== 'malformed' && report.epoch)).toEqual([1, 2]);
  });

  it('reads what CSVLogger writes: epochs from 0, NA for what was not measured, no row of an earlier run', () => {
    write('history.csv', ['epoch,accuracy,val_accuracy', '0,0.1,0.1']);
    const program = write('train.sh', [
      'printf "1,0.5,NA\\n2,0.6" >> history.csv',
      'sleep 0.5',
      'printf ",0.75\\n" >> history.csv',
    ]);
    const { reports } = python([helper, '--keras-csv', 'history.csv', '--', 'sh', program]);
    expect(reports).toEqual([
      { epoch: 2, step: 0, metrics: { accuracy: 0.5 } },
      { epoch: 3, step: 0, metrics: { accuracy: 0.6, val_accuracy: 0.75 } },
    ]);
  });

  it('reads a file that is begun anew, too', () => {
    write('history.csv', ['epoch,acc', '0,0.1', '1,0.2']);
    const anew = 'printf "epoch,acc\\n0,0.3\\n1,0.4\\n" > history.csv';
    const { reports } = python([helper, '--keras-csv', 'history.csv', '--', 'sh', '-c', anew]);
    expect(reports).toEqual([
      { epoch: 1, step: 0, metrics: { acc: 0.3 } },
      { epoch: 2, step: 0, metrics: { acc: 0.4 } },
    ]);
  });

  it('outlives the request to stop, and reports the last epoch of a program that ends in order', async () => {
    const program = write('train.sh', [
      'trap "echo acc 0.9; exit 0" TERM',
      'echo ready',
      'while :; do sleep 0.05; done',
    ]);
    const child = spawn('python3', [helper, '--regex', 'acc (?P<acc>\\S+)', '--', 'sh', program], {
      cwd: folder,
      env: environment(),
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const isReady = stdout.includes('ready');
      stdout += chunk.toString();
      // As the command recipe does: the whole group.
      if (!isReady && stdout.includes('ready')) process.kill(-(child.pid ?? 0), 'SIGTERM');
    });
    const code = await new Promise((done) => child.once('close', done));
    expect(code).toBe(0);
    expect(reportsIn(stdout)).toEqual([{ epoch: 1, step: 0, metrics: { acc: 0.9 } }]);
  });

  it('dies by the signal that killed the program', () => {
    const { signal } = python([helper, '--regex', 'acc (?P<acc>\\S+)', '--', 'sh', '-c', 'kill -SEGV $$']);
    expect(signal).toBe('SIGSEGV');
  });
});
