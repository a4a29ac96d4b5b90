/**
 * Reads curves: CSV with the columns `trial,epoch,value[,seconds,joules]`, named in the first line, a report a line in
 * order of arrival. Empty `seconds` and `joules` were not read; `nan` or nothing is a value that is not finite.
 */
import { WattsweepError } from '../proto/errors.js';
import type { CurveReport } from '../services/coordinator/core/hindsight/simulation.js';

const REQUIRED = ['trial', 'epoch', 'value'] as const;
const OPTIONAL = ['seconds', 'joules'] as const;
type Column = (typeof REQUIRED)[number] | (typeof OPTIONAL)[number];
const COLUMNS: readonly string[] = [...REQUIRED, ...OPTIONAL];

/** @throws CURVES_INVALID naming the line */
export function parseCurves(text: string, file: string): CurveReport[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const fail = (line: number, message: string): never => {
    throw new WattsweepError('CURVES_INVALID', `${file}:${line}: ${message}`);
  };
  const header = (lines[0] ?? '').split(',').map((name) => name.trim());
  const isKnown = header.every((name, i) => COLUMNS.includes(name) && header.indexOf(name) === i);
  if (!isKnown || REQUIRED.some((name) => !header.includes(name))) {
    fail(
      1,
      `the first line is "${(lines[0] ?? '').slice(0, 80)}"; it names the columns ${COLUMNS.join(',')}`,
    );
  }
  const reports: CurveReport[] = [];
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    const number = index + 1;
    const fields = line.split(',').map((field) => field.trim());
    if (fields.length !== header.length)
      fail(number, `${fields.length} fields for ${header.length} columns; a name of a trial has no comma`);
    const textOf = (column: Column): string => fields[header.indexOf(column)] ?? '';
    const reading = (column: 'seconds' | 'joules'): number | null => {
      const written = textOf(column);
      if (written === '') return null;
      const value = Number(written);
      return Number.isFinite(value) && value >= 0
        ? value
        : fail(number, `${column} is "${written}"; it is a number from 0 on, or nothing`);
    };
    const epoch = Number(textOf('epoch'));
    if (!/^\d+$/.test(textOf('epoch')) || epoch < 1 || !Number.isSafeInteger(epoch))
      fail(number, `epoch is "${textOf('epoch')}"; it is a whole number from 1 on`);
    if (textOf('trial') === '') fail(number, 'the trial has no name');
    const value = valueOf(textOf('value'));
    if (value === null) fail(number, `value is "${textOf('value')}"; it is a number or nan`);
    reports.push({
      trial: textOf('trial'),
      epoch,
      value: value ?? NaN,
      seconds: reading('seconds'),
      joules: reading('joules'),
    });
  }
  if (reports.length === 0) fail(lines.length, 'there is no report below the first line');
  return reports;
}

/** Null for a text that is neither a number nor a word for none. */
function valueOf(text: string): number | null {
  if (text === '' || /^[+-]?nan$/i.test(text)) return NaN;
  const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity;
  const value = Number(text);
  return Number.isNaN(value) ? null : value;
}
