import { type Command, Option } from 'commander';
import {
  DEFAULT_DATA_DIR,
  DEFAULT_PORTS,
  parseCount,
  durationOption,
  parsePort,
  parsePositive,
  repeatedOption,
  warmOption,
  withJson,
  withSet,
} from '../options.js';
import type { UpFlags } from '../up/flags.js';
import { logLevel } from './coordinator.js';

export function register(program: Command): void {
  const command = program
    .command('up')
    .description('NATS, a coordinator and trainers on this machine; runs a sweep if one is given')
    .argument('[sweep]', 'sweep file to run to its report')
    .option('--trainers <n>', 'so many trainers, which share the cores of this machine', parseCount, 1)
    .option('--slots-per-device <n>', 'so many slots share each GPU', parseCount, 1)
    .option('--listen <host>', 'let other boxes join: address to listen on, e.g. 0.0.0.0', '127.0.0.1')
    .option('--data <dir>', `where state lives (default: ${DEFAULT_DATA_DIR})`)
    .option(
      '--token <token>',
      'join token for --listen (default: WATTSWEEP_TOKEN, else one that is made and kept)',
    )
    .option('--nats-port <port>', '0 for any free one', parsePort, DEFAULT_PORTS.nats)
    .option('--grpc-port <port>', 'of the coordinator; 0 for any free one', parsePort, DEFAULT_PORTS.grpc)
    .option('--http-port <port>', 'for /metrics; 0 for any free one', parsePort, DEFAULT_PORTS.http)
    .option('--nats-server <path>', 'own nats-server binary, 2.12 or newer')
    .addOption(
      durationOption(
        '--lost-after <time>',
        'a trainer that is away for so long is lost, its trials run elsewhere',
        '90s',
      ),
    )
    .addOption(
      durationOption('--trainer-ttl <time>', 'a trainer that is silent for so long is suspect', '10s'),
    )
    .addOption(durationOption('--stop-grace <time>', 'from asking an attempt to end to killing it', '30s'))
    .addOption(warmOption())
    .addOption(
      new Option('--restart <policy>', 'what to do when a service dies')
        .choices(['always', 'never'])
        .default('always'),
    )
    .option('--smoke', 'first one epoch of the extreme points; the sweep is paused when one of them fails')
    .option('--new-ledger', 'begin with an empty ledger though the data folder has had another')
    .option('--new', 'start the sweep anew, also where an interrupted one of its name would go on')
    .option('--keep', 'stay up after the sweep has ended')
    .option('--report-dir <dir>', 'where reports go, a folder a sweep', 'reports')
    .option(
      '--estimate-watts <w>',
      'where nothing reads power: assume so much, labelled as an estimate',
      parsePositive,
    )
    .option('--modules <dir>', 'let sweeps use search methods and stopping rules from this folder')
    .addOption(repeatedOption('--allow-command <program>', 'let sweeps run this program'))
    .addOption(logLevel());
  withJson(withSet(command))
    .addHelpText(
      'after',
      `
Examples:
  wattsweep up examples/quickstart.yaml          a small real sweep, to its report
  wattsweep up --trainers 2 my-sweep.yaml        two trials at a time
  wattsweep up --listen 0.0.0.0                  stay up, and print the line for the next box

Ctrl-C ends everything in order; a second one at once.`,
    )
    .action(async (sweepFile: string | undefined, flags: UpFlags) => {
      const { up } = await import('../up/up.js');
      await up(sweepFile ?? null, flags);
    });
}
