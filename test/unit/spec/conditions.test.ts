/** Parameters that exist only beside certain values of others. */
import { describe, expect, it } from 'vitest';
import { pointAt, searchSize } from '../../../services/coordinator/core/search/index.js';
import type { Parameters, SweepSpec } from '../../../services/coordinator/core/index.js';
import { parseSweepFile, SweepFileError } from '../../../services/coordinator/spec/index.js';

const specOf = (...lines: string[]): SweepSpec =>
  parseSweepFile(
    ['name: s', 'command: [x]', 'objective: { metric: m, goal: maximize }', 'max_epochs: 9', ...lines].join(
      '\n',
    ),
  ).spec;

const pointsOf = (spec: SweepSpec, count = searchSize(spec)): Parameters[] =>
  Array.from({ length: count }, (_, position) => {
    const results = (): [] => [];
    return pointAt(spec, position, results) ?? {};
  });

const text = (points: readonly Parameters[]): string[] => points.map((point) => JSON.stringify(point)).sort();

const optimizers = `sweep:
  optimizer: [adamw, sgd, lion]
  momentum: { when: "optimizer == 'sgd'", values: [0.8, 0.9] }
  decay: { when: "optimizer != 'sgd'", min: 0.001, max: 0.1, scale: log, count: 2 }
  lr: [1, 2]`;

describe('when', () => {
  it('gives a parameter only to the points at which it holds', () => {
    const points = pointsOf(specOf(optimizers));
    expect(points).toHaveLength(2 * (2 * 2 + 2));
    for (const { optimizer, momentum, decay } of points) {
      expect(momentum !== undefined).toBe(optimizer === 'sgd');
      expect(decay !== undefined).toBe(optimizer !== 'sgd');
    }
    expect(new Set(text(points)).size).toBe(points.length);
  });

  it('is what the same cases, written out, are', () => {
    const written = specOf(`sweep: { lr: [1, 2] }
cases:
  - { optimizer: [adamw, lion], decay: { min: 0.001, max: 0.1, scale: log, count: 2 } }
  - { optimizer: sgd, momentum: [0.8, 0.9] }`);
    expect(text(pointsOf(specOf(optimizers)))).toEqual(text(pointsOf(written)));
  });

  it('may ask for a parameter that itself has a condition, for fixed ones, and stand in a case', () => {
    const spec = specOf(`fixed: { depth: 20 }
sweep:
  optimizer: [adamw, sgd]
  momentum: { when: "optimizer == 'sgd'", values: [0, 0.9] }
  nesterov: { when: "momentum > 0", value: true }
cases:
  - { kind: a, deep: { when: "depth > 30", value: 1 } }
  - { kind: b, wide: { when: "depth < 30", values: [1, 2] } }`);
    const of = (kind: string): string[] =>
      text(
        pointsOf(spec)
          .filter((point) => point['kind'] === kind)
          .map(({ depth: _, kind: __, ...rest }) => rest),
      );
    expect(of('a')).toEqual([
      '{"momentum":0,"optimizer":"sgd"}',
      '{"momentum":0.9,"nesterov":true,"optimizer":"sgd"}',
      '{"optimizer":"adamw"}',
    ]);
    expect(of('b')).toHaveLength(6);
  });

  it.each(['random', 'sobol', 'tpe'])(
    'draws every value of the asked parameter equally often: %s',
    (method) => {
      const spec = specOf(
        'sweep:',
        '  optimizer: [adamw, sgd, lion]',
        `  momentum: { when: "optimizer == 'sgd'", min: 0, max: 1 }`,
        '  lr: { min: 0.1, max: 1 }',
        `search: { method: ${method}, trials: 300${method === 'tpe' ? ', startup: 300' : ''} }`,
      );
      const points = pointsOf(spec);
      for (const name of ['adamw', 'sgd', 'lion'])
        expect(Math.abs(points.filter(({ optimizer }) => optimizer === name).length - 100)).toBeLessThan(25);
      expect(
        points.every(({ optimizer, momentum }) => (optimizer === 'sgd') === (momentum !== undefined)),
      ).toBe(true);
    },
  );

  it('completes enqueued points by it', () => {
    const search =
      'search: { method: random, trials: 4, enqueue: [{ optimizer: sgd, momentum: 0.85, lr: 1 }] }';
    expect(pointsOf(specOf(optimizers, search), 1)).toEqual([{ optimizer: 'sgd', momentum: 0.85, lr: 1 }]);
  });

  it.each([
    ['sweep: { a: { when: "b == 1", value: 2 } }', 'the sweep sets no parameter `b`'],
    [
      'sweep: { a: { min: 0, max: 1 }, b: { when: "a > 0.5", value: 2 } }\nsearch: { method: random, trials: 3 }',
      'takes on too many values',
    ],
    ['sweep: { a: { when: "b == 1", value: 1 }, b: { when: "a == 1", value: 1 } }', 'in a circle'],
    ['sweep: { a: [1, 2], b: { when: "a + 1", value: 1 } }', 'it gives 2 at a = 1'],
    ['sweep: { a: [1, 2], b: { when: "a ==", value: 1 } }', 'a =='],
    ['sweep: { a: [1, 2], b: { when: "a == 1" } }', 'no value beside `when`'],
    ['sweep: { a: [1, 2], b: { when: 3, value: 1 } }', 'found 3'],
    ['sweep: { a: [1, 2], b: { when: "a == 1", value: 1, values: [2] } }', 'stands beside'],
  ])('refuses %s', (lines, message) => {
    expect(() => specOf(lines)).toThrow(SweepFileError);
    expect(() => specOf(lines)).toThrow(message);
  });

  it('tells when a program needs a parameter that not every point has', () => {
    const file = `name: s
command: [x, "{momentum}"]
objective: { metric: m, goal: maximize }
max_epochs: 9
${optimizers}`;
    expect(() => parseSweepFile(file)).toThrow('has no value in cases[0]');
  });
});
