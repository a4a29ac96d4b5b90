import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

interface Options extends ServerOptions, JsonOption {}

export function register(program: Command): void {
  const command = program
    .command('replay')
    .description('compute every decision of a sweep again from the ledger: equal, or the first difference')
    .argument('[sweep]', 'sweep (default: the newest)', '');
  withServer(command).action(async (sweep: string, options: Options) => {
    const { WattsweepError } = await import('../../proto/errors.js');
    const { withCoordinator } = await import('../client.js');
    const { replayJson, replayText } = await import('../replay-view.js');
    const { print, printJson } = await import('../output.js');
    const id = sweep === 'latest' ? '' : sweep;
    const answer = await withCoordinator(options, (coordinator) => coordinator.replay(id));
    if (options.json) printJson(replayJson(answer));
    else print(replayText(answer));
    const { difference } = answer;
    if (difference === undefined) return;
    const place = `${answer.sweepId}/${difference.trialId}, epoch ${difference.epoch}`;
    throw new WattsweepError('REPLAY_DIFFERS', `${place}: ${difference.message}`);
  });
}
