/** A plan for people. */
import type { Plan } from '../services/coordinator/spec/index.js';
import { UNREAD, formatParameter, formatSeconds, formatWattHours, plural } from './format.js';
import { outColors, table } from './output.js';

const count = (n: number): string => n.toLocaleString('en');

export function describePlan(plan: Plan): string {
  const { firstRungLimit: limit } = plan;
  const repeats =
    plan.repeats === 1 ? '' : ` (${plural(plan.pointCount, 'point')}, ${plan.repeats} repeats each)`;
  const facts = [
    `${outColors.bold(plan.name)}: ${count(plan.trials)} trials${repeats}`,
    `epochs: at most ${count(plan.epochs)} (${count(plan.maxEpochs)} a trial)`,
    ...(plan.expectedEpochs === null || plan.expectedEpochs === plan.epochs
      ? []
      : [`        about ${count(plan.expectedEpochs)} expected`]),
    ...(plan.expectedHow === '' ? [] : [`        ${plan.expectedHow}`]),
    ...costs(plan),
    ...(limit.slotSeconds === null
      ? []
      : [
          `the budget's hours end in the first rung above ${limit.slotSeconds.toPrecision(3)} s an epoch on one slot`,
        ]),
    ...(limit.wattHours === null
      ? []
      : [`the budget's energy ends in the first rung above ${limit.wattHours.toPrecision(3)} Wh an epoch`]),
  ];
  return [facts.join('\n'), ...rungs(plan), ...points(plan)].join('\n\n');
}

function costs({ upper, expected, costBasis }: Plan): string[] {
  if (costBasis === '') return [];
  const say = ({ slotHours, hours, wattHours }: Plan['upper']): string =>
    [
      `${formatSeconds((slotHours ?? 0) * 3600)} of a slot`,
      `${formatSeconds((hours ?? 0) * 3600)} by the clock`,
      wattHours === null ? 'energy not known' : formatWattHours(wattHours * 3600),
    ].join(', ');
  return [
    `cost:   at most ${say(upper)}`,
    ...(expected.slotHours === null || expected.slotHours === upper.slotHours
      ? []
      : [`        about ${say(expected)} expected`]),
    `        ${costBasis}`,
  ];
}

function rungs(plan: Plan): string[] {
  if (plan.rungs.length === 0) return [];
  const rows = plan.rungs.map((rung) => [String(rung.bracket), String(rung.epochs), String(rung.survivors)]);
  const columns = ['BRACKET', 'RUNG AT EPOCH', 'EXPECTED TO GO ON'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  return [table(columns, rows)];
}

function points(plan: Plan): string[] {
  if (plan.points.length === 0) return [];
  // Of all parameters, those that tell the listed points apart; the others stand in the file.
  const names = [...new Set(plan.points.flatMap(({ params }) => Object.keys(params)))].filter(
    (name) => new Set(plan.points.map(({ params }) => JSON.stringify(params[name]))).size > 1,
  );
  const rows = plan.points.map(({ hash, params }, i) => [
    String(i + 1),
    hash.slice(0, 12),
    ...names.map((name) => (name in params ? formatParameter(params[name]) : UNREAD)),
  ]);
  const columns = [
    { title: '#', align: 'right' as const },
    { title: 'POINT' },
    ...names.map((title) => ({ title, align: 'right' as const })),
  ];
  const more = plan.pointCount - plan.points.length;
  return [table(columns, rows) + (more > 0 ? `\n… ${count(more)} more` : '')];
}
