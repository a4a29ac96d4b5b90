import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly sweep: string;
}

export function register(program: Command): void {
  const command = program
    .command('explain')
    .description('why a trial was stopped or went on: rung, rank, number compared, threshold')
    .argument('<trial>', 'trial, e.g. t0007; or SWEEP/TRIAL')
    .option('--sweep <sweep>', 'its sweep (default: the newest)', '');
  withServer(command).action(async (trial: string, options: Options) => {
    const { withCoordinator } = await import('../client.js');
    const { print, printJson } = await import('../output.js');
    const { explanationJson } = await import('../json.js');
    const { sweepAndTrial } = await import('../names.js');
    const { explanation } = await import('../explanation.js');
    const { sweepId, trialId } = sweepAndTrial(options.sweep, trial);
    const answer = await withCoordinator(options, (coordinator) => coordinator.explain(sweepId, trialId));
    if (options.json) printJson(explanationJson(answer));
    else print(explanation(answer));
  });
}
