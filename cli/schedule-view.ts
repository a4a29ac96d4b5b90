/** A recipe's schedule for a person: the curves that move, drawn, and the rates where they turn. */
import type { ScheduleRow } from '../services/trainer/runner/recipes/images/schedule.js';
import type { RecipeSummary } from '../services/trainer/runner/recipes/images/summary.js';
import { chart } from './chart.js';
import { formatParameter } from './format.js';
import { print, table } from './output.js';

/** Columns of a drawn curve: fits a terminal of 80 beside the axis. */
const COLUMNS = 64;

const CURVES = [
  ['learning rate', 'lr'],
  ['weight decay', 'weightDecay'],
  ['momentum', 'momentum'],
] as const satisfies (readonly [string, keyof ScheduleRow])[];

/** Steps, spread evenly over the run, first and last among them, that the curves are drawn at. */
export const drawnSteps = (totalSteps: number): number[] => {
  const columns = Math.min(COLUMNS, totalSteps);
  return Array.from({ length: columns }, (_, i) =>
    columns === 1 ? 1 : 1 + Math.round((i * (totalSteps - 1)) / (columns - 1)),
  );
};

/** @param drawn The rates at {@link drawnSteps}. */
export function showSchedule(
  { schedule, totalSteps }: RecipeSummary,
  drawn: readonly ScheduleRow[],
  maxEpochs: number,
): void {
  for (const [title, key] of CURVES) {
    const values = drawn.map((row) => row[key]);
    const [first = NaN] = values;
    if (values.every((value) => value === first)) {
      print(`${title}: ${formatParameter(first)} throughout`);
    } else {
      print(title);
      const ends = ['step 1', `step ${totalSteps}, epoch ${maxEpochs}`] as const;
      print(chart(values, { format: (value) => formatParameter(value), ends }).join('\n'));
    }
    print('');
  }
  const titles = ['EPOCH', 'STEP', 'LEARNING RATE', 'WEIGHT DECAY', 'MOMENTUM'];
  const rows = schedule.map(({ epoch, step, lr, weightDecay, momentum }) => [
    String(epoch),
    String(step),
    ...[lr, weightDecay, momentum].map(formatParameter),
  ]);
  print(
    table(
      titles.map((title) => ({ title, align: 'right' as const })),
      rows,
    ),
  );
}
