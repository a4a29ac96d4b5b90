/** Reads the parameters that say what a network looks like. */
import type { Parameters } from '../../../protocol/runner.js';
import { refuse } from '../validate.js';
import type { Activation } from './architecture.js';
import type { NetworkSettings } from './networks.js';
import { DEPTHS, unitsOf } from './networks.js';

/** Stages; each but the first halves the side. */
const MOST_STAGES = 5;
const MOST_UNITS = 200;

/** @throws WattsweepError PARAMETER_REFUSED */
export function residualNetwork(
  kind: keyof typeof DEPTHS,
  all: Parameters,
  depth = all['depth'] as number,
): NetworkSettings {
  const common = {
    units: all['units'] === null ? fromDepth(kind, depth) : givenUnits(all['units']),
    activation: all['activation'] as Activation,
    shortcutKernel: all['shortcut_kernel'] as number,
  };
  return kind === 'wide-resnet' ? { kind, ...common, width: all['width'] as number } : { kind, ...common };
}

function fromDepth(kind: keyof typeof DEPTHS, depth: number): readonly number[] {
  const units = unitsOf(kind, depth);
  if (units !== null) return units;
  const { perUnit, beside } = DEPTHS[kind];
  const below = Math.max(perUnit + beside, Math.floor((depth - beside) / perUnit) * perUnit + beside);
  return refuse('depth', `${depth} is not ${perUnit}n+${beside}; near are ${below} and ${below + perUnit}`);
}

function givenUnits(value: unknown): readonly number[] {
  const isUnits = (unit: unknown): unit is number =>
    typeof unit === 'number' && Number.isInteger(unit) && unit >= 1 && unit <= MOST_UNITS;
  if (!Array.isArray(value) || value.length < 1 || value.length > MOST_STAGES || !value.every(isUnits)) {
    return refuse(
      'units',
      `${JSON.stringify(value)} is no list of 1 to ${MOST_STAGES} whole numbers from 1 to ${MOST_UNITS}`,
    );
  }
  return value;
}
