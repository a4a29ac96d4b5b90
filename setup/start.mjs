/**
 * `npm start`: sets everything up and runs a small real sweep to its report.
 *
 *   npm start -- [--gpu|--no-gpu] [--nats-server=PATH] [SWEEP.yaml] [options of `wattsweep up`]
 */
import { join } from 'node:path';
import { projectRoot } from './locate.mjs';
import { runMain } from './lib/errors.mjs';
import { runAttached } from './lib/run.mjs';
import { RUN_NEEDS, ready } from './ready.mjs';

/**
 * Set-up's own options become settings of the environment, which the started processes see too.
 * @param {readonly string[]} args
 * @returns {string[]} the rest
 */
function takeOwnOptions(args) {
  /** @type {string[]} */
  const rest = [];
  for (let i = 0; i < args.length; i++) {
    const arg = /** @type {string} */ (args[i]);
    if (arg === '--gpu' || arg === '--no-gpu') process.env.WATTSWEEP_GPU = arg === '--gpu' ? '1' : '0';
    else if (arg === '--nats-server') process.env.WATTSWEEP_NATS_SERVER = args[++i] ?? '';
    else if (arg.startsWith('--nats-server='))
      process.env.WATTSWEEP_NATS_SERVER = arg.slice('--nats-server='.length);
    else rest.push(arg);
  }
  return rest;
}

await runMain(async () => {
  const rest = takeOwnOptions(process.argv.slice(2));
  const root = projectRoot();
  await ready({ need: RUN_NEEDS });
  const sweep = rest.some((arg) => /\.ya?ml$/.test(arg)) ? [] : [join(root, 'examples', 'quickstart.yaml')];
  return runAttached(process.execPath, [join(root, 'bin', 'wattsweep.js'), 'up', ...sweep, ...rest]);
});
