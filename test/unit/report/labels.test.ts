import { expect, it } from 'vitest';
import type { Parameters } from '../../../services/coordinator/core/spec.js';
import { labelSettings, parameterNumber } from '../../../services/coordinator/report/labels.js';
import { sweepSpec } from '../../support/core.js';

const spec = sweepSpec({
  name: 'study',
  sweep: ['batch_size', 'lr_peak', 'schedule'].map((name) => ({
    name,
    domain: { kind: 'list', values: [] },
  })),
  cases: [[{ name: 'optimizer', domain: { kind: 'list', values: [] } }]],
});

const labelsOf = (...points: Parameters[]): readonly string[] => {
  const labels = labelSettings(spec, new Map(points.map((point, i) => [`hash${i}-abcdef`, point])));
  return points.map((_, i) => labels.of(`hash${i}-abcdef`));
};

it('names only what differs, in the order of the file', () =>
  expect(
    labelsOf(
      { depth: 11, optimizer: 'adam', lr_peak: 0.001, batch_size: 64 },
      { depth: 11, optimizer: 'sgd', lr_peak: 0.05, batch_size: 64 },
      { depth: 11, optimizer: 'adam', lr_peak: 0.001, batch_size: 32 },
    ),
  ).toEqual([
    'batch_size 64 · lr_peak 1e-3 · adam',
    'batch_size 64 · lr_peak 0.05 · sgd',
    'batch_size 32 · lr_peak 1e-3 · adam',
  ]));

it('looks into objects', () =>
  expect(
    labelsOf(
      { schedule: { kind: 'constant' } },
      { schedule: { kind: 'piecewise', at: [0.5, 0.75] } },
      { schedule: { kind: 'piecewise', at: [0.5] } },
    ),
  ).toEqual(['constant', 'schedule.at [0.5,0.75] · piecewise', 'schedule.at [0.5] · piecewise']));

it('leaves out what a branch does not have, and says true and null in full', () =>
  expect(labelsOf({ nesterov: true, l2: null }, { weight_decay: 0.1, l2: 1e-4 })).toEqual([
    'l2 null · nesterov true',
    'l2 1e-4 · weight_decay 0.1',
  ]));

it('names the parameter of a word that two parameters may have', () =>
  expect(labelsOf({ optimizer: 'adam', probe: 'sgd' }, { optimizer: 'sgd', probe: 'adam' })).toEqual([
    'optimizer adam · probe sgd',
    'optimizer sgd · probe adam',
  ]));

it('takes the sweep’s name where nothing differs', () => expect(labelsOf({ a: 1 })).toEqual(['study']));

it('tells apart what four digits do not', () => {
  const [a, b] = labelsOf({ lr_peak: 0.00100001 }, { lr_peak: 0.00100002 });
  expect(a).toBe('lr_peak 1e-3 #hash0-');
  expect(b).toBe('lr_peak 1e-3 #hash1-');
});

it('orders by size, not by text', () => {
  const points: readonly Parameters[] = [{ batch_size: 128 }, { batch_size: 32 }, { batch_size: 64 }];
  const labels = labelSettings(spec, new Map(points.map((point, i) => [String(i), point])));
  expect(['0', '1', '2'].sort(labels.compare)).toEqual(['1', '2', '0']);
});

it.each([
  [64, '64'],
  [50_000, '50000'],
  [0.07, '0.07'],
  [0.001, '1e-3'],
  [0.0014142135, '1.414e-3'],
  [3.16e-6, '3.16e-6'],
  [-0.5, '-0.5'],
  [0, '0'],
  [1e9, '1e9'],
  [Infinity, 'Infinity'],
])('writes %d as %s', (value, text) => expect(parameterNumber(value)).toBe(text));
