/** The example without a GPU: published V100 measurements go the way of all reports, and come out as they went in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Sandbox, root, until } from './support.js';

const example = join(root, 'examples', 'replay-v100.yaml');

let box: Sandbox;
beforeEach(() => (box = new Sandbox()));
afterEach(() => box.close());

interface Report {
  readonly answer: { readonly fastestCellId: string; readonly cheapestCellId: string };
  readonly sweep: { readonly wastedJoules: number | null };
  readonly devices: readonly { readonly device: string; readonly powerMethods: readonly string[] }[];
  readonly cells: readonly {
    readonly cellId: string;
    readonly label: string;
    readonly levels: readonly Readonly<
      Record<'seconds' | 'joules', { readonly value: number; readonly n: number }>
    >[];
  }[];
  readonly pareto: { readonly timeAndEnergyToLevel: readonly { readonly cellIds: readonly string[] }[] };
  readonly warnings: readonly { readonly code: string }[];
}

it('reports the Pareto front of the trace, on a part of it: both its ends', async () => {
  const part = ['sweep.batch_size=[128, 256]', 'sweep.gpu_power_limit_watts=[100, 225]'];
  const set = part.flatMap((key) => ['--set', key]);
  const { exitCode, stdout, stderr } = await box.up([example, '--trainers', '2', ...set, '--json']).exit;
  expect(exitCode, stderr).toBe(0);
  const { report: paths } = JSON.parse(stdout) as { report: string[] };
  const path = paths.find((name) => name.endsWith('.json')) ?? '';
  const report = JSON.parse(readFileSync(join(box.dir, path), 'utf8')) as Report;

  const cellOf = (id: string | undefined) => report.cells.find(({ cellId }) => cellId === id);
  const labels = report.pareto.timeAndEnergyToLevel[0]?.cellIds.map((id) => cellOf(id)?.label);
  expect(labels?.toSorted()).toEqual([
    'batch_size 128 · gpu_power_limit_watts 100',
    // In the whole trace 150 W beats it.
    'batch_size 128 · gpu_power_limit_watts 225',
    'batch_size 256 · gpu_power_limit_watts 225',
  ]);
  const costs = (id: string) => {
    const cell = cellOf(id);
    const { seconds, joules } = cell?.levels[0] ?? {};
    return [cell?.label, seconds?.n, Math.round(seconds?.value ?? NaN), Math.round(joules?.value ?? NaN)];
  };
  expect(costs(report.answer.fastestCellId)).toEqual([
    'batch_size 256 · gpu_power_limit_watts 225',
    5,
    311,
    51_936,
  ]);
  expect(costs(report.answer.cheapestCellId)).toEqual([
    'batch_size 128 · gpu_power_limit_watts 100',
    5,
    339,
    28_478,
  ]);
  expect(report.devices).toMatchObject([{ device: 'Tesla V100 (replayed)', powerMethods: ['replay'] }]);
  expect(report.sweep.wastedJoules).toBe(0);
  expect(report.warnings.map(({ code }) => code)).toContain('replayed');
});

it('shows the watts of the V100 in /metrics while a trial runs, in real time', async () => {
  const only = ['sweep.batch_size=[128]', 'sweep.gpu_power_limit_watts=[100]', 'repeats=1', 'fixed.speed=1'];
  const up = box.up([example, ...only.flatMap((set) => ['--set', set])]);
  await until(
    'the device tells its watts',
    async () => {
      const address = box.record()?.httpAddress;
      if (!address) return false;
      const metrics = await (await fetch(`http://${address}/metrics`)).text();
      return (
        /^wattsweep_device_power_watts\{[^}]*device="replay-cpu"[^}]*method="replay"[^}]*\} 83\.95/m.test(
          metrics,
        ) && /^wattsweep_device_info\{[^}]*model="Tesla V100 \(replayed\)"[^}]*\} 1$/m.test(metrics)
      );
    },
    { words: () => up.words },
  );
  up.child.kill('SIGINT');
  await up.exit;
});
