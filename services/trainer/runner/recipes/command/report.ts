/** A program's report: a flat JSON object on a line of its own, with `epoch` and its metrics. */
import { decodeNumber } from '../../../protocol/runner.js';

export interface CommandReport {
  readonly epoch: number;
  /** The program's `step`, or 0 when it gives none. */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Reads one line of a program's output. Python's `json` writes NaN and Infinity bare: those are taken too.
 *
 * @returns `log` for a line that does not look like an object, `malformed` for one that is no report: not JSON, no
 * positive integer `epoch`, or not a single number beside it.
 */
export function parseReport(line: string): CommandReport | 'log' | 'malformed' {
  if (!line.trimStart().startsWith('{')) return 'log';
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.replaceAll(/(:\s*)(NaN|-?Infinity)(?=\s*[,}])/g, '$1"$2"'));
  } catch {
    return 'malformed';
  }
  const { epoch, step, ...rest } = parsed as Record<string, unknown>;
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 1) return 'malformed';
  const metrics: Record<string, number> = {};
  for (const [name, value] of Object.entries(rest)) {
    const number = decodeNumber(value);
    if (number !== undefined) metrics[name] = number;
  }
  if (Object.keys(metrics).length === 0) return 'malformed';
  return { epoch, step: typeof step === 'number' && Number.isSafeInteger(step) ? step : 0, metrics };
}
