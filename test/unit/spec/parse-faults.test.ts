import { describe, expect, it } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import { recipes } from '../../../proto/recipes.js';
import { complete, errorOf, parse, short, warnings } from './sweep-files.js';

describe('overrides', () => {
  it('replace, add and remove what the file says', () => {
    const spec = parse(
      complete,
      'max_epochs=81',
      'sweep.batch_size=[16]',
      'cases.0.lr_peak.count=5',
      'cases[1].l2= 1e-4',
      'fixed.bn_momentum=0.9',
      'objective.target=',
      'max_parallel=null',
      'budget.hours=2.5',
      'name=other',
    );
    expect(spec).toMatchObject({
      maxEpochs: 81,
      name: 'other',
      maxParallel: null,
      budget: { energyWh: 1000, hours: 2.5 },
    });
    expect(spec.objective.target).toBeNull();
    expect(spec.sweep[0]?.domain).toEqual({ kind: 'list', values: [16] });
    expect(spec.cases[0]?.[1]?.domain).toMatchObject({ count: 5 });
    expect(spec.cases[1]?.[1]?.domain).toEqual({ kind: 'constant', value: 1e-4 });
    expect(spec.fixed['bn_momentum']).toBe(0.9);
  });

  it('reach keys with dots, and rules in their short form', () => {
    const text =
      'name: s\ncommand: [x]\nobjective: {metric: m, goal: minimize}\nmax_epochs: 9\nsweep: {model.lr: [1]}\nstopping: asha';
    const spec = parse(text, 'sweep.model.lr=[2]', 'stopping.eta=2');
    expect(spec.sweep).toEqual([{ name: 'model.lr', domain: { kind: 'list', values: [2] } }]);
    expect(spec.stopping).toMatchObject({ rule: 'asha', eta: 2, firstRung: 2 });
  });

  it('take expressions', () => {
    expect(parse(complete, 'cases.0.lr_peak== 0.1 * batch_size / 32').cases[0]?.[1]?.domain).toEqual({
      kind: 'expression',
      expression: '0.1 * batch_size / 32',
    });
  });

  it.each([
    ['sweep.batch_sise=[1]', 'SPEC_UNKNOWN_KEY', 'batch_size'],
    ['max_epochs=x', 'SPEC_TYPE', null],
    ['seed=[', 'SPEC_VALUE', null],
    ['seed', 'SPEC_VALUE', null],
    ['=1', 'SPEC_VALUE', null],
    ['sweep..x=1', 'SPEC_VALUE', null],
    ['name.x=1', 'SPEC_VALUE', null],
    ['cases.9.l2=1', 'SPEC_VALUE', null],
    ['cases.x.l2=1', 'SPEC_VALUE', null],
    [`fixed.schedule=${'['.repeat(3000)}`, 'SPEC_VALUE', null],
  ])('%s is told by its own words', (override, code, suggestion) => {
    const { issues, message } = errorOf(complete, override);
    expect(issues).toMatchObject([{ code, line: null, column: null, suggestion }]);
    expect(message).toContain(`--set ${override}`);
  });
});

describe('the error', () => {
  it('names every fault, in the order of the file, with what was meant', () => {
    const error = errorOf(
      [
        'name: x',
        'recipe: resnet-cifar10',
        'objectiv: { metric: val_accuracy }',
        'max_epochs: "9"',
        'fixed: { dpth: 11 }',
        'sweep:',
        '  batch_size: []',
        '  shift: { mn: 0, max: 0.1, count: 3 }',
        'stopping: { rule: ahsa }',
        'repeats: 0',
      ].join('\n'),
    );
    expect(error).toBeInstanceOf(WattsweepError);
    expect(error.code).toBe('SPEC_UNKNOWN_KEY');
    expect(
      error.issues.map(({ code, line, column, path, suggestion }) => [code, line, column, path, suggestion]),
    ).toEqual([
      ['SPEC_UNKNOWN_KEY', 3, 1, 'objectiv', 'objective'],
      ['SPEC_TYPE', 4, 13, 'max_epochs', '9'],
      ['SPEC_UNKNOWN_KEY', 5, 10, 'fixed.dpth', 'depth'],
      ['SPEC_EMPTY_GRID', 7, 15, 'sweep.batch_size', null],
      ['SPEC_UNKNOWN_KEY', 8, 12, 'sweep.shift.mn', 'min'],
      ['SPEC_VALUE', 9, 19, 'stopping.rule', 'asha'],
      ['SPEC_VALUE', 10, 10, 'repeats', null],
    ]);
  });

  it('shows the line with a caret under the fault', () => {
    const known = Object.keys(recipes.get('resnet-cifar10')?.parameters ?? {}).join(', ');
    expect(errorOf(short('fixed:', '  btch_size: 3')).message).toBe(
      [
        `a.yaml:6:3: the recipe resnet-cifar10 has no parameter \`btch_size\`; expected one of ${known}; did you mean \`batch_size\`?`,
        '  6 |   btch_size: 3',
        '    |   ^^^^^^^^^',
      ].join('\n'),
    );
  });

  it('stays readable when a file has one fault many times', () => {
    const { issues, message } = errorOf(short(`sweep: { lr_peak: [${'"= 1", '.repeat(5000)}] }`));
    expect(issues).toHaveLength(200);
    expect(message).toMatch(/\.\.\. and 180 more$/);
  });
});

describe('doubts', () => {
  const asha = 'stopping: { rule: asha, first_rung: 30, window: 1 }';
  it.each<[string, string, ...string[]]>([
    [
      'a value that the recipe refuses',
      ':5:22: `fixed.batch_size`: 0 will be refused; the recipe takes a whole number from 1 to 8192',
      'fixed: { batch_size: 0 }',
    ],
    [
      'an unknown optimizer',
      ':5:27: `sweep.optimizer[1]`: "adma" will be refused; the recipe takes one of adam, adamw, sgd (did you mean `adam`?)',
      'sweep: { optimizer: [sgd, adma] }',
    ],
    ['a number for a word', 'takes true or false', 'sweep: { flip: [1] }'],
    [
      'the end of a range',
      '`sweep.shift.max`: 2 will be refused',
      'sweep: { shift: { min: 0, max: 2, count: 3 } }',
    ],
    [
      'the value of an expression',
      '`sweep.shift`: 32 will be refused',
      'fixed: { batch_size: 32 }',
      'sweep: { shift: "= batch_size" }',
    ],
    ['an expression under fixed', 'this is text here', 'fixed: { lr_peak: "= 1" }'],
    ['a value that stands twice', '32 stands twice', 'sweep: { batch_size: [32, 32] }'],
    [
      'points that two cases hold',
      '`cases[1]`: 1 of its points',
      'cases: [{ l2: [0, 1] }, { l2: [1, 0.5] }]',
    ],
    [
      'more values than whole numbers',
      'only 3 whole numbers',
      'sweep: { batch_size: { min: 1, max: 3, count: 9 } }',
    ],
    ['energy without a meter', '`budget.energy_wh`: acts only where', 'budget: { energy_wh: 5 }'],
    [
      'a first rung before the first drop',
      "before the schedule's first drop (after epoch 45)",
      'fixed: { schedule: { kind: piecewise, at: [0.5, 60] } }',
      asha,
    ],
    [
      'a first rung before the first drop of a swept schedule',
      'first drop (after epoch 81)',
      'sweep: { schedule: [{ kind: constant }, { kind: keras-cifar10 }] }',
      asha,
    ],
    [
      'a first rung before the statistics settle',
      'comes after 32 steps (batch_size 128), but with bn_momentum 0.99 validation says little before about 300',
      'fixed: { train_images: 4096, batch_size: 128 }',
      'stopping: { rule: asha, first_rung: 1 }',
    ],
    [
      'a threshold before the statistics settle',
      'the threshold comes after 32 steps',
      'fixed: { train_images: 1024 }',
      'stopping: { rule: threshold, bound: 0.2 }',
    ],
    ['a rule that never acts', 'never saves one', 'stopping: { rule: patience, patience: 90 }'],
  ])('%s', (_what, part, ...extra) => {
    const found = warnings(short(...extra));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(part);
  });

  it.each([
    [
      'the drop was before',
      'fixed: { schedule: { kind: piecewise, at: [0.3] } }',
      'stopping: { rule: asha, first_rung: 30 }',
    ],
    [
      'momentum is 0.9',
      'fixed: { train_images: 4096, batch_size: 128, bn_momentum: 0.9 }',
      'stopping: { rule: asha, first_rung: 1 }',
    ],
    [
      '300 steps were made',
      'fixed: { train_images: 9600, batch_size: 32 }',
      'stopping: { rule: asha, first_rung: 1 }',
    ],
    ['hours stand beside energy', 'budget: { energy_wh: 5, hours: 1 }'],
  ])('has none when %s', (_what, ...extra) => {
    expect(warnings(short(...extra))).toEqual([]);
  });
});
