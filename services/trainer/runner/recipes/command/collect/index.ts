/**
 * Programs that do not report themselves: their epochs are read from what they write anyway. `regex.ts` reads lines of
 * stdout, `keras-csv.ts` and `tensorboard.ts` files that grow. What an epoch is to the rest is `../command.ts`' business.
 */
import type { Collect } from '../../../../protocol/runner.js';
import type { CommandReport } from '../report.js';
import { KerasCsv } from './keras-csv.js';
import { RegexLines } from './regex.js';
import { TensorBoard } from './tensorboard.js';

export interface Collector {
  /** A line of stdout. */
  readonly line?: (text: string) => void;
  /** Looks at files: again and again, and at the end with `isLast`. */
  readonly look?: (isLast: boolean) => void;
}

export interface CollectContext {
  /** Where the program runs: relative paths are seen from there. */
  readonly folder: string;
  readonly objective: string;
  readonly take: (report: CommandReport) => void;
  /** A word for the log; one that was said already is not said again. */
  readonly note: (text: string) => void;
}

/** To be made before the program starts: what is there by then is not of this attempt. */
export function createCollector(collect: Collect, context: CollectContext): Collector {
  if ('regex' in collect) return new RegexLines(collect.regex, context);
  return 'kerasCsv' in collect
    ? new KerasCsv(collect.kerasCsv, context)
    : new TensorBoard(collect.tensorboard, context);
}
