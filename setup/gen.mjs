/**
 * `npm run gen`: writes every generated file anew. `--check` does so too and fails when that changed one.
 *
 * The contract comes from buf; anything else from a script named `*.gen.ts`, which writes its files beside it or in docs/.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './lib/layout.mjs';
import { SetupError, runMain } from './lib/errors.mjs';
import { lastWords, run } from './lib/run.mjs';
import { ready } from './ready.mjs';

/** Where generators live and write. */
const FOLDERS = ['proto', 'dashboards', 'docs', 'deploy', 'services', 'cli', 'examples'];

/**
 * @param {string} root
 * @returns {string[]} paths below the root
 */
function listFiles(root) {
  return FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(/** @type {any} */ (entry).parentPath ?? entry.path, entry.name))
      .filter((path) => !path.includes('node_modules')),
  );
}

/** @param {string} root */
const contents = (root) =>
  new Map(
    listFiles(root).map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );

/** @param {string} root */
function generators(root) {
  const bin = join(root, 'node_modules', '.bin');
  const scripts = listFiles(root)
    .filter((path) => path.endsWith('.gen.ts'))
    .sort();
  return [
    { name: 'buf generate', program: join(bin, 'buf'), args: ['generate'], cwd: join(root, 'proto') },
    ...scripts.map((path) => ({
      name: path.slice(root.length + 1),
      program: join(bin, 'tsx'),
      args: [path],
      cwd: root,
    })),
  ];
}

await runMain(async () => {
  const root = projectRoot();
  const check = process.argv.includes('--check');
  await ready({ need: ['modules'] });
  const before = check ? contents(root) : null;
  for (const { name, program, args, cwd } of generators(root)) {
    const ran = await run(program, args, { cwd });
    if (ran.code !== 0)
      throw new SetupError('WS-SETUP-GEN', `The generator ${name} failed.`, 'Mend it and run it again.', {
        detail: lastWords(ran),
      });
  }
  if (!before) return 0;
  const after = contents(root);
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path) !== after.get(path),
  );
  for (const path of changed) console.log(`${path.slice(root.length + 1)} was not what its generator writes`);
  if (changed.length > 0) console.log('Commit what `npm run gen` has now written.');
  return changed.length > 0 ? 1 : 0;
});
