/** `npm run lint`: every static check, one line each; what failed is shown in full at the end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './lib/layout.mjs';
import { runMain } from './lib/errors.mjs';
import { run } from './lib/run.mjs';
import { ready } from './ready.mjs';

/** @typedef {{name: string, args: string[], needs?: string}} Check `args[0]` is a command of node_modules/.bin or a script */

/** @param {string} root @returns {Check[]} */
function checks(root) {
  const cruised = ['proto', 'services', 'client', 'cli', 'dashboards', 'test'];
  const image = join('proto', 'image.binpb');
  return [
    { name: 'gen --check', args: ['setup/gen.mjs', '--check'] },
    { name: 'tsc', args: ['tsc', '--noEmit'] },
    { name: 'tsc setup', args: ['tsc', '-p', 'setup'] },
    {
      name: 'eslint',
      args: [
        'eslint',
        '.',
        '--ignore-pattern',
        '**/gen/**',
        '--cache',
        '--cache-location',
        'node_modules/.cache/eslint/',
      ],
    },
    { name: 'prettier', args: ['prettier', '--check', '.', '!**/gen/**', '--cache', '--log-level', 'warn'] },
    { name: 'knip', args: ['knip', '--no-progress'] },
    { name: 'dependency-cruiser', args: ['depcruise', '--config', '.dependency-cruiser.cjs', ...cruised] },
    { name: 'buf lint', args: ['buf', 'lint', 'proto'] },
    { name: 'buf breaking', args: ['buf', 'breaking', 'proto', '--against', image], needs: image },
  ];
}

await runMain(async () => {
  const root = projectRoot();
  await ready({ need: ['modules'] });
  /** @type {{name: string, output: string}[]} */
  const failed = [];
  for (const { name, args, needs } of checks(root)) {
    if (needs && !existsSync(join(root, needs))) continue;
    const [tool = '', ...rest] = args;
    const began = Date.now();
    const ran = tool.endsWith('.mjs')
      ? await run(process.execPath, [join(root, tool), ...rest], { cwd: root })
      : await run(join(root, 'node_modules', '.bin', tool), rest, { cwd: root });
    console.log(
      `${name}: ${ran.code === 0 ? 'ok' : 'FAILED'} (${((Date.now() - began) / 1000).toFixed(1)} s)`,
    );
    if (ran.code !== 0) failed.push({ name, output: `${ran.stdout}${ran.stderr}`.trim() });
  }
  for (const { name, output } of failed) console.log(`\n--- ${name} ---\n${output}`);
  return failed.length > 0 ? 1 : 0;
});
