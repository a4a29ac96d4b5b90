/** What can be wrong with a sweep file, told with the place, and the error that carries all of it at once. */
import { WattsweepError, type ErrorCode } from '../../../proto/errors.js';

export interface SpecIssue {
  readonly code: ErrorCode;
  /** 1-based; null when the place is not in the file (an override, a missing file). */
  readonly line: number | null;
  /** 1-based, in characters; null as `line`. */
  readonly column: number | null;
  /** Where in the sweep, e.g. `cases[1].lr_peak`; empty for the whole file. */
  readonly path: string;
  /** What was found. */
  readonly message: string;
  /** What would be right; null where the message says it. */
  readonly expected: string | null;
  /** What was probably meant, ready to be pasted; null when nothing is near. */
  readonly suggestion: string | null;
}

/** An issue with what is needed to print it. */
export interface PlacedIssue extends SpecIssue {
  /** `FILE:LINE:COLUMN`, or `--set KEY=VALUE`. */
  readonly place: string;
  /** The line of the file with a caret under the place; empty where there is none. */
  readonly excerpt: string;
}

const MAX_PRINTED = 20;

/** `headline` is the error's own code, which whoever prints the error names already. */
function printed(issue: PlacedIssue, headline: ErrorCode): string {
  const advice = [
    ...(issue.expected === null ? [] : [`expected ${issue.expected}`]),
    ...(issue.suggestion === null ? [] : [`did you mean \`${issue.suggestion}\`?`]),
  ];
  const head = [`${issue.place}: ${issue.message}`, ...advice].join('; ');
  const code = issue.code === headline ? '' : ` [${issue.code}]`;
  return `${head}${code}${issue.excerpt === '' ? '' : `\n${issue.excerpt}`}`;
}

/** Thrown when a sweep file cannot be run. The code is that of the first issue; the message prints all of them. */
export class SweepFileError extends WattsweepError {
  /** In the order of the file. */
  readonly issues: readonly SpecIssue[];

  constructor(issues: readonly [PlacedIssue, ...PlacedIssue[]]) {
    const shown = issues.slice(0, MAX_PRINTED).map((issue) => printed(issue, issues[0].code));
    const more = issues.length - shown.length;
    super(issues[0].code, [...shown, ...(more > 0 ? [`... and ${more} more`] : [])].join('\n'));
    this.issues = issues.map(({ code, line, column, path, message, expected, suggestion }) => ({
      ...{ code, line, column, path, message, expected, suggestion },
    }));
  }
}
