/** What reads a program's epochs, and what it is given. */
import type { CommandReport } from '../report.js';

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
