/** Random search: every parameter drawn independently, uniformly on its scale (Bergstra and Bengio, JMLR 13, 2012). */
import type { Coordinates } from './sequence.js';
import { stream } from './stream.js';

/** Independent coordinates. @param key any text; equal keys give equal numbers */
export const randomCoordinates =
  (key: string): Coordinates =>
  (candidate) => {
    const next = stream(`${key}:${candidate}`);
    const drawn: number[] = [];
    return (coordinate) => {
      while (drawn.length <= coordinate) drawn.push(next());
      return drawn[coordinate] ?? 0;
    };
  };
