/** Epochs in lines of stdout, found by a regular expression whose named groups are metrics, `epoch` and `step`. */
import type { CollectContext, Collector } from './collector.js';
import { numberOf } from './number.js';

/** Longer lines are no words of a person; an expression that backtracks would hang on them. */
const LONGEST_LINE = 4096;

export class RegexLines implements Collector {
  readonly #pattern: RegExp;
  /** Of the last match, where the expression names none. */
  #counted = 0;

  constructor(
    pattern: string,
    private readonly context: CollectContext,
  ) {
    // Python writes a named group as `(?P<name>...)`.
    this.#pattern = new RegExp(pattern.replaceAll('(?P<', '(?<'));
  }

  readonly line = (text: string): void => {
    // A progress bar returns to the beginning of its line.
    for (const piece of text.split('\r')) this.#take(piece);
  };

  #take(text: string): void {
    if (text.length > LONGEST_LINE) return;
    const groups = this.#pattern.exec(text)?.groups;
    if (groups === undefined) return;
    const { epoch, step, ...rest } = groups as Readonly<Record<string, string | undefined>>;
    const metrics: Record<string, number> = {};
    for (const [name, word] of Object.entries(rest)) {
      const value = word === undefined ? undefined : numberOf(word);
      if (value !== undefined) metrics[name] = value;
    }
    const number = epoch === undefined ? this.#counted + 1 : Number(epoch);
    if (!Number.isSafeInteger(number) || number < 1 || Object.keys(metrics).length === 0) {
      this.context.note('a line matched `collect.regex`, and told no epoch from 1 or no number');
      return;
    }
    this.#counted = number;
    const steps = Number(step ?? 0);
    this.context.take({ epoch: number, step: Number.isSafeInteger(steps) ? steps : 0, metrics });
  }
}
