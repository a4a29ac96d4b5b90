import type { Command } from 'commander';
import { type ServerOptions, type JsonOption, repeatedOption, withServer, withSet } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly set: readonly string[];
  readonly tag: readonly string[];
  readonly smoke?: boolean;
  readonly watch?: boolean;
  readonly requestId?: string;
}

export function register(program: Command): void {
  const command = program
    .command('submit')
    .description('start a sweep on a running coordinator')
    .argument('<file>', 'sweep file')
    .addOption(repeatedOption('--tag <tag>', 'word to find the sweep by'))
    .option('--smoke', 'first one epoch of the extreme points; the sweep is paused when one of them fails')
    .option('--watch', 'stay and show it until it ends')
    .option('--request-id <id>', 'makes a retried submit harmless: the same id again returns the same sweep');
  withServer(withSet(command)).action(async (file: string, options: Options) => {
    const { readSweepFile } = await import('../sweep-file.js');
    const { withCoordinator } = await import('../client.js');
    const { packCode, shipping } = await import('../code/ship.js');
    const { print, printJson, warn } = await import('../output.js');
    // Checked here first: this side knows the file's name, and a mistake needs no coordinator to be seen.
    const source = readSweepFile(file, options.set);
    const packed = await packCode(source);
    await withCoordinator(options, async (coordinator) => {
      const requestId = options.requestId ?? crypto.randomUUID();
      const accepted = await shipping(coordinator, packed).submit({
        yaml: source.yaml,
        overrides: options.set,
        requestId,
        tags: options.tag,
        smoke: options.smoke ?? false,
      });
      for (const warning of accepted.warnings) warn(warning);
      if (options.json) printJson({ sweepId: accepted.sweepId, warnings: accepted.warnings });
      else print(accepted.sweepId);
      if (options.watch) {
        const { watchToEnd } = await import('../watching.js');
        await watchToEnd(coordinator, accepted.sweepId);
      }
    });
  });
}
