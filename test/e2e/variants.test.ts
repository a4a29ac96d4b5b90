/** One sweep compares programs: our recipe, a Python program with the helper, and a shell script stand in one report. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Sandbox, root } from './support.js';

let box: Sandbox;
beforeEach(() => (box = new Sandbox()));
afterEach(() => box.close());

/**
 * Further variants, as JSON: `{"keras": ["/path/to/python", "/path/to/keras.py"]}`. Real Keras and PyTorch are too large for
 * every run of the tests.
 */
const FURTHER = JSON.parse(process.env.WATTSWEEP_TEST_VARIANTS ?? '{}') as Record<string, string[]>;

const PYTHON = `
import sys
sys.path.insert(0, ${JSON.stringify(join(root, 'examples'))})
import wattsweep_report as wattsweep
lr = wattsweep.parameters(lr_peak=0.1)["lr_peak"]
wattsweep.on_stop()
for epoch in range(1, wattsweep.max_epochs(2) + 1):
    wattsweep.report(epoch, val_accuracy=0.5 + lr * epoch / 10, loss=1 / epoch)
`;
const SHELL = `
set -eu
epoch=1
while [ "$epoch" -le "$WATTSWEEP_MAX_EPOCHS" ]; do
  echo "training epoch $epoch at $1"
  echo "{\\"epoch\\": $epoch, \\"val_accuracy\\": 0.$epoch}"
  epoch=$((epoch + 1))
done
`;

describe('a sweep of variants', () => {
  it('runs a tfjs trial, a Python program and a shell script, and reports them side by side', async () => {
    // The programs are seen on the box by their names alone: the folder is shipped.
    mkdirSync(join(box.dir, 'src', 'shell'), { recursive: true });
    writeFileSync(join(box.dir, 'src', 'train.py'), PYTHON);
    writeFileSync(join(box.dir, 'src', 'shell', 'train.sh'), SHELL);
    writeFileSync(join(box.dir, 'src', '.wattsweepignore'), '*.bin\n');
    writeFileSync(join(box.dir, 'src', 'data.bin'), 'not shipped');
    const variants = {
      ours: {
        recipe: 'resnet-cifar10',
        fixed: { depth: 11, train_images: 256, validation_images: 256, batch_size: 64 },
      },
      python: { command: ['python3', 'train.py'] },
      shell: { command: ['sh', 'train.sh', '{lr_peak}'], workdir: 'shell' },
      ...Object.fromEntries(Object.entries(FURTHER).map(([name, command]) => [name, { command }])),
    };
    const names = Object.keys(variants);
    const sweep = join(box.dir, 'sweep.yaml');
    // YAML holds JSON.
    writeFileSync(
      sweep,
      JSON.stringify({
        name: 'compare',
        variants,
        code: 'src',
        objective: { metric: 'val_accuracy', goal: 'maximize' },
        max_epochs: 2,
        sweep: { lr_peak: [0.1, 0.05] },
      }),
    );
    const programs = new Set(['python3', 'sh', ...Object.values(FURTHER).map(([program]) => program ?? '')]);
    const allowed = [...programs].flatMap((program) => ['--allow-command', program]);
    const up = box.up([sweep, ...allowed, '--estimate-watts', '50', '--json']);
    const { exitCode, stdout } = await up.exit;
    expect(exitCode, up.words).toBe(0);
    const { report: paths } = JSON.parse(stdout) as { report: string[] };
    const path = paths.find((name) => name.endsWith('.json')) ?? '';
    const report = JSON.parse(readFileSync(join(box.dir, path), 'utf8')) as {
      sweep: { recipe: string; code: { folder: string; files: number; git: null } };
      variedParameters: string[];
      engines: { name: string }[];
      trials: {
        state: string;
        label: string;
        parameters: Record<string, unknown>;
        joules: number | null;
        curve: { epochs: number[] };
      }[];
    };
    expect(report.variedParameters.toSorted()).toEqual(['lr_peak', 'variant']);
    expect(report.sweep.code).toMatchObject({ folder: 'src', files: 3, git: null });
    expect(report.sweep.recipe).toContain('ours: resnet-cifar10, python: python3, shell: sh');
    expect(report.trials.map(({ state }) => state)).toEqual(Array(2 * names.length).fill('succeeded'));
    for (const name of names) {
      const own = report.trials.filter(({ parameters }) => parameters.variant === name);
      expect(own.map(({ parameters }) => parameters.lr_peak).sort()).toEqual([0.05, 0.1]);
      for (const { curve, joules, label } of own) {
        expect(curve.epochs).toEqual([1, 2]);
        expect(joules).toBeGreaterThan(0);
        expect(label).toContain(name);
      }
    }
    expect(new Set(report.engines.map((engine) => engine.name)).size).toBeGreaterThan(1);
  });
});
