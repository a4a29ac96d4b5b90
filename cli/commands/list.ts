import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, repeatedOption, withServer } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly tag: readonly string[];
  readonly archived?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('list')
    .description('all sweeps, newest first: state, progress, best trial, energy, tags')
    .addOption(repeatedOption('--tag <tag>', 'only sweeps with this tag'))
    .option('--archived', 'those that are archived, too');
  withServer(command).action(async (options: Options) => {
    const { withCoordinator } = await import('../client.js');
    const { printJson } = await import('../output.js');
    const { sweepJson } = await import('../json.js');
    const { printSweeps } = await import('../sweep-list.js');
    const request = { archived: options.archived ?? false, tags: options.tag };
    const { sweeps } = await withCoordinator(options, (coordinator) => coordinator.list(request));
    const isAll = options.tag.length === 0;
    if (options.json) printJson({ sweeps: sweeps.map(sweepJson) });
    else printSweeps(sweeps, isAll ? 'No sweeps. Start one with `wattsweep submit FILE`.' : 'No such sweep.');
  });
}
