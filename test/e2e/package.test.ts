/** What `npm install wattsweep` would bring: the packed tarball with its declared dependencies and nothing else. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
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
  const plan = await wattsweep('plan', 'examples/quickstart.yaml');
  expect(plan.exitCode, plan.stderr).toBe(0);
  expect(plan.stdout).toMatch(/^quickstart: \d+ trials/);
});

it('has a client that programs import, with its types', async () => {
  mkdirSync(join(box.dir, 'node_modules'));
  symlinkSync(installed, join(box.dir, 'node_modules', 'wattsweep'));
  const program = [
    "import { WattsweepClient, WattsweepError, type SweepEvent } from 'wattsweep';",
    "const client = new WattsweepClient({ server: '127.0.0.1:9' });",
    'async function follow(sweepId: string): Promise<number> {',
    '  const events: AsyncGenerator<SweepEvent> = client.watch(sweepId, { awayMs: 1 });',
    "  for await (const event of events) if (event.type === 'trial') return event.trial.epoch;",
    '  return 0;',
    '}',
    '// @ts-expect-error no event has this',
    'export const wrong = (event: SweepEvent) => event.epok;',
    "const code = await follow('x').catch((e: unknown) => (e instanceof WattsweepError ? e.code : 'none'));",
    'console.log(code);',
    'client.close();',
  ].join('\n');
  const file = join(box.dir, 'program.mts');
  writeFileSync(file, program);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const flags = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--skipLibCheck'];
  const types = ['--typeRoots', join(root, 'node_modules', '@types'), '--types', 'node'];
  const compiled = await box.node(tsc, [...flags, ...types, file]).exit;
  expect(compiled.stdout).toBe('');
  expect((await box.node(join(box.dir, 'program.mjs'), []).exit).stdout.trim()).toBe(
    'COORDINATOR_UNREACHABLE',
  );
});

it('runs a sweep to its report', async () => {
  const sweep = writeCurveSweep(box, { trials: 2, epochs: 2, epochSeconds: 0.1 });
  const ports = ['--nats-port', '0', '--grpc-port', '0', '--http-port', '0'];
  const places = ['--data', box.data, '--report-dir', box.reports];
  const up = await wattsweep('up', sweep, ...ports, ...places, ...allowCurve);
  expect(up.exitCode, up.stderr).toBe(0);
  expect(readdirSync(box.reports, { recursive: true }).join()).toContain('report.html');
});
