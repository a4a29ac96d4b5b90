/**
 * What a trainer may say: numbers that can be, texts that fit. A reading that cannot be is no reading, a text is cut, and
 * each is told once to `doubt`: a trainer that lies, or has a broken clock, must not spoil sums or fill the ledger.
 */

/** Takes one sentence about something that cannot be. */
export type Doubt = (sentence: string) => void;

/** Largest readings that are believed: three years, a small power station's day, a cluster's draw. */
const MOST = {
  seconds: 1e8,
  joules: 1e12,
  watts: 1e8,
  bytes: 1e15,
  perSecond: 1e12,
  count: 1e15,
  ratio: 1e3,
} as const;

/** Characters of a name, and of a sentence. */
export const LONGEST = { name: 200, sentence: 2_000 } as const;

/** Metrics of an epoch, entries of a map. */
const MOST_ENTRIES = 1_000;

const SHOWN = 60;
const show = (text: string): string =>
  JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);

/** Null for what was not read, and for what cannot be: not finite, below 0, or beyond what is believed. */
export function reading(
  value: number | undefined,
  unit: keyof typeof MOST,
  what: string,
  doubt: Doubt,
): number | null {
  if (value === undefined) return null;
  if (Number.isFinite(value) && value >= 0 && value <= MOST[unit]) return value;
  doubt(`${what} is ${String(value)}, which cannot be: it counts as not read`);
  return null;
}

/** The text, cut to `longest` characters. */
export function cut(text: string, longest: number, what: string, doubt: Doubt): string {
  if (text.length <= longest) return text;
  doubt(`${what} has ${text.length} characters: ${longest} are kept`);
  return text.slice(0, longest);
}

/** The map without entries whose names are too long, and without those beyond the first thousand. */
export function bounded<T>(
  map: Readonly<Record<string, T>>,
  what: string,
  doubt: Doubt,
): Readonly<Record<string, T>> {
  const names = Object.keys(map);
  const tooLong = names.find((name) => name.length > LONGEST.name);
  if (names.length <= MOST_ENTRIES && tooLong === undefined) return map;
  if (tooLong !== undefined)
    doubt(`${what} have a name of ${tooLong.length} characters, ${show(tooLong)}: it is left out`);
  if (names.length > MOST_ENTRIES) doubt(`${what} are ${names.length}: the first ${MOST_ENTRIES} are kept`);
  const kept = names.filter((name) => name.length <= LONGEST.name).slice(0, MOST_ENTRIES);
  return Object.fromEntries(kept.flatMap((name) => (name in map ? [[name, map[name] as T]] : [])));
}
