/** Collects what is wrong, and what is doubtful, with its place in the file. */
import { closest, distance } from 'fastest-levenshtein';
import type { ErrorCode } from '../../../proto/errors.js';
import { pathText, type Path, type Span, type SweepDocument } from './document.js';
import { SweepFileError, type PlacedIssue } from './errors.js';

export interface Problem {
  readonly code: ErrorCode;
  readonly path: Path;
  /** Whether the caret goes under the key or the value. @default 'value' */
  readonly part?: 'key' | 'value';
  /** Characters into the value, for expressions. @default 0 */
  readonly offset?: number;
  readonly message: string;
  readonly expected?: string | null;
  readonly suggestion?: string | null;
}

/** Whoever knows a webhook's path may use it, and messages end up in logs: of a URL they show the host. */
export const withoutSecrets = (text: string): string =>
  text.replaceAll(
    /([A-Za-z][A-Za-z0-9+.-]*:\/\/)([^\s"'`]+)/g,
    (_, scheme: string, rest: string) => scheme + hidden(rest),
  );

/** As long as before, so that what points at a place still does. */
function hidden(rest: string): string {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const user = authority.lastIndexOf('@') + 1;
  return `${'*'.repeat(user)}${authority.slice(user)}${'*'.repeat(rest.length - authority.length)}`;
}

const shownOverride = (override: string): string =>
  override.startsWith('notify') ? override.replace(/=.*$/s, '=...') : withoutSecrets(override);

const isWebhook = (path: string): boolean => /^notify(\.webhook)?$/.test(path);

/** The candidate that was probably meant, or null when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  if (candidates.length === 0) return null;
  const lower = word.toLowerCase();
  const found = closest(lower, candidates);
  const farthest = Math.max(1, Math.floor(0.4 * Math.max(word.length, found.length)));
  if (distance(lower, found) <= farthest) return found;
  const same = candidates.find((candidate) => letters(candidate) === letters(lower));
  const isStart = (candidate: string): boolean => candidate.startsWith(lower) || lower.startsWith(candidate);
  return same ?? (lower.length >= 3 ? candidates.find(isStart) : undefined) ?? null;
}

const letters = (word: string): string => Array.from(word).sort().join('');

/** `one of a, b, c`. */
export const oneOf = (names: readonly string[]): string =>
  names.length === 1 ? `\`${names[0] ?? ''}\`` : `one of ${names.join(', ')}`;

/** A value as the file would write it, cut to a readable length. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

const MAX_LINE = 120;
/** Issues, and warnings, that are kept; a file with more has one fault many times over. */
const MAX_KEPT = 200;

export class Problems {
  readonly warnings: string[] = [];
  private total = 0;
  private readonly renamed = new Set<string>();
  private readonly issues: (PlacedIssue & { readonly order: number })[] = [];

  constructor(
    private readonly file: string,
    private readonly text: string,
    private document: SweepDocument | null = null,
  ) {}

  /** From here on places are looked up in `document`. */
  locateIn(document: SweepDocument): void {
    this.document = document;
  }

  /** Problems so far, those that were not kept included. */
  get count(): number {
    return this.total;
  }

  add(problem: Problem): void {
    const { code, path, part = 'value', offset = 0, message, expected = null, suggestion = null } = problem;
    this.total += 1;
    if (code === 'SPEC_UNKNOWN_KEY' && suggestion !== null) {
      this.renamed.add(pathText([...path.slice(0, -1), suggestion]));
    }
    if (this.issues.length >= MAX_KEPT) return;
    const found = this.document?.span(path, part) ?? null;
    const span = found === null || offset === 0 ? found : this.inner(found, offset);
    this.push(
      { code, path: pathText(path), message, expected, suggestion },
      span,
      this.document?.overrideOf(path) ?? null,
    );
  }

  /** A problem of the text itself. */
  addAt(code: ErrorCode, message: string, span: Span | null): void {
    this.total += 1;
    if (this.issues.length >= MAX_KEPT) return;
    this.push({ code, path: '', message, expected: null, suggestion: null }, span, null);
  }

  addOverride(override: string, message: string): void {
    this.total += 1;
    this.push({ code: 'SPEC_VALUE', path: '', message, expected: null, suggestion: null }, null, override);
  }

  warn(path: Path, message: string, part: 'key' | 'value' = 'value'): void {
    if (this.warnings.length >= MAX_KEPT) return;
    const place = this.place(
      this.document?.span(path, part) ?? null,
      this.document?.overrideOf(path) ?? null,
    );
    const where = path.length === 0 ? '' : `\`${pathText(path)}\`: `;
    const warning = withoutSecrets(`${place.text}: ${where}${message}`);
    if (!this.warnings.includes(warning)) this.warnings.push(warning);
  }

  /** @throws SweepFileError when anything was added */
  throwIfAny(): void {
    // A key that was misspelt is not missing as well.
    const told = this.issues.filter(
      ({ code, path }) => code !== 'SPEC_MISSING_KEY' || !this.renamed.has(path),
    );
    const [first, ...rest] = told.sort((a, b) => a.order - b.order);
    if (first !== undefined) throw new SweepFileError([first, ...rest]);
  }

  private push(
    issue: Omit<PlacedIssue, 'line' | 'column' | 'place' | 'excerpt'>,
    span: Span | null,
    override: string | null,
  ): void {
    const place = this.place(span, override);
    const message = isWebhook(issue.path)
      ? issue.message.replace(/^found .*$/s, 'found something else')
      : withoutSecrets(issue.message);
    const suggestion = issue.suggestion === null ? null : withoutSecrets(issue.suggestion);
    const twin = this.issues.some((other) => other.place === place.text && other.message === message);
    if (twin) return;
    const { line, column } = place;
    const order = line === null ? -1 : (span?.begin ?? 0);
    this.issues.push({
      ...issue,
      message,
      suggestion,
      line,
      column,
      place: place.text,
      excerpt: isWebhook(issue.path) ? '' : withoutSecrets(this.excerpt(line, column, span)),
      order,
    });
  }

  private place(
    span: Span | null,
    override: string | null,
  ): { text: string; line: number | null; column: number | null } {
    if (override !== null) return { text: `--set ${shownOverride(override)}`, line: null, column: null };
    if (span === null || this.document === null) return { text: this.file, line: null, column: null };
    const { line, column } = this.document.position(span.begin);
    return { text: `${this.file}:${line}:${column}`, line, column };
  }

  private excerpt(line: number | null, column: number | null, span: Span | null): string {
    if (line === null || column === null || span === null || this.document === null) return '';
    const start = this.document.lineStart(line);
    const whole =
      this.text
        .slice(start)
        .split(/\r?\n|\r/, 1)[0]
        ?.replaceAll('\t', ' ') ?? '';
    const from = column > MAX_LINE - 20 ? column - 40 : 0;
    const shown = whole.slice(from, from + MAX_LINE);
    const before = column - 1 - from;
    const length = Math.max(1, Math.min(span.end - span.begin, shown.length - before));
    const gutter = String(line);
    return `  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${' '.repeat(before)}${'^'.repeat(length)}`;
  }

  /** A place inside a scalar that stands on one line; the whole scalar otherwise. */
  private inner(span: Span, offset: number): Span {
    const source = this.text.slice(span.begin, span.end);
    const quoted = source.startsWith('"') || source.startsWith("'");
    const begin = span.begin + (quoted ? 1 : 0) + offset;
    return source.includes('\n') || source.includes('\\') || begin >= span.end
      ? span
      : { begin, end: begin + 1 };
  }
}
