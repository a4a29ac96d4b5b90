/**
 * One varied parameter as the unit interval: numbers in [0, 1) to values, uniformly on the range's own scale, and values
 * back to their place. Every value of a finite domain owns a cell of the interval; a continuous one has points alone.
 */
import type { Domain, ParameterValue } from '../spec.js';
import { axisValues, rounded, type AxisValues } from './domain.js';

/** Where a value lies in [0, 1]: a stretch for finite domains, `low === high` for continuous ones. */
export interface Cell {
  readonly low: number;
  readonly high: number;
}

export interface Dimension {
  readonly name: string;
  readonly domain: Domain;
  /** Number of values; null when continuous. */
  readonly size: number | null;
  /** Whether neighbours in the interval resemble each other. */
  readonly ordered: boolean;
  /** @param unit in [0, 1) */
  at(unit: number): ParameterValue;
  /** The place of a value; null for one that the domain does not hold. */
  cell(value: ParameterValue): Cell | null;
}

type Range = Extract<Domain, { kind: 'range' }>;

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The dimension of a list or a range; null for what does not vary. */
export function dimensionOf(name: string, domain: Domain): Dimension | null {
  if (domain.kind === 'range' && domain.count === null)
    return domain.integer ? wholeNumbers(name, domain) : continuous(name, domain);
  const values = axisValues(domain);
  if (values === null || domain.kind === 'constant') return null;
  return listed(name, domain, values, domain.kind === 'range' || isRising(domain));
}

/** Three or more numbers in rising or falling order: a scale, not names. */
function isRising(domain: Domain): boolean {
  if (domain.kind !== 'list' || domain.values.length < 3) return false;
  const steps = domain.values.slice(1).map((value, index) => {
    const before = domain.values[index];
    return typeof value === 'number' && typeof before === 'number' ? Math.sign(value - before) : 0;
  });
  return steps.every((step) => step !== 0 && step === steps[0]);
}

const listed = (name: string, domain: Domain, values: AxisValues, ordered: boolean): Dimension => ({
  name,
  domain,
  size: values.size,
  ordered,
  at: (unit) => values.at(Math.min(values.size - 1, Math.floor(unit * values.size))),
  cell(value) {
    const index = values.indexOf(value);
    return index < 0 ? null : { low: index / values.size, high: (index + 1) / values.size };
  },
});

/** Every whole number owns the stretch within a half of it, measured on the scale. */
function wholeNumbers(name: string, domain: Range): Dimension {
  const { min, max } = domain;
  const [to, from] = domain.scale === 'log' ? [Math.log, Math.exp] : [(x: number) => x, (x: number) => x];
  const low = to(min - 0.5);
  const span = to(max + 0.5) - low;
  return {
    name,
    domain,
    size: max - min + 1,
    ordered: true,
    at: (unit) => clamp(Math.round(from(low + unit * span)), min, max),
    cell(value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) return null;
      return { low: (to(value - 0.5) - low) / span, high: (to(value + 0.5) - low) / span };
    },
  };
}

function continuous(name: string, domain: Range): Dimension {
  const { min, max } = domain;
  const isLog = domain.scale === 'log';
  const span = isLog ? Math.log(max / min) : max - min;
  return {
    name,
    domain,
    size: null,
    ordered: true,
    at: (unit) => clamp(rounded(isLog ? min * Math.exp(unit * span) : min + unit * span), min, max),
    cell(value) {
      if (typeof value !== 'number' || value < min || value > max) return null;
      const unit = clamp((isLog ? Math.log(value / min) : value - min) / span, 0, 1);
      return { low: unit, high: unit };
    },
  };
}
