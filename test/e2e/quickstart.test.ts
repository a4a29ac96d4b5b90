/** What a stranger does: `npm start` in a clone that is set up. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Sandbox, root } from './support.js';

let box: Sandbox;
beforeAll(() => (box = new Sandbox()));
afterAll(() => box.close());

interface Report {
  readonly sweep: {
    readonly trials: { readonly total: number; readonly byState: Readonly<Record<string, number>> };
  };
  readonly trials: readonly { readonly best: { readonly value: number } | null }[];
  readonly stopped: readonly {
    readonly rule: string | null;
    readonly reason: string;
    readonly rank: number | null;
    readonly n: number | null;
  }[];
}

it('runs the quickstart to its report: something is learned, and something is stopped with its reason', async () => {
  const begun = performance.now();
  const ports = ['--nats-port', '0', '--grpc-port', '0', '--http-port', '0'];
  const start = await box.node(join(root, 'setup', 'start.mjs'), [
    ...ports,
    '--data',
    box.data,
    '--report-dir',
    box.reports,
  ]).exit;
  const seconds = (performance.now() - begun) / 1000;
  console.log(`quickstart: ${seconds.toFixed(0)} s`);
  expect(start.exitCode, start.stderr).toBe(0);

  const paths = start.stdout.trim().split('\n').slice(-3);
  expect(paths.map((path) => path.split('/').at(-1))).toEqual(['report.md', 'report.html', 'report.json']);
  const [markdown, html, json] = paths.map((path) => readFileSync(join(box.dir, path), 'utf8'));
  expect(start.stdout).toContain(markdown?.trim());
  expect(html).toContain('<svg');

  const report = JSON.parse(json ?? '') as Report;
  expect(report.sweep.trials.total).toBeGreaterThanOrEqual(8);
  expect(report.sweep.trials.byState['failed'] ?? 0).toBe(0);
  const best = Math.max(...report.trials.map((trial) => trial.best?.value ?? 0));
  console.log(`quickstart: best val_accuracy ${best.toFixed(4)}`);
  expect(best).toBeGreaterThanOrEqual(0.4);
  const byRule = report.stopped.filter(({ rule }) => rule?.startsWith('asha'));
  expect(byRule.length).toBeGreaterThan(0);
  for (const { reason, rank, n } of byRule) {
    expect(reason).not.toBe('');
    expect(rank).toBeLessThanOrEqual(n ?? 0);
  }
});
