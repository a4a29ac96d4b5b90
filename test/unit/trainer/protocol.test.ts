import { expect, it } from 'vitest';
import { decodeNumber, encodeLine, type RunnerLine } from '../../../services/trainer/protocol/runner.js';

it('carries numbers that are not finite, wherever they stand, and leaves the others alone', () => {
  const line: RunnerLine = {
    type: 'step',
    epoch: 1,
    step: 2,
    metrics: { loss: NaN, above: Infinity, below: -Infinity, rate: 0.5 },
  };
  const { metrics } = JSON.parse(encodeLine(line)) as { metrics: Record<string, unknown> };
  expect(metrics).toEqual({ loss: 'NaN', above: 'Infinity', below: '-Infinity', rate: 0.5 });
  expect(Object.values(metrics).map(decodeNumber)).toEqual([NaN, Infinity, -Infinity, 0.5]);
  expect(encodeLine({ ...line, metrics: { rate: 0.5 } })).toBe(
    '{"type":"step","epoch":1,"step":2,"metrics":{"rate":0.5}}',
  );
});
