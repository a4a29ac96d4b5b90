/** Epochs in the file that Keras' `CSVLogger` writes: a row an epoch, counted from 0. */
import { resolve } from 'node:path';
import type { CollectContext, Collector } from './collector.js';
import { numberOf } from './number.js';
import { TailFile } from './tail-file.js';

export class KerasCsv implements Collector {
  readonly #tail: TailFile;
  #rest = '';
  #columns: readonly string[] | null = null;
  /** What is read now stood there before the program. */
  #isOld = true;

  constructor(
    path: string,
    private readonly context: CollectContext,
  ) {
    this.#tail = new TailFile(resolve(context.folder, path));
    this.look(false);
    this.#isOld = false;
  }

  readonly look = (isLast: boolean): void => {
    for (let appended = this.#tail.read(); appended !== null; appended = this.#tail.read()) {
      if (appended.isAnew) {
        this.#rest = '';
        this.#columns = null;
      }
      const lines = (this.#rest + appended.bytes.toString('utf8')).split(/\r?\n/);
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    }
    if (!isLast || this.#rest === '') return;
    // A last row may lack its end.
    this.#take(this.#rest);
    this.#rest = '';
  };

  #take(line: string): void {
    if (line.trim() === '') return;
    const cells = cellsOf(line);
    if (this.#columns === null) {
      this.#columns = cells;
      if (!cells.includes('epoch'))
        this.context.note('the file of `collect.keras_csv` has no column `epoch`');
      return;
    }
    if (this.#isOld) return;
    const metrics: Record<string, number> = {};
    let epoch: number | undefined;
    for (const [index, name] of this.#columns.entries()) {
      // NA, for what was not measured, is no number.
      const value = numberOf(cells[index] ?? '');
      if (name === 'epoch') epoch = value;
      else if (value !== undefined) metrics[name] = value;
    }
    if (epoch === undefined || !Number.isSafeInteger(epoch) || epoch < 0)
      this.context.note('a row of the file of `collect.keras_csv` tells no epoch');
    else if (Object.keys(metrics).length > 0) this.context.take({ epoch: epoch + 1, step: 0, metrics });
  }
}

/** Cells of a row, as Python's `csv` writes them: in quotes where they hold a comma. */
const cellsOf = (line: string): readonly string[] =>
  [...line.matchAll(/(?<=^|,)(?:"((?:[^"]|"")*)"|([^,]*))(?=,|$)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
