import { expect, it } from 'vitest';
import { extent } from '../../../services/coordinator/report/analysis/extent.js';

it('takes as many values as there are', () => {
  expect(extent(Array.from({ length: 300_000 }, (_, i) => i - 5))).toEqual([-5, 299_994]);
  expect(extent([])).toEqual([Infinity, -Infinity]);
});
