/** The published measurements in `data/` (origin and licence: `data/NOTICE`), and how to find a recorded run in them. */
import { readFileSync } from 'node:fs';
import { refuse } from '../validate.js';

/** What was varied, under the names of the recipe's parameters. */
interface Setting {
  readonly dataset: string;
  readonly network: string;
  readonly batch_size: number;
  readonly optimizer: string;
}

interface TrainingRow extends Setting {
  readonly lr_peak: number;
  readonly run: number;
  readonly target_level: number;
  /** Epoch in which the run first met the level; null when it did not. */
  readonly epoch: number | null;
}

interface PowerRow extends Setting {
  readonly gpu_power_limit_watts: number;
  readonly secondsPerEpoch: number;
  readonly watts: number;
}

export interface Trace {
  readonly training: readonly TrainingRow[];
  readonly power: readonly PowerRow[];
}

/** A recorded run to look for. Null: the only one that there is. */
export interface Wanted {
  readonly dataset: string;
  readonly network: string | null;
  readonly batch_size: number;
  readonly optimizer: string | null;
  readonly lr_peak: number | null;
  readonly target_level: number;
  readonly gpu_power_limit_watts: number;
  /** 0: the `repeat`-th one. */
  readonly run: number;
}

export interface Recording {
  /** Number of the run in the trace. */
  readonly run: number;
  readonly secondsPerEpoch: number;
  /** Mean power of the GPU. */
  readonly watts: number;
  /** 1-based; null when the run never met the level. */
  readonly targetEpoch: number | null;
}

const DATA = new URL('./data/', import.meta.url);

type Cells = Readonly<Record<string, string>>;

/** The tables have no quotes and no commas inside a cell. */
function readTable(name: string): readonly Cells[] {
  const [header = '', ...lines] = readFileSync(new URL(name, DATA), 'utf8').trim().split('\n');
  const columns = header.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? '']));
  });
}

const settingOf = (cells: Cells): Setting => ({
  dataset: cells['dataset'] ?? '',
  network: cells['network'] ?? '',
  batch_size: Number(cells['batch_size']),
  optimizer: cells['optimizer'] ?? '',
});

let loaded: Trace | null = null;

/** The whole trace, read once. */
export function loadTrace(): Trace {
  loaded ??= {
    training: readTable('summary_train.csv').map((cells) => {
      const epoch = Number(cells['target_epoch']);
      return {
        ...settingOf(cells),
        lr_peak: Number(cells['learning_rate']),
        run: Number(cells['run']),
        target_level: Number(cells['target_metric']),
        epoch: Number.isNaN(epoch) ? null : epoch,
      };
    }),
    power: readTable('summary_power_v100.csv').map((cells) => ({
      ...settingOf(cells),
      gpu_power_limit_watts: Number(cells['power_limit']),
      secondsPerEpoch: Number(cells['time_per_epoch']),
      watts: Number(cells['average_power']),
    })),
  };
  return loaded;
}

/**
 * The recorded run that is wanted.
 *
 * @param repeat which repeat of the setting this is, from 1; decides when `wanted.run` is 0
 * @throws WattsweepError PARAMETER_REFUSED naming the parameter, and the values that the trace has beside the others
 */
export function findRecording(trace: Trace, wanted: Wanted, repeat: number): Recording {
  const runs = narrow(
    trace.training,
    ['dataset', 'network', 'batch_size', 'optimizer', 'lr_peak', 'target_level'],
    wanted,
  ).toSorted((a, b) => a.run - b.run);
  const first = runs[0] as TrainingRow;
  const setting = { ...wanted, network: first.network, optimizer: first.optimizer };
  const [power] = narrow(
    trace.power,
    ['dataset', 'network', 'batch_size', 'optimizer', 'gpu_power_limit_watts'],
    setting,
  );
  const training =
    wanted.run === 0 ? runs[(repeat - 1) % runs.length] : narrow(runs, ['run'], { run: wanted.run })[0];
  if (power === undefined || training === undefined)
    throw new Error('a search that found nothing was not refused');
  return {
    run: training.run,
    secondsPerEpoch: power.secondsPerEpoch,
    watts: power.watts,
    targetEpoch: training.epoch,
  };
}

/** The rows with the wanted values, at least one, alike in every one of the columns. */
function narrow<Row extends object, Column extends keyof Row & string>(
  rows: readonly Row[],
  columns: readonly Column[],
  wanted: Readonly<Partial<Record<Column, Row[Column] | null>>>,
): readonly Row[] {
  let left = rows;
  for (const [index, column] of columns.entries()) {
    const there = [...new Set(left.map((row) => row[column]))];
    const value = wanted[column] ?? (there.length === 1 ? there[0] : undefined);
    const found = left.filter((row) => row[column] === value);
    if (found.length === 0) {
      const beside = columns.slice(0, index).map((name) => `${name} ${String(left[0]?.[name])}`);
      const having = beside.length === 0 ? '' : ` with ${beside.join(', ')}`;
      const problem = value === undefined ? 'the trace has several' : `${String(value)} is not in the trace`;
      refuse(column, `${problem}${having}; it has ${there.toSorted(byValue).join(', ')}`);
    }
    left = found;
  }
  return left;
}

const byValue = (a: unknown, b: unknown): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en');
