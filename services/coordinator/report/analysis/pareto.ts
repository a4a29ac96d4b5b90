/** The points that no other point beats. */

/** Two costs, smaller is better. */
export type CostPair = readonly [number, number];

/**
 * Indices of the points on the front, by rising first cost. A point is on it unless another is at most as large in
 * both costs and smaller in one; of equal points all are kept.
 */
export function paretoFront(points: readonly CostPair[]): readonly number[] {
  const order = points
    .map(([first, second], index) => ({ first, second, index }))
    .sort((a, b) => a.first - b.first || a.second - b.second || a.index - b.index);
  const front: number[] = [];
  let lowest = Infinity;
  let lowestAt = -Infinity;
  for (const { first, second, index } of order) {
    if (second > lowest || (second === lowest && first > lowestAt)) continue;
    front.push(index);
    lowest = second;
    lowestAt = first;
  }
  return front;
}
