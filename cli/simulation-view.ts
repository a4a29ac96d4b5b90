/** A simulation for people, and as JSON. */
import type { Simulation } from '../services/coordinator/core/hindsight/simulation.js';
import { formatObjective, formatSeconds, formatWattHours, plural, UNREAD } from './format.js';
import { table } from './output.js';

export function describeSimulation(simulation: Simulation): string {
  const { decisions, trials, ended, spent, saved, best } = simulation;
  const columns = ['TRIAL', 'EPOCH', 'VALUE', 'RULE', 'ACTION', 'RUNG', 'RANK', 'N', 'THRESHOLD', 'REASON'];
  const numbers = new Set(['EPOCH', 'VALUE', 'RUNG', 'RANK', 'N', 'THRESHOLD']);
  const whole = (n: number | null): string => (n === null ? UNREAD : String(n));
  const rows = decisions.map((decision) => [
    decision.trial,
    String(decision.epoch),
    formatObjective(decision.value),
    decision.rule ?? UNREAD,
    decision.action,
    whole(decision.rung),
    whole(decision.rank),
    whole(decision.n),
    formatObjective(decision.threshold),
    decision.reason,
  ]);
  const share = (part: number | null, rest: number | null): string =>
    part === null || rest === null || part + rest === 0
      ? ''
      : ` (${((100 * part) / (part + rest)).toFixed(0)} %)`;
  const facts = [
    `${plural(trials, 'trial')}; ${ended} ended before the end of ${ended === 1 ? 'its curve' : 'their curves'}`,
    `epochs: ${spent.epochs} run, ${saved.epochs} saved${share(saved.epochs, spent.epochs)}`,
    `time:   ${formatSeconds(spent.seconds)} run, ${formatSeconds(saved.seconds)} saved${share(saved.seconds, spent.seconds)}`,
    `energy: ${formatWattHours(spent.joules)} run, ${formatWattHours(saved.joules)} saved${share(saved.joules, spent.joules)}`,
    best === null
      ? 'no value is finite'
      : `the best trial, ${best.trial} (${formatObjective(best.value)} at epoch ${best.epoch}), ${best.survived ? 'survived' : 'did not survive'}`,
  ];
  const titles = columns.map((title) => ({
    title,
    align: numbers.has(title) ? ('right' as const) : ('left' as const),
  }));
  return `${table(titles, rows)}\n\n${facts.join('\n')}`;
}

const wattHours = (joules: number | null): number | null => (joules === null ? null : joules / 3600);

export const simulationJson = ({ decisions, trials, ended, spent, saved, best }: Simulation) => ({
  decisions,
  trials,
  ended,
  epochs: { run: spent.epochs, saved: saved.epochs },
  seconds: { run: spent.seconds, saved: saved.seconds },
  wattHours: { run: wattHours(spent.joules), saved: wattHours(saved.joules) },
  best,
});
