/** Standard functions to minimise, each with its space. */
import type { Axes, Parameters } from '../../services/coordinator/core/spec.js';
import { axes, list, range } from './search.js';

export interface StandardFunction {
  readonly name: string;
  readonly sweep: Axes;
  /** Smallest value. */
  readonly minimum: number;
  readonly value: (point: Parameters) => number;
}

const numbers = (point: Parameters, ...names: readonly string[]): number[] =>
  names.map((name) => Number(point[name]));

/** L. C. W. Dixon and G. P. Szego, "The global optimization problem", 1978. */
const branin: StandardFunction = {
  name: 'Branin',
  sweep: axes({ x: range(-5, 10), y: range(0, 15) }),
  minimum: 0.397887,
  value(point) {
    const [x = 0, y = 0] = numbers(point, 'x', 'y');
    const bowl = y - (5.1 / (4 * Math.PI ** 2)) * x ** 2 + (5 / Math.PI) * x - 6;
    return bowl ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
  },
};

const ALPHA = [1, 1.2, 3, 3.2];
const A = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
];
const P = [
  [1312, 1696, 5569, 124, 8283, 5886],
  [2329, 4135, 8307, 3736, 1004, 9991],
  [2348, 1451, 3522, 2883, 3047, 6650],
  [4047, 8828, 8732, 5743, 1091, 381],
];

/** J. K. Hartman, "Some experiments in global optimization", 1973; six variables. */
const hartmann6: StandardFunction = {
  name: 'Hartmann6',
  sweep: axes(Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => [name, range(0, 1)]))),
  minimum: -3.32237,
  value(point) {
    const x = numbers(point, 'a', 'b', 'c', 'd', 'e', 'f');
    return -ALPHA.reduce((sum, alpha, i) => {
      const distance = x.reduce((s, xj, j) => s + (A[i]?.[j] ?? 0) * (xj - (P[i]?.[j] ?? 0) / 1e4) ** 2, 0);
      return sum + alpha * Math.exp(-distance);
    }, 0);
  },
};

/** What a learning curve's end might look like: names, whole numbers and two logarithmic scales that interact. */
const mixed: StandardFunction = {
  name: 'mixed names and logarithms',
  sweep: axes({
    optimizer: list('sgd', 'adam', 'rmsprop', 'adagrad'),
    lr: range(1e-5, 1, { scale: 'log' }),
    decay: range(1e-6, 1e-1, { scale: 'log' }),
    width: range(8, 512, { scale: 'log', integer: true }),
    layers: range(1, 8, { integer: true }),
  }),
  minimum: 0,
  value(point) {
    const [lr = 1, decay = 1, width = 1, layers = 1] = numbers(point, 'lr', 'decay', 'width', 'layers');
    const optimizer = typeof point['optimizer'] === 'string' ? point['optimizer'] : '';
    const best = { sgd: -1, adam: -3, rmsprop: -3.3, adagrad: -2 }[optimizer] ?? 0;
    const penalty = { sgd: 0.2, adam: 0, rmsprop: 0.3, adagrad: 0.6 }[optimizer] ?? 1;
    return (
      penalty +
      (Math.log10(lr) - best) ** 2 +
      0.25 * (Math.log10(decay) + 3 + 0.5 * (Math.log10(lr) - best)) ** 2 +
      0.3 * Math.log2(width / 128) ** 2 +
      0.1 * (layers - 4) ** 2
    );
  },
};

export const standardFunctions: readonly StandardFunction[] = [branin, hartmann6, mixed];
