/** npm, with install scripts off: no package of ours needs one, and one of them (TensorFlow's) breaks the installation. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError, diskFull, isDiskFull } from './errors.mjs';
import { run } from './run.mjs';

/** The npm that belongs to the running Node, else the one on PATH. */
function npmCommand() {
  const beside = join(dirname(process.execPath), 'npm');
  return existsSync(beside) ? beside : 'npm';
}

/**
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {string} what for the error's sentence
 */
export async function npm(args, cwd, what) {
  // A parent npm (npm test) hands its own settings down in npm_* variables; ours must not depend on how we were started.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^npm_(package|lifecycle|command|config_(prefix|local_prefix|ignore_scripts|omit|include|json|global|workspace))/i.test(
          name,
        ),
    ),
  );
  const ran = await run(
    npmCommand(),
    [...args, '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'],
    { cwd, env },
  );
  if (ran.code === 0) return ran.stdout;
  if (ran.missing)
    throw new SetupError(
      'SETUP_NPM',
      'There is no npm on PATH.',
      'Install Node.js with npm (version 10 or newer).',
    );
  if (isDiskFull(ran.stderr)) throw diskFull(cwd, { detail: ran.stderr.trim() });
  // npm says what is wrong first and how it is used afterwards.
  const detail = ran.stderr.trim().split('\n').slice(0, 12).join('\n');
  if (ran.stderr.includes('EUSAGE')) {
    throw new SetupError(
      'SETUP_LOCK',
      `The lock file in ${cwd} does not fit its package.json, so npm would not install ${what}.`,
      'Undo what changed one of them, or run npm install --package-lock-only there.',
      { detail },
    );
  }
  throw new SetupError(
    'SETUP_NPM',
    `npm could not install ${what}.`,
    'Check that this machine reaches its npm registry (npm ping; proxy: HTTPS_PROXY) and run it again.',
    { detail },
  );
}
