/** The values that one axis takes on in a grid, by index, without storing those of a range. */
import type { Domain, ParameterValue } from '../spec.js';
import { canonicalJson } from './canonical.js';

export interface AxisValues {
  readonly size: number;
  /** @param index 0..size-1 */
  at(index: number): ParameterValue;
  /** The index of a value, -1 when it is not among them. */
  indexOf(value: ParameterValue): number;
}

type Range = Extract<Domain, { kind: 'range' }>;

/**
 * Rounds to 12 significant digits: 0.1 + 0.2 reads 0.3, and the last bits of `Math.pow` and its like, which differ
 * between engines, do not reach names of points.
 */
export const rounded = (value: number): number => Number(value.toPrecision(12));

const listed = (values: readonly ParameterValue[]): AxisValues => {
  let indices: Map<string, number> | null = null;
  return {
    size: values.length,
    at: (index) => values[index] ?? null,
    indexOf(value) {
      indices ??= new Map(values.map((item, index) => [canonicalJson(item), index]));
      return indices.get(canonicalJson(value)) ?? -1;
    },
  };
};

/** Strictly rising values with a way to guess the index of one. */
const rising = (
  size: number,
  at: (index: number) => number,
  guess: (value: number) => number,
): AxisValues => ({
  size,
  at,
  indexOf(value) {
    if (typeof value !== 'number') return -1;
    const near = Math.round(guess(value));
    const found = [near - 1, near, near + 1].find(
      (index) => index >= 0 && index < size && at(index) === value,
    );
    return found ?? -1;
  },
});

function rangeValues({ min, max, scale, integer, count }: Range): AxisValues {
  const wanted = count ?? 1;
  if (wanted === 1) return listed([min]);
  const last = wanted - 1;
  if (scale === 'log') {
    const ratio = Math.log(max / min);
    const at = (index: number): number =>
      index === 0 ? min : index === last ? max : rounded(min * Math.exp((ratio * index) / last));
    if (!integer) return rising(wanted, at, (value) => (Math.log(value / min) / ratio) * last);
    return listed([...new Set(Array.from({ length: wanted }, (_, index) => Math.round(at(index))))]);
  }
  if (integer) {
    const size = Math.min(wanted, max - min + 1);
    const step = (max - min) / (size - 1);
    return rising(
      size,
      (index) => Math.round(min + index * step),
      (value) => (value - min) / step,
    );
  }
  const step = (max - min) / last;
  const tiny = 1e-12 * Math.max(Math.abs(min), Math.abs(max));
  const at = (index: number): number => {
    if (index === 0) return min;
    if (index === last) return max;
    const value = rounded(min + index * step);
    return Math.abs(value) < tiny ? 0 : value;
  };
  return rising(wanted, at, (value) => (value - min) / step);
}

/** The values of a domain; null for an expression, whose value follows from the point's others. */
export function axisValues(domain: Domain): AxisValues | null {
  switch (domain.kind) {
    case 'constant':
      return listed([domain.value]);
    case 'list':
      return listed(domain.values);
    case 'range':
      return rangeValues(domain);
    case 'expression':
      return null;
  }
}
