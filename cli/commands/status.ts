import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('status')
    .description('all sweeps, or one with its trials')
    .argument('[sweep]', 'sweep, or `latest`');
  withServer(command).action(async (sweepId: string | undefined, options: ServerOptions & JsonOption) => {
    if (sweepId === undefined) await listSweeps(options);
    else await showSweep(sweepId === 'latest' ? '' : sweepId, options);
  });
}

async function listSweeps(options: ServerOptions & JsonOption): Promise<void> {
  const { withCoordinator } = await import('../client.js');
  const { printJson, warn } = await import('../output.js');
  const { sweepJson } = await import('../json.js');
  const { printSweeps } = await import('../sweep-list.js');
  const { sweeps, warnings } = await withCoordinator(options, (coordinator) =>
    coordinator.list({ archived: false, tags: [] }),
  );
  if (options.json) printJson({ sweeps: sweeps.map(sweepJson), warnings });
  else {
    for (const text of warnings) warn(text);
    printSweeps(sweeps, 'No sweeps yet. Start one with `wattsweep submit FILE`.');
  }
}

async function showSweep(sweepId: string, options: ServerOptions & JsonOption): Promise<void> {
  const { withCoordinator } = await import('../client.js');
  const { print, printJson, table } = await import('../output.js');
  const { sweepJson, trialJson } = await import('../json.js');
  const { summaryLine, trialColumns, trialRow } = await import('../sweep-view.js');
  const [{ sweep, trials }, { trainers }] = await withCoordinator(options, (coordinator) =>
    Promise.all([coordinator.get(sweepId), coordinator.trainers()]),
  );
  if (options.json) {
    printJson({ sweep: sweep === undefined ? null : sweepJson(sweep), trials: trials.map(trialJson) });
    return;
  }
  const view = {
    sweep: sweep ?? null,
    trials: new Map(trials.map((trial) => [trial.trialId, trial])),
    trainers: new Map(trainers.map((trainer) => [trainer.trainerId, trainer])),
  };
  print(
    table(
      trialColumns(view),
      trials.map((trial) => trialRow(view, trial)),
    ),
  );
  print('');
  print(summaryLine(view, Date.now()));
  if (sweep === undefined) return;
  if (sweep.reason !== '') print(sweep.reason);
  if (sweep.webhook !== '') print(sweep.webhook);
}
