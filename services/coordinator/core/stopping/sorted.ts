/** Lists that are kept in order, best (largest) first. */

/** First place in `values` (best first) whose value is not better than `value`: the count of strictly better ones. */
export function countBetter(values: readonly number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) > value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts `value` in its place. */
export function insert(values: number[], value: number): void {
  values.splice(countBetter(values, value), 0, value);
}
