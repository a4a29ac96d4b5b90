/** Sweeps as a table: `list`, and `status` without a name. */
import type { Sweep } from '../proto/gen/wattsweep/v1/coordinator.js';
import { UNREAD, formatObjective, formatWattHours } from './format.js';
import { note, print, table } from './output.js';
import { hasEnded, sweepStateName } from './sweep-view.js';

const ENDED = ['succeeded', 'stopped', 'diverged', 'failed', 'cancelled'];

/** `12/54, 2 failed`: trials that have ended, of all that there can be. */
export function progress(sweep: Sweep): string {
  const ended = ENDED.reduce((sum, state) => sum + (sweep.trialsByState[state] ?? 0), 0);
  const running = (sweep.trialsByState['running'] ?? 0) + (sweep.trialsByState['starting'] ?? 0);
  const failed = sweep.trialsByState['failed'] ?? 0;
  // Under a rule only points that do well earn repeats: how many trials there are shows at the end.
  const total = sweep.trialsTotal ?? (hasEnded(sweep) ? ended : '?');
  return [
    `${ended}/${total}`,
    ...(running > 0 ? [`${running} running`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(sweep.waiting === '' ? [] : [`waiting: ${sweep.waiting}`]),
  ].join(', ');
}

const best = ({ bestObjective, bestTrialId, objectiveMetric }: Sweep): string =>
  bestObjective === undefined
    ? UNREAD
    : `${objectiveMetric} ${formatObjective(bestObjective)} (${bestTrialId})`;

export function printSweeps(sweeps: readonly Sweep[], none: string): void {
  if (sweeps.length === 0) {
    note(none);
    return;
  }
  const rows = sweeps.map((sweep) => [
    sweep.sweepId,
    sweepStateName(sweep.state) + (sweep.archived ? ' (archived)' : ''),
    new Date(sweep.submittedAtUnixMs).toISOString().slice(0, 16).replace('T', ' '),
    progress(sweep),
    best(sweep),
    formatWattHours(sweep.joules),
    sweep.tags.join(', '),
  ]);
  const titles = ['SWEEP', 'STATE', 'SUBMITTED (UTC)', 'TRIALS', 'BEST', 'ENERGY', 'TAGS'];
  print(
    table(
      titles.map((title) => ({ title })),
      rows,
    ),
  );
}
