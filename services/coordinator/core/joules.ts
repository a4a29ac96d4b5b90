export const JOULES_PER_WH = 3_600;

/** Sum of two readings; one that is missing does not make the other one vanish. */
export const addJoules = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : a + b;
