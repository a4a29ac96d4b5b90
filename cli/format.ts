/**
 * Quantities for people. What was not read is `–`, never 0: an unread watt is not a watt saved.
 */

export const UNREAD = '–';

/** `4.2 s`, `3 min 07 s`, `2 h 05 min`. */
export function formatSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNREAD;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return hours > 0 ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(rest)} s`;
}

/** Joules below 10 kJ, watt-hours above. */
export function formatEnergy(joules: number | null | undefined): string {
  if (joules === null || joules === undefined || !Number.isFinite(joules)) return UNREAD;
  return joules < 10_000 ? `${joules.toFixed(0)} J` : `${(joules / 3600).toFixed(2)} Wh`;
}

export function formatWattHours(joules: number | null | undefined): string {
  if (joules === null || joules === undefined || !Number.isFinite(joules)) return UNREAD;
  const wattHours = joules / 3600;
  return `${wattHours.toFixed(wattHours < 10 ? 3 : 1)} Wh`;
}

export function formatWatts(watts: number | null | undefined): string {
  return watts === null || watts === undefined || !Number.isFinite(watts) ? UNREAD : `${watts.toFixed(0)} W`;
}

/** An objective: four digits, as the resolution of 10,000 test images deserves; NaN stands as such. */
export function formatObjective(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNREAD;
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : value.toFixed(4);
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit] ?? ''}`;
}

/** A parameter as it stands in a table cell: short and unambiguous. */
export function formatParameter(value: unknown): string {
  if (typeof value === 'number')
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** `1 trial`, `3 trials`. */
export const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;

export function truncate(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
