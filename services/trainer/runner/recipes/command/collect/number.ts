/** A number as programs print it, Python's `nan` and `inf` among them; undefined for what is none. */
export function numberOf(text: string): number | undefined {
  const word = text.trim();
  const special = /^([+-]?)(nan|inf|infinity)$/i.exec(word);
  if (special !== null) {
    if (special[2]?.toLowerCase() === 'nan') return NaN;
    return special[1] === '-' ? -Infinity : Infinity;
  }
  const value = word === '' ? NaN : Number(word);
  return Number.isNaN(value) ? undefined : value;
}
