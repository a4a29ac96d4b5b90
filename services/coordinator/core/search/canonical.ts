/** One text for one value: what hashes and comparisons of parameters are made of. */
import type { ParameterValue } from '../spec.js';

/** JSON with the keys of every object in code unit order and without white space; -0 is 0, non-finite numbers are null. */
export function canonicalJson(value: ParameterValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** `Array.isArray` that narrows readonly arrays, too. */
export const isList = (value: ParameterValue): value is readonly ParameterValue[] => Array.isArray(value);
