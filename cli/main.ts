/**
 * The `wattsweep` command. One file a command in `commands/` declares its flags and loads what it needs only when it
 * runs, so that help and mistakes answer at once. Beside them: `client.ts` (the coordinator's API), `live.ts` and
 * `sweep-view.ts` (what is shown), `up/` (the stack on this machine), `nats/` (the server), `doctor/` (checks).
 *
 * Data goes to stdout, all else to stderr; the exit code says the cause (`proto/errors.ts`). No logic lives here that
 * the API lacks.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { projectRoot } from '../setup/locate.mjs';
import * as change from './commands/change.js';
import * as control from './commands/control.js';
import * as coordinator from './commands/coordinator.js';
import * as dataset from './commands/dataset.js';
import * as doctor from './commands/doctor.js';
import * as explain from './commands/explain.js';
import * as exported from './commands/export.js';
import * as list from './commands/list.js';
import * as logs from './commands/logs.js';
import * as nats from './commands/nats.js';
import * as plan from './commands/plan.js';
import * as recipe from './commands/recipe.js';
import * as replay from './commands/replay.js';
import * as report from './commands/report.js';
import * as simulate from './commands/simulate.js';
import * as status from './commands/status.js';
import * as submit from './commands/submit.js';
import * as trainer from './commands/trainer.js';
import * as trainers from './commands/trainers.js';
import * as up from './commands/up.js';
import * as validate from './commands/validate.js';
import * as watch from './commands/watch.js';
import { reportFailure, toWattsweepError, withHelpOf } from './errors.js';
import { tolerateClosedPipe } from './output.js';
import { sayFailed } from './up/child-protocol.js';

const groups = [
  { title: 'Run:', commands: [up, submit, list, status, watch, control] },
  { title: 'Change:', commands: [change] },
  { title: 'Before:', commands: [validate, plan, simulate, recipe, dataset, doctor] },
  { title: 'After:', commands: [logs, report, explain, exported, replay] },
  { title: 'Services:', commands: [trainers, coordinator, trainer, nats] },
];

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8'));
  return String((manifest as { version?: unknown }).version);
}

function program(): Command {
  const root = new Command('wattsweep')
    .description(
      'Hyperparameter sweeps that tell which setting reaches the accuracy you need for the least time and energy.',
    )
    .version(version())
    .exitOverride()
    // Our own report of the failure follows; commander's would double it.
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
Examples:
  wattsweep up examples/quickstart.yaml     run a small sweep to its report
  wattsweep plan examples/quickstart.yaml   what would run, before anything runs
  wattsweep status                          sweeps of the coordinator here`,
    );
  for (const { title, commands } of groups) {
    root.commandsGroup(title);
    for (const command of commands) command.register(root);
  }
  return root;
}

async function main(args: readonly string[]): Promise<void> {
  tolerateClosedPipe();
  const root = program();
  try {
    await root.parseAsync(args, { from: 'user' });
  } catch (failure) {
    const command = root.commands.find((one) => one.name() === args[0]);
    const error = command === undefined ? failure : withHelpOf(command.name(), failure);
    process.exitCode = reportFailure(error, args.includes('--json'));
    if (process.exitCode !== 0) sayFailed(toWattsweepError(error));
    // A failed service may still hold sockets open; what had to be said was said.
    const end = (): void => {
      if (args[0] === 'coordinator' || args[0] === 'trainer') process.exit();
    };
    if (process.connected) {
      process.once('disconnect', end);
      process.disconnect();
    } else end();
  }
}

await main(process.argv.slice(2));
