/**
 * Least and most of any number of values, [Infinity, -Infinity] of none. `Math.max(...values)` takes each value as an
 * argument, and the stack ends at about a hundred thousand.
 */
export function extent(values: readonly number[]): readonly [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
}
