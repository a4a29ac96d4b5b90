import { describe, expect, it } from 'vitest';
import {
  formatEnergy,
  formatObjective,
  formatParameter,
  formatSeconds,
  formatWattHours,
  formatWatts,
} from '../../../cli/format.js';

describe('quantities that were not read', () => {
  it.each([formatSeconds, formatEnergy, formatWattHours, formatWatts, formatObjective])(
    'are a dash, never 0',
    (format) => {
      expect(format(null)).toBe('–');
      expect(format(undefined)).toBe('–');
      expect(format(0)).not.toBe('–');
    },
  );
});

describe('quantities that were read', () => {
  it.each([
    [0.04, '0.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 00 s'],
    [187, '3 min 07 s'],
    [7500, '2 h 05 min'],
  ])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  it('gives an objective four digits, and NaN as such', () => {
    expect(formatObjective(0.92736)).toBe('0.9274');
    expect(formatObjective(NaN)).toBe('NaN');
    expect(formatObjective(0)).toBe('0.0000');
    expect(formatObjective(1.5e-5)).toBe('1.500e-5');
  });

  it('gives joules below 10 kJ and watt-hours above', () => {
    expect(formatEnergy(1890)).toBe('1890 J');
    expect(formatEnergy(160_650)).toBe('44.63 Wh');
    expect(formatWattHours(1890)).toBe('0.525 Wh');
  });

  it('shortens a parameter without changing what it says', () => {
    expect(formatParameter(0.003)).toBe('0.003');
    expect(formatParameter(0.1 + 0.2)).toBe('0.3');
    expect(formatParameter('adamw')).toBe('adamw');
    expect(formatParameter([0.5, 0.75])).toBe('[0.5,0.75]');
  });
});
