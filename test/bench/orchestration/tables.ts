/** The results as text: a table for the terminal, and the section of docs/benchmarks.md with its plot. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';
import { projectRoot } from '../../../setup/locate.mjs';
import type { Scale } from '../simulation/scale.js';
import { growthPlot } from './chart.js';
import { costOf, type FirstPoint, type Growth } from './growing.js';
import type { Restart } from './restart.js';

/** Of the rounds of one run. */
export interface Spread {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

export interface Comparison {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly goal: string;
  readonly better: 'lower' | 'higher';
  readonly ours: Spread | null;
  readonly peer: Spread | null;
}

export interface Results {
  readonly date: string;
  readonly machine: string;
  /** One-minute load average when the run began. */
  readonly load: number;
  readonly peerName: string;
  readonly comparisons: readonly Comparison[];
  readonly growth: readonly Growth[] | null;
  readonly firstPoint: FirstPoint | null;
  readonly restart: Restart | null;
  readonly fleet: Scale | null;
}

type Row = readonly string[];

const number = (value: number): string =>
  Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));

const spread = (of: Spread | null): string => {
  if (of === null) return '-';
  const { low, middle, high } = of;
  return low === high ? number(middle) : `${number(middle)} (${number(low)} to ${number(high)})`;
};

/** How many times better than the peer: of the middles, and of the worst and best pairs. */
function ratio({ ours, peer, better }: Comparison): string {
  if (ours === null || peer === null) return '-';
  const [worse, mine] = better === 'lower' ? [peer, ours] : [ours, peer];
  return spread({
    low: worse.low / mine.high,
    middle: worse.middle / mine.middle,
    high: worse.high / mine.low,
  });
}

const comparisonRows = (comparisons: readonly Comparison[]): readonly Row[] => [
  ['name', 'ours', 'peer', 'times', 'unit', 'goal'],
  ...comparisons.map((comparison) => [
    `(${comparison.id}) ${comparison.name}`,
    spread(comparison.ours),
    spread(comparison.peer),
    ratio(comparison),
    comparison.unit,
    comparison.goal,
  ]),
];

const growthRows = ({ method, milestones }: Growth): Row[] =>
  milestones.map((milestone) => [
    method,
    number(milestone.trials),
    number(milestone.reports),
    number(costOf(milestone, 'trials')),
    number(costOf(milestone, 'reports')),
    number(milestone.heapBytes / milestone.trials),
    number(milestone.heapBytes / milestone.reports),
    number(milestone.ledgerBytes / milestone.reports),
  ]);

const growthTable = (growth: readonly Growth[]): readonly Row[] => [
  [
    'search, with ASHA',
    'trials',
    'reports',
    'processor µs a trial',
    'processor µs a report',
    'heap bytes a trial, its reports included',
    'heap bytes a report',
    'ledger bytes a report',
  ],
  ...growth.flatMap(growthRows),
];

function otherRows({ firstPoint, restart, fleet }: Results): readonly Row[] {
  const rows: Row[] = [['what', 'result', 'goal']];
  if (firstPoint !== null)
    rows.push([
      `first trial of a grid of ${number(firstPoint.points)} points, from the file's text`,
      `${number(firstPoint.milliseconds)} ms`,
      '',
    ]);
  if (restart !== null) {
    const { trials, reports, ledgerBytes, events, tailEvents, seconds, whole } = restart;
    const start = `coordinator's start to its first decision, ${number(trials)} trials, ${number(reports)} reports (${number(ledgerBytes / 1e6)} MB)`;
    const all = seconds.map(number).join(', ');
    rows.push(
      [
        `${start}, last snapshot ${number(tailEvents)} of ${number(events)} events ago`,
        `${all} s (${number(restart.processorSeconds)} s of processor time, ${number(restart.residentBytes / 1e6)} MB resident)`,
        '3 s',
      ],
      [
        'the same without a snapshot, as after an upgrade',
        `${number(whole.seconds)} s (${number(whole.processorSeconds)} s of processor time, ${number(whole.residentBytes / 1e6)} MB resident)`,
        '',
      ],
    );
  }
  if (fleet !== null) {
    const { trainers, trials, seconds } = fleet;
    const what = `${number(trainers)} trainers x ${number(trials)} trials, core and ledger's bytes`;
    rows.push([what, `${number(seconds)} s`, '60 s']);
  }
  return rows;
}

const tablesOf = (results: Results): readonly (readonly Row[])[] =>
  [comparisonRows(results.comparisons), growthTable(results.growth ?? []), otherRows(results)].filter(
    (rows) => rows.length > 1,
  );

const conditions = ({ date, machine, load, peerName }: Results): string =>
  `${date}, ${machine}, load average ${number(load)} at the start; the peer is ${peerName}`;

export function textOf(results: Results): string {
  const tables = tablesOf(results).map(([head = [], ...rows]) => {
    const table = new Table({ head: [...head], style: { head: [] } });
    for (const row of rows) table.push([...row]);
    return table.toString();
  });
  return [conditions(results), ...tables].join('\n');
}

const markdown = ([head = [], ...rows]: readonly Row[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const BEGIN = '<!-- orchestration: written by the benchmark -->';
const END = '<!-- orchestration: end -->';
const PLOT = 'orchestration-cost.svg';

/** Replaces the section of docs/benchmarks.md between its marks, and the plot. */
export function writeDocs(results: Results): void {
  const docs = join(projectRoot(), 'docs');
  const file = join(docs, 'benchmarks.md');
  const text = readFileSync(file, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no place for the tables`);
  const plot = results.growth === null ? [] : [`![Cost by number of trials and reports](${PLOT})`];
  const section = [BEGIN, `${conditions(results)}.`, ...tablesOf(results).map(markdown), ...plot, ''];
  writeFileSync(file, `${text.slice(0, begin)}${section.join('\n\n')}${text.slice(end)}`);
  if (results.growth !== null) writeFileSync(join(docs, PLOT), growthPlot(results.growth));
}
