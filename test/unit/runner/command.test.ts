import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../services/trainer/runner/recipes/command/report.js';

describe("a program's report", () => {
  it.each([
    ['{"epoch":1,"val_accuracy":0.5}', { epoch: 1, step: 0, metrics: { val_accuracy: 0.5 } }],
    ['  {"epoch": 2, "step": 40, "loss": 1.5, "note": "x"}', { epoch: 2, step: 40, metrics: { loss: 1.5 } }],
    ['{"epoch":1,"loss":NaN,"acc":-Infinity}', { epoch: 1, step: 0, metrics: { loss: NaN, acc: -Infinity } }],
  ])('is read from %s', (line, report) => expect(parseReport(line)).toEqual(report));

  it.each([
    '{"epoch":0,"a":1}',
    '{"epoch":1.5,"a":1}',
    '{"a":1}',
    '{"epoch":1}',
    '{"epoch":1',
    '{]',
    '{"epoch":"1","a":1}',
  ])('is malformed: %s', (line) => expect(parseReport(line)).toBe('malformed'));

  it.each(['Epoch 1/10', '', '[1]', 'loss {"epoch":1}'])('is none, but log: %j', (line) =>
    expect(parseReport(line)).toBe('log'),
  );
});
