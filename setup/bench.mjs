/** `npm run bench -- NAME [options]`: runs test/bench/NAME.ts; without a name it lists them. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './lib/layout.mjs';
import { runMain } from './lib/errors.mjs';
import { runAttached } from './lib/run.mjs';
import { ready } from './ready.mjs';

await runMain(async () => {
  const [name, ...rest] = process.argv.slice(2);
  const root = projectRoot();
  const folder = join(root, 'test', 'bench');
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => /^[\w-]+\.ts$/.test(file))
        .map((file) => file.slice(0, -3))
    : [];
  if (!name || !names.includes(name)) {
    console.error(`usage: npm run bench -- NAME [--json]\nbenchmarks: ${names.join(', ') || 'none yet'}`);
    return 2;
  }
  await ready({ need: ['modules', 'build', 'engine', 'cifar10', 'nats'] });
  return runAttached(join(root, 'node_modules', '.bin', 'tsx'), [join(folder, `${name}.ts`), ...rest], {
    cwd: root,
  });
});
