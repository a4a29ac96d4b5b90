/** What `npm install wattsweep` would bring: the packed tarball with its declared dependencies and nothing else. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { allowCurve, writeCurveSweep } from './command-sweep.js';
import { type Finished, Sandbox, root } from './support.js';

let box: Sandbox;
let installed: string;
beforeAll(() => {
  box = new Sandbox();
  execFileSync('npm', ['pack', '--silent', '--pack-destination', box.dir], { cwd: root });
  const tarball = readdirSync(box.dir).find((name) => name.endsWith('.tgz')) ?? '';
  execFileSync('tar', ['-xzf', tarball], { cwd: box.dir });
  installed = join(box.dir, 'package');
  const manifest = readFileSync(join(installed, 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const link = join(installed, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
});
afterAll(() => box.close());

const wattsweep = (...args: string[]): Promise<Finished> =>
  box.node(join(installed, 'bin', 'wattsweep.js'), args).exit;

it('checks and plans a sweep of the examples', async () => {
  const plan = await wattsweep('plan', join(installed, 'examples', 'quickstart.yaml'));
  expect(plan.exitCode, plan.stderr).toBe(0);
  expect(plan.stdout).toMatch(/^quickstart: \d+ trials/);
});

it('runs a sweep to its report', async () => {
  const sweep = writeCurveSweep(box, { trials: 2, epochs: 2, epochSeconds: 0.1 });
  const ports = ['--nats-port', '0', '--grpc-port', '0', '--http-port', '0'];
  const places = ['--data', box.data, '--report-dir', box.reports];
  const up = await wattsweep('up', sweep, ...ports, ...places, ...allowCurve);
  expect(up.exitCode, up.stderr).toBe(0);
  expect(readdirSync(box.reports, { recursive: true }).join()).toContain('report.html');
});
