import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('watch')
    .description('show a sweep until it ends; with --json one change a line')
    .argument('[sweep]', 'sweep (default: the newest)', '');
  withServer(command).action(async (sweepId: string, options: ServerOptions & JsonOption) => {
    const { withCoordinator } = await import('../client.js');
    await withCoordinator(options, async (coordinator) => {
      if (!options.json) {
        const { watchToEnd } = await import('../watching.js');
        await watchToEnd(coordinator, sweepId);
        return;
      }
      const { printJson } = await import('../output.js');
      const { updateJson } = await import('../json.js');
      for await (const update of coordinator.watch(sweepId)) printJson(updateJson(update), 0);
    });
  });
}
