/** The report's tables, for every renderer: text that is not escaped yet. */
import { extent } from '../analysis/extent.js';
import { isReached } from '../cells.js';
import type { Cell, Report, TrialSummary } from '../types.js';
import type { Aggregate, Spread } from '../analysis/repeats.js';
import {
  aggregateText,
  energyUnit,
  epochText,
  inUnit,
  levelText,
  NOT_READ,
  objectiveText,
  percent,
  quantity,
  spreadText,
  timeUnit,
  type Unit,
} from './format.js';

export interface TableCell {
  readonly text: string;
  /** The best of its column. */
  readonly strong?: boolean;
}

export interface Table {
  readonly columns: readonly { readonly title: string; readonly numeric: boolean }[];
  readonly rows: readonly (readonly TableCell[])[];
}

/** Rows of a table that Markdown and HTML show; the JSON has them all. */
export const SHOWN_ROWS = 50;

interface Column<Row> {
  readonly title: string;
  readonly numeric?: boolean;
  /** Left out of the table when it is false. */
  readonly show?: boolean;
  readonly text: (row: Row) => string;
  /** The rows whose value here is the smallest stand out. */
  readonly smallest?: (row: Row) => number | null;
}

function makeTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Table {
  const shown = columns.filter((column) => column.show !== false);
  const winners = shown.map(({ smallest }) => {
    const values = smallest === undefined ? [] : rows.map(smallest).filter((value) => value !== null);
    return values.length > 1 ? values.reduce((a, b) => Math.min(a, b)) : null;
  });
  return {
    columns: shown.map(({ title, numeric }) => ({ title, numeric: numeric ?? false })),
    rows: rows.map((row) =>
      shown.map(({ text, smallest }, i) => {
        const winner = winners[i] ?? null;
        return { text: text(row), strong: winner !== null && smallest?.(row) === winner };
      }),
    ),
  };
}

const orDash = (value: number | null, text: (value: number) => string): string =>
  value === null ? NOT_READ : text(value);

/** An estimate carries a ≈; what was not read stays a dash. */
const marked = (text: string, estimated: boolean): string =>
  estimated && text !== NOT_READ ? `≈${text}` : text;

const severalDevices = (report: Report): boolean => report.devices.length > 1;

const present = (values: readonly (number | null)[]): readonly number[] =>
  values.filter((value) => value !== null);

/** Whether anything read the power: without, the columns would be dashes, and one sentence says why. */
export const hasEnergy = (report: Report): boolean =>
  report.trials.some((trial) => trial.curve.joules.some((joules) => joules !== null));

/** How the energy was read, each way once. */
export const powerMethodsOf = (report: Report): readonly string[] => [
  ...new Set(report.cells.flatMap((cell) => cell.powerMethods)),
];

/** The cells that tables show, in their order: of too many those of the best trials. */
function shownCells(report: Report): readonly Cell[] {
  if (report.cells.length <= SHOWN_ROWS) return report.cells;
  const ranks = new Map(report.trials.map((trial, i) => [trial.trialId, i]));
  const rankOf = (cell: Cell): number =>
    extent(cell.trialIds.map((trialId) => ranks.get(trialId) ?? Infinity))[0];
  const best = new Set([...report.cells].sort((a, b) => rankOf(a) - rankOf(b)).slice(0, SHOWN_ROWS));
  return report.cells.filter((cell) => best.has(cell));
}

/** Best value and what an epoch cost, one row a setting and device model. */
export function settingsTable(report: Report): Table {
  const { goal, metric } = report.sweep.objective;
  const cells = shownCells(report);
  const energy = hasEnergy(report);
  const unit = energyUnit(present(cells.map((cell) => cell.joules)));
  const sign = goal === 'maximize' ? -1 : 1;
  const repeated = cells.some((cell) => cell.trialIds.length > 1);
  const spreadOf =
    (read: (cell: Cell) => Spread | null, text = quantity) =>
    (cell: Cell): string =>
      spreadText(read(cell), text);
  return makeTable(cells, [
    { title: 'setting', text: (cell) => cell.label },
    { title: 'device', show: severalDevices(report), text: (cell) => cell.device },
    {
      title: `best ${metric}`,
      numeric: true,
      text: (cell) => orDash(cell.best?.value ?? null, objectiveText),
      smallest: (cell) => (cell.best === null ? null : sign * cell.best.value),
    },
    { title: 'at epoch', numeric: true, text: (cell) => orDash(cell.best?.epoch ?? null, String) },
    {
      title: 'mean of best',
      numeric: true,
      show: repeated,
      text: spreadOf((cell) => cell.bestSpread, objectiveText),
    },
    { title: 'n', numeric: true, show: repeated, text: (cell) => String(cell.trialIds.length) },
    {
      title: 'GPU %',
      numeric: true,
      show: cells.some((cell) => cell.gpuUtilization !== null),
      text: (cell) => orDash(cell.gpuUtilization?.mean ?? null, percent),
    },
    {
      title: 'W',
      numeric: true,
      show: energy,
      text: (cell) => marked(spreadText(cell.watts), cell.estimated),
    },
    {
      title: 's/epoch',
      numeric: true,
      text: spreadOf((cell) => cell.secondsPerEpoch),
      smallest: (cell) => (cell.best === null ? null : (cell.secondsPerEpoch?.mean ?? null)),
    },
    {
      title: 'J/epoch',
      numeric: true,
      show: energy,
      text: (cell) => marked(spreadText(cell.joulesPerEpoch), cell.estimated),
      smallest: (cell) => (cell.best === null ? null : (cell.joulesPerEpoch?.mean ?? null)),
    },
    {
      title: `${unit.symbol} in all`,
      numeric: true,
      show: energy,
      text: (cell) =>
        marked(
          orDash(cell.joules, (j) => inUnit(j, unit)),
          cell.estimated,
        ),
    },
    {
      title: 'power read by',
      show: powerMethodsOf(report).length > 1,
      text: (cell) => cell.powerMethods.join(', ') || NOT_READ,
    },
  ]);
}

export type LevelAxis = 'epochs' | 'seconds' | 'joules';

/** The one unit in which a table of an axis is printed. */
export function levelUnit(report: Report, axis: LevelAxis): Unit | null {
  if (axis === 'epochs') return null;
  const values = present(report.cells.flatMap((cell) => cell.levels.map((at) => at[axis].value)));
  return axis === 'seconds' ? timeUnit(values) : energyUnit(values);
}

/** Epochs, seconds or joules until each level. */
export function levelTable(report: Report, axis: LevelAxis): Table {
  const unit = levelUnit(report, axis);
  const text = (value: number): string => (unit === null ? epochText(value) : inUnit(value, unit));
  const isSure = (a: Aggregate): boolean => isReached(a) && a.unconfirmed === 0;
  // What is unconfirmed stands out only where nothing is sure.
  const sureAt = (place: number): boolean =>
    report.cells.some(({ levels }) => levels[place] !== undefined && isSure(levels[place][axis]));
  const at = (cell: Cell, place: number): Aggregate | undefined => cell.levels[place]?.[axis];
  return makeTable(shownCells(report), [
    { title: 'setting', text: (cell) => cell.label },
    { title: 'device', show: severalDevices(report), text: (cell) => cell.device },
    ...report.sweep.levels.map((level, place): Column<Cell> => ({
      title: levelText(level) + (unit === null ? '' : ` (${unit.symbol})`),
      numeric: true,
      text: (cell) => {
        const a = at(cell, place);
        return a === undefined
          ? NOT_READ
          : marked(scaledAggregate(a, text, unit), axis === 'joules' && cell.estimated);
      },
      smallest: (cell) => {
        const a = at(cell, place);
        return a !== undefined && isReached(a) && (isSure(a) || !sureAt(place)) ? a.value : null;
      },
    })),
  ]);
}

/** The spread of an aggregate is in the table's unit, as its value is. */
function scaledAggregate(a: Aggregate, text: (value: number) => string, unit: Unit | null): string {
  const sd = a.sd === null || unit === null ? a.sd : a.sd / unit.size;
  return aggregateText({ ...a, sd }, text);
}

function note(trial: TrialSummary): string {
  if (trial.state === 'failed')
    return [trial.code || trial.endClass, trial.reason].filter(Boolean).join(': ');
  if (trial.state === 'diverged') return trial.reason;
  return trial.attempts > 1 ? `${trial.attempts} attempts` : '';
}

export function leaderboardTable(report: Report): Table {
  const { metric } = report.sweep.objective;
  const trials = report.trials.slice(0, SHOWN_ROWS);
  const energy = hasEnergy(report);
  const time = timeUnit(present(trials.map((trial) => trial.seconds)));
  const joules = energyUnit(present(trials.map((trial) => trial.joules)));
  return makeTable(trials, [
    { title: '#', numeric: true, text: (trial) => orDash(trial.rank, String) },
    { title: 'setting', text: (trial) => trial.label },
    { title: 'state', text: (trial) => trial.state },
    {
      title: `best ${metric}`,
      numeric: true,
      text: (trial) => orDash(trial.best?.value ?? null, objectiveText),
    },
    { title: 'at epoch', numeric: true, text: (trial) => orDash(trial.best?.epoch ?? null, String) },
    { title: 'final', numeric: true, text: (trial) => orDash(trial.final, objectiveText) },
    { title: 'mean of last 5', numeric: true, text: (trial) => orDash(trial.meanOfLast5, objectiveText) },
    { title: 'epochs', numeric: true, text: (trial) => String(trial.epochs) },
    { title: time.symbol, numeric: true, text: (trial) => orDash(trial.seconds, (s) => inUnit(s, time)) },
    {
      title: joules.symbol,
      numeric: true,
      show: energy,
      text: (trial) =>
        marked(
          orDash(trial.joules, (j) => inUnit(j, joules)),
          trial.estimated,
        ),
    },
    { title: 'note', show: trials.some((trial) => note(trial) !== ''), text: note },
  ]);
}

export function stoppedTable(report: Report): Table {
  const stopped = report.stopped.slice(0, SHOWN_ROWS);
  return makeTable(stopped, [
    { title: 'setting', text: (stop) => stop.label },
    { title: 'ended by', text: (stop) => stop.rule ?? stop.state },
    { title: 'epoch', numeric: true, text: (stop) => String(stop.epoch) },
    {
      title: 'rung',
      numeric: true,
      show: stopped.some((stop) => stop.rung !== null),
      text: (stop) => orDash(stop.rung, String),
    },
    { title: 'value', numeric: true, text: (stop) => orDash(stop.value, objectiveText) },
    {
      title: 'rank',
      numeric: true,
      show: stopped.some((stop) => stop.rank !== null),
      text: (stop) => (stop.rank === null ? NOT_READ : `${stop.rank} of ${orDash(stop.n, String)}`),
    },
    { title: 'threshold', numeric: true, text: (stop) => orDash(stop.threshold, objectiveText) },
    { title: 'why', text: (stop) => stop.reason },
  ]);
}

export function savingsTable(report: Report): Table {
  const time = timeUnit(present(report.savings.map((saving) => saving.estimatedSeconds)));
  const joules = energyUnit(present(report.savings.map((saving) => saving.estimatedJoules)));
  return makeTable(report.savings, [
    { title: 'rule', text: (saving) => saving.rule },
    { title: 'trials', numeric: true, text: (saving) => String(saving.trials) },
    {
      title: 'epochs not run',
      numeric: true,
      text: (saving) => saving.epochsNotRun.toLocaleString('en-US'),
    },
    {
      title: `${time.symbol} saved, estimate`,
      numeric: true,
      text: (saving) => orDash(saving.estimatedSeconds, (s) => `≈${inUnit(s, time)}`),
    },
    {
      title: `${joules.symbol} saved, estimate`,
      numeric: true,
      show: hasEnergy(report),
      text: (saving) => orDash(saving.estimatedJoules, (j) => `≈${inUnit(j, joules)}`),
    },
  ]);
}

/** Per level, the settings that no other beats in both time and energy, from the fastest to the most frugal. */
export function frontTable(report: Report): Table {
  const cells = new Map(report.cells.map((cell) => [cell.cellId, cell]));
  const time = levelUnit(report, 'seconds');
  const energy = levelUnit(report, 'joules');
  const rows = report.pareto.timeAndEnergyToLevel.flatMap(({ level, cellIds }) =>
    cellIds.flatMap((id) => {
      const cell = cells.get(id);
      const at = cell?.levels.find((l) => l.level === level);
      return cell === undefined || at === undefined ? [] : [{ cell, at }];
    }),
  );
  const value = (a: Aggregate, unit: Unit | null): string =>
    a.value === null || unit === null ? NOT_READ : inUnit(a.value, unit) + (a.unconfirmed > 0 ? '?' : '');
  return makeTable(rows, [
    { title: 'level', numeric: true, text: ({ at }) => levelText(at.level) },
    { title: 'setting', text: ({ cell }) => cell.label },
    { title: 'device', show: severalDevices(report), text: ({ cell }) => cell.device },
    { title: `time (${time?.symbol ?? ''})`, numeric: true, text: ({ at }) => value(at.seconds, time) },
    {
      title: `energy (${energy?.symbol ?? ''})`,
      numeric: true,
      text: ({ cell, at }) => marked(value(at.joules, energy), cell.estimated),
    },
  ]);
}
