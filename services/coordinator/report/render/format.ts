/** Numbers and units as a person reads them. Four digits; what was not read is a dash, never 0. */
import type { Aggregate, Spread } from '../analysis/repeats.js';

export const NOT_READ = '–';

/** A sum of decimals may lie a hair below the half that it is: 66.675 prints as 66.68, as on paper. */
const HAIR = 1 + 1e-12;

/** Four significant digits, thousands apart: `0.9298`, `44.63`, `2,337`. For sums, not for values to compare. */
export function quantity(exact: number): string {
  if (!Number.isFinite(exact)) return String(exact);
  const value = exact * HAIR;
  const magnitude = Math.abs(value);
  if (magnitude >= 999.95) return Math.round(value).toLocaleString('en-US');
  if (magnitude === 0) return '0';
  if (magnitude < 1e-3) return value.toExponential(3);
  return value.toPrecision(4);
}

/** An objective's value: four decimals, as accuracies are printed; large and tiny ones by four digits. */
export function objectiveText(value: number): string {
  const magnitude = Math.abs(value);
  return magnitude < 1000 && (magnitude >= 0.001 || magnitude === 0) ? value.toFixed(4) : quantity(value);
}

/** A level or target, as the sweep file has it. */
export const levelText = (level: number): string => String(level);

export interface Unit {
  readonly symbol: string;
  /** How many base units (seconds, joules) one is. */
  readonly size: number;
}

const SECOND: Unit = { symbol: 's', size: 1 };
const MINUTE: Unit = { symbol: 'min', size: 60 };
const HOUR: Unit = { symbol: 'h', size: 3600 };
const JOULE: Unit = { symbol: 'J', size: 1 };
const WATT_HOUR: Unit = { symbol: 'Wh', size: 3600 };
const KILOWATT_HOUR: Unit = { symbol: 'kWh', size: 3_600_000 };

/** By folding: there may be more values than a call takes arguments. */
const largestOf = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);

/** The unit in which the largest of these reads well; one for a whole table, so that its rows compare. */
export function timeUnit(seconds: readonly number[]): Unit {
  const largest = largestOf(seconds);
  return largest < 300 ? SECOND : largest < 5 * 3600 ? MINUTE : HOUR;
}

export function energyUnit(joules: readonly number[]): Unit {
  const largest = largestOf(joules);
  return largest < 7200 ? JOULE : largest < 3_600_000 * 10 ? WATT_HOUR : KILOWATT_HOUR;
}

export const inUnit = (value: number, unit: Unit): string => quantity(value / unit.size);

/** A single duration, e.g. `38.25 min`. */
export function secondsText(seconds: number): string {
  const unit = timeUnit([seconds]);
  return `${inUnit(seconds, unit)} ${unit.symbol}`;
}

/** A single energy, e.g. `44.63 Wh`; an estimate says so. */
export function joulesText(joules: number, estimated = false): string {
  const unit = energyUnit([joules]);
  return `${estimated ? 'an estimated ' : ''}${inUnit(joules, unit)} ${unit.symbol}`;
}

/** Mean with its spread where there is one: `0.9298 ± 0.0006`. */
export function spreadText(spread: Spread | null, text: (value: number) => string = quantity): string {
  if (spread === null) return NOT_READ;
  return spread.sd === null ? text(spread.mean) : `${text(spread.mean)} ± ${spreadDigits(spread.sd)}`;
}

const spreadDigits = (sd: number): string =>
  sd === 0 ? '0' : sd >= 100 ? Math.round(sd).toLocaleString('en-US') : String(Number(sd.toPrecision(2)));

/**
 * An aggregate as a table cell: `84`, `84?` (unconfirmed), `>160` (not reached by then); several repeats add their
 * spread or how many of them reached the level.
 */
export function aggregateText(a: Aggregate, text: (value: number) => string): string {
  if (a.kind === 'unread' || a.value === null) return NOT_READ;
  const mark = a.unconfirmed > 0 ? '?' : '';
  const value = a.kind === 'bound' ? `>${text(a.value)}` : `${text(a.value)}${mark}`;
  if (a.n === 1) return `${value}${a.stoppedByRule > 0 ? ' stopped' : a.diverged > 0 ? ' diverged' : ''}`;
  if (a.kind === 'mean') return `${value} ± ${spreadDigits(a.sd ?? 0)}`;
  const stopped = a.stoppedByRule > 0 ? `, ${a.stoppedByRule} stopped` : '';
  const diverged = a.diverged > 0 ? `, ${a.diverged} diverged` : '';
  return `${value} (${a.reached}/${a.n}${stopped}${diverged})`;
}

/** An epoch, or a mean of epochs. */
export const epochText = (epoch: number): string =>
  Number.isInteger(epoch) ? String(epoch) : epoch.toFixed(1);

/** `0.71` as `71 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)}`;

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;

/** `2026-11-24 05:44 UTC` of an ISO time. */
export const momentText = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

/** `a`, `a and b`, `a, b and c`. */
export const listText = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1) ?? ''}`;
