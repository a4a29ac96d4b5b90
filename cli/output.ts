/**
 * Where words go: data on stdout, everything else on stderr. Colour and redrawing only on a terminal.
 */
import Table from 'cli-table3';
import pc from 'picocolors';

/** True when text on `stream` may be coloured: a terminal, and NO_COLOR (no-color.org) not set. */
export function wantsColor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

export const outColors = pc.createColors(wantsColor(process.stdout));
export const noteColors = pc.createColors(wantsColor(process.stderr));
export type Colors = ReturnType<typeof pc.createColors>;

/** Data: what the command was asked for. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** One JSON document. Numbers that are not finite become the strings `NaN`, `Infinity`, `-Infinity`: never null. */
export function printJson(value: unknown, indent = 2): void {
  print(JSON.stringify(value, jsonNumber, indent));
}

/** Progress, warnings, hints: for the person, not for the pipe. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function warn(text: string): void {
  note(`${noteColors.yellow('warning:')} ${text}`);
}

export function jsonNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Rows under titles, without rules, so that it can be read, cut and sorted alike. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  colors: Colors = outColors,
): string {
  const grid = new Table({
    chars: PLAIN,
    colAligns: columns.map((column) => column.align ?? 'left'),
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  grid.push(
    columns.map((column) => colors.bold(column.title)),
    ...rows.map((row) => [...row]),
  );
  return grid
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A reader that has seen enough (`| head`) is no fault of ours. */
export function tolerateClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
