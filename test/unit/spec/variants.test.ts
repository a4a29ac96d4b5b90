import { describe, expect, it } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import { pointHash } from '../../../services/coordinator/core/search/index.js';
import { offersAll, programOf, programText } from '../../../services/coordinator/core/variants.js';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';

const file = (variants: string, more = ''): string =>
  [
    'name: compare',
    'objective: { metric: val_accuracy, goal: maximize }',
    'max_epochs: 2',
    more === '' ? 'sweep: { lr_peak: [0.1, 0.2] }' : more,
    'variants:',
    ...variants.split('\n').map((line) => `  ${line}`),
  ].join('\n');
const TWO =
  'ours: { recipe: resnet-cifar10, fixed: { depth: 11 } }\ntheirs: { command: [python3, k.py, "--lr={lr_peak}", "{variant}", "{size}"], fixed: { size: 8 } }';
const problem = (text: string): string => {
  try {
    parseSweepFile(text);
  } catch (error) {
    if (error instanceof WattsweepError) return error.message;
    throw error;
  }
  return 'nothing';
};

describe('variants', () => {
  it('are an axis of the grid; each trial has the program, the recipe and the parameters of its own', () => {
    const { spec, warnings } = parseSweepFile(file(TWO));
    expect(warnings).toEqual([]);
    expect(spec).toMatchObject({ recipe: 'variants', command: [] });
    expect(spec.sweep.at(-1)).toEqual({
      name: 'variant',
      domain: { kind: 'list', values: ['ours', 'theirs'] },
    });
    expect(programOf(spec, { lr_peak: 0.1, variant: 'ours' })).toEqual({
      recipe: 'resnet-cifar10',
      command: [],
      parameters: { lr_peak: 0.1, depth: 11 },
    });
    expect(programOf(spec, { lr_peak: 0.1, variant: 'theirs' })).toEqual({
      recipe: 'command',
      command: ['python3', 'k.py', '--lr={lr_peak}', '{variant}', '{size}'],
      parameters: { lr_peak: 0.1, size: 8 },
    });
    expect(programText(spec)).toBe('ours: resnet-cifar10, theirs: python3');
    expect(offersAll(['resnet-cifar10'], spec)).toBe(false);
    expect(offersAll(['resnet-cifar10', 'command'], spec)).toBe(true);
    // A point has the name that it has where its program runs alone.
    expect(pointHash(spec, { lr_peak: 0.1, variant: 'ours' })).toBe(
      pointHash({ recipe: 'resnet-cifar10', command: [] }, { depth: 11, lr_peak: 0.1 }),
    );
  });

  it('leave a sweep of one program as it was', () => {
    const spec = { recipe: 'command', command: ['x'] };
    const parameters = { variant: 'ours' };
    expect(programOf(spec, parameters)).toEqual({ ...spec, parameters });
    expect(offersAll(['command'], spec)).toBe(true);
    expect(programText(spec)).toBe('command');
  });

  it.each([
    [file('only: { recipe: resnet-cifar10 }'), 'there is nothing to compare'],
    [file(`${TWO}\nnone: { fixed: { depth: 20 } }`), 'the variant none runs nothing'],
    [file(`${TWO}\nboth: { recipe: replay, command: [x] }`), 'stands beside `recipe: replay`'],
    [file(`a: { command: [x] }\nb: { command: [x] }`), 'the variant b is the same as a'],
    [file('a: { command: [x] }\nb: { command: [x, "{nope}"] }'), '`{nope}` names no parameter'],
    [file('a: { command: [x] }\nb: { recipe: resnet-cifar10, fixed: { dept: 11 } }'), 'did you mean'],
    [file('a: { command: [x] }\nb: { recipe: resnet-cifar10, fixed: { lr_peak: 1 } }'), 'too'],
    [file(TWO, 'sweep: { variant: [1, 2] }'), 'names the variants'],
    [file(TWO, 'sweep: { lr_peek: [1, 2] }'), 'lr_peek'],
    [file(TWO, 'recipe: resnet-cifar10\nsweep: { lr_peak: [1, 2] }'), 'stands beside `variants`'],
    [file(TWO, 'search: { method: list, points: [{ lr_peak: 1 }] }'), 'a list of points'],
  ])('with a mistake are refused: %#', (text, words) => {
    expect(problem(text)).toContain(words);
  });
});
