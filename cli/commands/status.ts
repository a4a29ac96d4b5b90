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
  const { note, print, printJson, table } = await import('../output.js');
  const { sweepJson } = await import('../json.js');
  const { sweepStateName } = await import('../sweep-view.js');
  const { formatWattHours } = await import('../format.js');
  const { sweeps } = await withCoordinator(options, (coordinator) => coordinator.list());
  if (options.json) {
    printJson({ sweeps: sweeps.map(sweepJson) });
    return;
  }
  if (sweeps.length === 0) {
    note('No sweeps yet. Start one with `wattsweep submit FILE`.');
    return;
  }
  const rows = sweeps.map((sweep) => [
    sweep.sweepId,
    sweepStateName(sweep.state),
    new Date(sweep.submittedAtUnixMs).toISOString().slice(0, 19).replace('T', ' '),
    sweep.trialsTotal === undefined ? '?' : String(sweep.trialsTotal),
    Object.entries(sweep.trialsByState)
      .filter(([, n]) => n > 0)
      .map(([state, n]) => `${n} ${state}`)
      .join(', ') + (sweep.waiting === '' ? '' : `; waiting: ${sweep.waiting}`),
    formatWattHours(sweep.joules),
  ]);
  const titles = ['SWEEP', 'STATE', 'SUBMITTED (UTC)', 'TRIALS', 'BY STATE', 'ENERGY'];
  print(
    table(
      titles.map((title) => ({ title })),
      rows,
    ),
  );
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
  if (sweep !== undefined && sweep.reason !== '') print(sweep.reason);
}
