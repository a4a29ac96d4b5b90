import type { Command } from 'commander';
import { type JsonOption, parseCount, type ServerOptions, withServer } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly sweep: string;
  readonly attempt?: number;
  readonly follow?: boolean;
  readonly tail?: number;
}

export function register(program: Command): void {
  const command = program
    .command('logs')
    .description("what a trial's program has printed, stdout and stderr as they came")
    .argument('<trial>', 'trial, e.g. t0007; or SWEEP/TRIAL')
    .option('--sweep <sweep>', 'its sweep (default: the newest)', '')
    .option('--attempt <number>', 'which attempt (default: the newest)', parseCount)
    .option('-n, --tail <lines>', 'only the last lines of what is there', parseCount)
    .option(
      '-f, --follow',
      'go on with what is printed, and with further attempts, until the trial has ended',
    );
  withServer(command).action(async (trial: string, options: Options) => {
    const { withCoordinator } = await import('../client.js');
    const { showOutput } = await import('../trial-output.js');
    const { sweepAndTrial } = await import('../names.js');
    const { attempt = 0, follow = false, tail = null, json } = options;
    await withCoordinator(options, (coordinator) =>
      showOutput(
        coordinator,
        { ...sweepAndTrial(options.sweep, trial), attempt, follow },
        { tail, json: json === true },
      ),
    );
  });
}
