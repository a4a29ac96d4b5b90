import { describe, it } from 'vitest';
import { type Wanted, check, head } from './issues.js';

describe('lines that cannot follow a sound head', () => {
  it.each<[string, ...Wanted[]]>([
    ['sweeps: {}', ['SPEC_UNKNOWN_KEY', 5, 1, 'no key `sweeps`', 'sweep']],
    ['batch_size: 3', ['SPEC_UNKNOWN_KEY', 5, 1, 'parameters stand under']],
    ['sweep: {}', ['SPEC_EMPTY_GRID', 5, 8, 'the map is empty']],
    ['cases: []', ['SPEC_EMPTY_GRID', 5, 8, 'the list is empty']],
    ['sweep: { lr_peak: [] }', ['SPEC_EMPTY_GRID', 5, 19, 'the list is empty']],
    ['sweep: { lr_peak: }', ['SPEC_EMPTY_GRID', 5, 19, 'there is no value']],
    ['sweep: [1]', ['SPEC_TYPE', 5, 8, 'a map']],
    ['cases: { l2: 1 }', ['SPEC_TYPE', 5, 8, 'a list']],
    ['cases: [3]', ['SPEC_TYPE', 5, 9, 'a map']],
    ['sweep: { l2: { min: 1, max: 0, count: 2 } }', ['SPEC_VALUE', 5, 21, 'min 1 is not below max 0']],
    ['sweep: { l2: { min: 1, max: 1, count: 2 } }', ['SPEC_VALUE', 5, 21, 'min 1 is not below max 1']],
    [
      'sweep: { l2: { min: 0, max: 1, count: 2, scale: log } }',
      ['SPEC_VALUE', 5, 21, 'min is 0 on a log scale'],
    ],
    ['sweep: { l2: { min: 0, max: 1 } }', ['SPEC_MISSING_KEY', 5, 14, 'no `count`']],
    ['sweep: { l2: { min: 0, max: 1, count: 0 } }', ['SPEC_VALUE', 5, 39, 'at least 1']],
    ['sweep: { l2: { min: 0, max: 1, count: 1.5 } }', ['SPEC_TYPE', 5, 39, 'a whole number']],
    ['sweep: { l2: { min: 0, max: .inf, count: 2 } }', ['SPEC_VALUE', 5, 29, 'finite']],
    ['sweep: { l2: { min: 0, max: 1, count: 2, scale: lgo } }', ['SPEC_VALUE', 5, 49, 'linear, log', 'log']],
    [
      'sweep: { l2: { min: 0, max: 1, cuont: 2 } }',
      ['SPEC_UNKNOWN_KEY', 5, 32, 'a range has no key', 'count'],
    ],
    ['sweep: { l2: { min: 0.5, max: 2, count: 2, integer: true } }', ['SPEC_VALUE', 5, 21, 'a whole number']],
    [
      'sweep: { l2: { min: 1, max: 1.000000001, count: 1000 } }',
      ['SPEC_VALUE', 5, 49, 'cannot be told apart'],
    ],
    ['fixed: { l2: .nan }', ['SPEC_VALUE', 5, 14, 'found NaN']],
    ['fixed: { schedule: { kind: piecewise, at: [.inf] } }', ['SPEC_VALUE', 5, 44, 'found Infinity']],
    ['fixed: { learning_rat: 1 }', ['SPEC_UNKNOWN_KEY', 5, 10, 'no parameter `learning_rat`']],
    ['fixed: { lr_peek: 1 }', ['SPEC_UNKNOWN_KEY', 5, 10, 'no parameter `lr_peek`', 'lr_peak']],
    ['fixed: { "a b": 1 }', ['SPEC_VALUE', 5, 10, 'cannot be the name']],
    ['fixed: { __proto__: { x: 1 } }', ['SPEC_UNKNOWN_KEY', 5, 10, '__proto__']],
    ['fixed: { l2: 0 }\nsweep: { l2: [0, 1] }', ['SPEC_VALUE', 6, 10, 'under `fixed`, too']],
    ['sweep: { l2: [0, 1] }\ncases: [{ l2: 1 }]', ['SPEC_VALUE', 6, 11, 'under `sweep`, too']],
    ['fixed: { l2: 0 }\ncases: [{ l2: 1 }]', ['SPEC_VALUE', 6, 11, 'under `fixed`, too']],
    ['levels: 0.9', ['SPEC_TYPE', 5, 9, 'a list', '[0.9]']],
    ['levels: [0.9, high]', ['SPEC_TYPE', 5, 15, 'a number']],
    ['repeats: 0', ['SPEC_VALUE', 5, 10, 'at least 1']],
    ['repeats:', ['SPEC_TYPE', 5, 9, 'found nothing']],
    ['seed: -1', ['SPEC_VALUE', 5, 7, 'at least 0']],
    ['seed: 1.5', ['SPEC_TYPE', 5, 7, 'a whole number']],
    ['max_parallel: 0', ['SPEC_VALUE', 5, 15, 'at least 1']],
    ['budget: { hours: 0 }', ['SPEC_VALUE', 5, 18, 'more than 0']],
    ['budget: { hours: 2h }', ['SPEC_TYPE', 5, 18, 'the text "2h"']],
    ['budget: { energy: 1 }', ['SPEC_UNKNOWN_KEY', 5, 11, 'energy_wh, hours', 'energy_wh']],
    ['resources: { gpus: 2000 }', ['SPEC_VALUE', 5, 20, 'at most 1024']],
    ['resources: { gpu: 1 }', ['SPEC_UNKNOWN_KEY', 5, 14, 'gpus, device', 'gpus']],
    ['resources: { memry_gb: 8 }', ['SPEC_UNKNOWN_KEY', 5, 14, 'gpus, device, memory_gb', 'memory_gb']],
    ['resources: { memory_gb: 0 }', ['SPEC_VALUE', 5, 25, 'more than 0']],
    ['retries: 3', ['SPEC_TYPE', 5, 10, 'a map']],
    ['retries: { crash: 3 }', ['SPEC_UNKNOWN_KEY', 5, 12, 'crashed, lost', 'crashed']],
    ['retries: { out_of_memory: -1 }', ['SPEC_VALUE', 5, 27, 'at least 0']],
    ['placement: block', ['SPEC_VALUE', 5, 12, 'blocked', 'blocked']],
    [
      'placement: blocked\nstopping: { rule: patience, patience: 3 }',
      ['SPEC_VALUE', 5, 12, 'stopping: none'],
    ],
    [
      'placement: blocked\nsweep: { l2: { min: 0, max: 1, count: 1001 } }',
      ['SPEC_VALUE', 5, 12, 'at most 1000 points'],
    ],
    ['search: sobol', ['SPEC_MISSING_KEY', 5, 9, 'number of trials', '{ method: sobol, trials: 64 }']],
    ['search: list', ['SPEC_MISSING_KEY', 5, 9, 'its points', '{ method: list, points: [...] }']],
    [
      'search: { method: gird }',
      ['SPEC_VALUE', 5, 19, 'one of grid, random, sobol, list, tpe, module', 'grid'],
    ],
    ['search: { trials: 60 }', ['SPEC_MISSING_KEY', 5, 9, '`method` is missing']],
    ['search: { method: random }', ['SPEC_MISSING_KEY', 5, 9, '`trials` is missing']],
    [
      'sweep: { l2: { min: 0, max: 1 } }\nsearch: { method: random }',
      ['SPEC_MISSING_KEY', 6, 9, '`trials` is missing'],
    ],
    ['search: { method: sobol, trials: 0 }', ['SPEC_VALUE', 5, 34, 'at least 1']],
    ['search: { method: tpe, trials: 60, gamma: 1 }', ['SPEC_VALUE', 5, 43, 'less than 1']],
    ['search: { method: tpe, trials: 10001 }', ['SPEC_VALUE', 5, 32, 'at most 10000']],
    [
      'search: { method: tpe, trials: 60, strtup: 3 }',
      ['SPEC_UNKNOWN_KEY', 5, 36, '`search` has no key', 'startup'],
    ],
    ['search: { method: random, trials: 60, startup: 3 }', ['SPEC_UNKNOWN_KEY', 5, 39, 'no key `startup`']],
    ['search: { method: list, points: [] }', ['SPEC_VALUE', 5, 33, 'the list is empty']],
    ['search: { method: list, points: [3] }', ['SPEC_TYPE', 5, 34, 'a map']],
    ['search: { method: list, points: [{ l3: 1 }] }', ['SPEC_UNKNOWN_KEY', 5, 36, 'no parameter `l3`', 'l2']],
    ['search: { method: list, points: [{ l2: "= 1" }] }', ['SPEC_EXPRESSION', 5, 40, 'in a point']],
    [
      'sweep: { l2: [0, 1] }\nsearch: { method: grid, enqueue: [{ lr_peak: 1 }] }',
      ['SPEC_VALUE', 6, 35, 'no value for `l2`'],
      ['SPEC_UNKNOWN_KEY', 6, 37, 'sets no parameter `lr_peak`'],
    ],
    [
      'cases: [{ optimizer: sgd }, { optimizer: adam }]\nsearch: { method: grid, enqueue: [{ optimizer: adamw }] }',
      ['SPEC_VALUE', 6, 35, 'cases[0]: `optimizer` is "sgd" there'],
    ],
    [
      'cases: [{ l2: 0 }, { l2: 1 }]\nsearch: { method: random, trials: 2, case_weights: [1] }',
      ['SPEC_VALUE', 6, 52, '1 weights for 2 cases'],
    ],
    [
      'sweep: { l2: [0, 1] }\nsearch: { method: random, trials: 1, enqueue: [{ l2: 2 }, { l2: 3 }] }',
      ['SPEC_VALUE', 6, 35, 'at least 2'],
    ],
    ['constraints: ["l2 <"]', ['SPEC_EXPRESSION', 5, 20, 'expected']],
    ['sweep: { l2: [0, 1] }\nconstraints: ["l3 < 1"]', ['SPEC_EXPRESSION', 6, 15, '`l3`', 'l2']],
    ['sweep: { l2: [0, 1] }\nconstraints: ["l2 + 1"]', ['SPEC_EXPRESSION', 6, 15, 'true or false']],
    ['sweep: { l2: [0, 1] }\nconstraints: ["l2 < 0"]', ['SPEC_EMPTY_GRID', 6, 1, 'no point of the grid']],
    [
      'sweep: { l2: { min: 0, max: 1 } }\nconstraints: ["l2 < 0"]\nsearch: { method: tpe, trials: 9 }',
      ['SPEC_EMPTY_GRID', 6, 1, 'no point that satisfies'],
    ],
    [
      'sweep: { l2: [0, 1] }\nconstraints: ["l2 < 1"]\nsearch: { method: grid, enqueue: [{ l2: 3 }] }',
      ['SPEC_VALUE', 7, 35, 'breaks the constraint `l2 < 1`'],
    ],
    ['search: { method: grid, trials: 60 }', ['SPEC_UNKNOWN_KEY', 5, 25, 'no key `trials`']],
    ['stopping: energy', ['SPEC_VALUE', 5, 11, 'energy_to_target', 'energy_to_target']],
    ['stopping: { module: x.mjs, options: 3 }', ['SPEC_TYPE', 5, 37, 'a map']],
    ['search: { module: x.mjs }', ['SPEC_MISSING_KEY', 5, 9, '`trials` is missing']],
    ['stopping: energy_to_target', ['SPEC_STOPPING', 5, 11, 'needs a level of the objective']],
    [
      'stopping: { rule: asha, first_rung: 2, mode: promote, pareto: [joules] }',
      ['SPEC_STOPPING', 5, 63, 'promotion ranks by the objective alone'],
    ],
    ['stopping: { rule: hyperband, eta: 10 }', ['SPEC_STOPPING', 5, 11, 'no round to stop at']],
    [
      'stopping: { rule: composite, rules: [{ rule: asha, first_rung: 1, mode: promote }] }',
      ['SPEC_STOPPING', 5, 73, 'promotion pauses trials'],
    ],
    [
      'stopping: { rule: energy }',
      ['SPEC_VALUE', 5, 19, 'energy_to_target, hyperband, composite, none, module', 'energy_to_target'],
    ],
    ['stopping: { rule: median, grace: 10 }', ['SPEC_STOPPING', 5, 34, 'behind max_epochs 9']],
    ['stopping: { rule: median, min_trials: 0 }', ['SPEC_VALUE', 5, 39, 'at least 1']],
    ['stopping: { rule: composite, rules: [] }', ['SPEC_VALUE', 5, 37, 'the list is empty']],
    [
      'stopping: composite',
      ['SPEC_VALUE', 5, 11, 'one of asha, patience, threshold, median, energy_to_target, hyperband, none'],
    ],
    [
      'stopping: { rule: composite, rules: [{ rule: median }, { rule: threshold, bound: 1, from_epoch: 10 }] }',
      ['SPEC_STOPPING', 5, 97, 'behind max_epochs 9'],
    ],
    [
      'stopping: { rule: composite, rules: [{ rule: median, gracce: 1 }] }',
      ['SPEC_UNKNOWN_KEY', 5, 54, 'no key', 'grace'],
    ],
    [
      'stopping: { rule: composite, rules: [{ rule: composite, rules: [] }] }',
      ['SPEC_VALUE', 5, 46, 'one of asha, patience, threshold, median'],
    ],
    ['trial_limits: { max_seconds: 0 }', ['SPEC_VALUE', 5, 30, 'more than 0']],
    ['trial_limits: { max_hours: 1 }', ['SPEC_UNKNOWN_KEY', 5, 17, 'max_seconds, max_energy_wh']],
    ['stopping: { rule: asha, mode: promotion }', ['SPEC_VALUE', 5, 31, 'one of stop, promote', 'promote']],
    ['stopping: { first_rung: 3 }', ['SPEC_MISSING_KEY', 5, 11, '`rule` is missing']],
    ['stopping: 3', ['SPEC_TYPE', 5, 11, 'a word or a map']],
    [
      'stopping: patience',
      ['SPEC_MISSING_KEY', 5, 11, 'needs its number', '{ rule: patience, patience: 5 }'],
    ],
    ['stopping: { rule: patience }', ['SPEC_MISSING_KEY', 5, 11, '`patience` is missing']],
    ['stopping: { rule: asha, eta: 1 }', ['SPEC_VALUE', 5, 30, 'at least 2']],
    ['stopping: { rule: asha, first_rung: 0 }', ['SPEC_VALUE', 5, 37, 'at least 1']],
    ['stopping: { rule: asha, first_rung: 9 }', ['SPEC_STOPPING', 5, 37, 'not below max_epochs 9']],
    [
      'stopping: { rule: asha, first_rung: 2, window: 3 }',
      ['SPEC_STOPPING', 5, 48, 'longer than the first rung'],
    ],
    [
      'stopping: { rule: asha, first_rung: 1, brackets: 3 }',
      ['SPEC_STOPPING', 5, 50, 'bracket 2 would start at 9'],
    ],
    [
      'stopping: { rule: asha, firstrung: 1 }',
      ['SPEC_UNKNOWN_KEY', 5, 25, '`stopping` has no key', 'first_rung'],
    ],
    [
      'stopping: { rule: threshold, bound: 1, from_epoch: 10 }',
      ['SPEC_STOPPING', 5, 52, 'behind max_epochs 9'],
    ],
    [
      'fixed: { depth: 11 }\nstopping: { rule: asha, first_rung: 1, compare_within: [dept] }',
      ['SPEC_VALUE', 6, 57, 'sets no parameter `dept`', 'depth'],
    ],
    ['command: [python]', ['SPEC_VALUE', 5, 1, 'beside `recipe: resnet-cifar10`']],
    ['recipe: resnet-cifar10', ['SPEC_SYNTAX', 5, 1, 'unique']],
  ])('%s', (line, ...wanted) => {
    check([...head, line].join('\n'), wanted);
  });
});

describe('expressions that cannot be computed', () => {
  it.each<[string, ...Wanted[]]>([
    [
      'sweep: { shift: "= batch_sise / 10" }\nfixed: { batch_size: 1 }',
      ['SPEC_EXPRESSION', 5, 17, 'no parameter `batch_sise`', 'batch_size'],
    ],
    [
      'sweep: { shift: "= batch_size / 10" }',
      ['SPEC_EXPRESSION', 5, 17, 'is not set in this sweep; put it under `fixed`'],
    ],
    ['sweep: { shift: "= sqr(2)" }', ['SPEC_EXPRESSION', 5, 17, 'no function `sqr`', 'sqrt']],
    ['sweep: { shift: "= 1 +* 2" }', ['SPEC_EXPRESSION', 5, 23, 'Value expected']],
    ['sweep: { shift: "=" }', ['SPEC_EXPRESSION', 5, 17, 'it is empty']],
    ['sweep: { shift: "= l2 = 3" }', ['SPEC_EXPRESSION', 5, 17, 'assignment']],
    ['sweep: { shift: "= process.exit(1)" }', ['SPEC_EXPRESSION', 5, 17, 'this call']],
    ['sweep: { shift: ["= 1", 2] }', ['SPEC_EXPRESSION', 5, 18, 'stands in a list']],
    [
      'sweep: { shift: "= 0 / (max_epochs - 9)" }',
      ['SPEC_EXPRESSION', 5, 17, 'it gives NaN at max_epochs = 9'],
    ],
    ['sweep: { l2: [0, 1], shift: "= 1 / l2" }', ['SPEC_EXPRESSION', 5, 29, 'it gives Infinity at l2 = 0']],
    ['sweep: { shift: "= l2", l2: "= shift" }', ['SPEC_EXPRESSION', 5, 17, 'shift -> l2 -> shift']],
    ['sweep: { shift: "= shift" }', ['SPEC_EXPRESSION', 5, 17, 'shift -> shift']],
    [
      'sweep: { shift: "= l2 + 1" }\ncases: [{ l2: 1 }, { momentum: 0 }]',
      ['SPEC_EXPRESSION', 5, 17, '`l2` is not set'],
    ],
    [
      'fixed: { optimizer: sgd }\nsweep: { shift: "= optimizer * 2" }',
      ['SPEC_EXPRESSION', 6, 17, 'at optimizer = "sgd"'],
    ],
  ])('%s', (lines, ...wanted) => {
    check([...head, lines].join('\n'), wanted);
  });
});

describe('whole files', () => {
  const command = (argument: string, ...more: string[]): string =>
    [
      'name: s',
      `command: [python, "${argument}"]`,
      'objective: { metric: loss, goal: minimize }',
      'max_epochs: 9',
      ...more,
    ].join('\n');

  it.each<[string, string, ...Wanted[]]>([
    ['nothing', '', ['SPEC_MISSING_KEY', null, null, 'is empty']],
    ['a comment', '# nothing', ['SPEC_MISSING_KEY', null, null, 'is empty']],
    ['a list', '- a', ['SPEC_TYPE', 1, 1, 'not a map']],
    ['a word', 'sweep', ['SPEC_TYPE', 1, 1, 'not a map']],
    ['a tab', 'name: a\n\tb: 1', ['SPEC_SYNTAX', 2, 1, 'Tabs']],
    ['an open list', 'a: [1,\nb: 2', ['SPEC_SYNTAX', 2, 1, 'Flow']],
    ['a tag', 'a: !run x', ['SPEC_SYNTAX', 1, 4, 'Unresolved tag']],
    ['two documents', 'a: 1\n---\nb: 2', ['SPEC_SYNTAX', 2, 1, 'multiple documents']],
    ['an unknown alias', 'a: *b', ['SPEC_SYNTAX', 1, 4, 'no anchor `&b`']],
    ['a key that is a map', 'a: 1\n{ b: 1 }: 2', ['SPEC_SYNTAX', 2, 1, 'a key must be text']],
    ['a key that is an alias', 'a: &b c\n*b : 2', ['SPEC_SYNTAX', 2, 1, 'a key must be text']],
    ['binary data', [...head, 'fixed: { l2: !!binary aGk= }'].join('\n'), ['SPEC_TYPE', 5, 23, 'binary']],
    [
      'an alias inside itself',
      [...head, 'fixed: { schedule: &a [*a] }'].join('\n'),
      ['SPEC_SYNTAX', 5, 24, 'inside what it refers to'],
    ],
    [
      'no recipe',
      'name: s\nobjective: { metric: m }\nmax_epochs: 1',
      ['SPEC_MISSING_KEY', 1, 1, '`recipe` is missing'],
    ],
    [
      'an unknown recipe',
      'name: s\nrecipe: resnet\nobjective: { metric: m }\nmax_epochs: 1',
      ['SPEC_UNKNOWN_RECIPE', 2, 9, 'no recipe "resnet"', 'resnet-cifar10'],
    ],
    [
      'no objective',
      'name: s\nrecipe: resnet-cifar10\nmax_epochs: 1',
      ['SPEC_MISSING_KEY', 1, 1, '`objective` is missing'],
    ],
    [
      'an unknown metric',
      'name: s\nrecipe: resnet-cifar10\nobjective: { metric: val_acuracy }\nmax_epochs: 1',
      ['SPEC_UNKNOWN_METRIC', 3, 22, 'reports no metric', 'val_accuracy'],
    ],
    [
      'a metric that only the last epoch has',
      'name: s\nrecipe: resnet-cifar10\nobjective: { metric: test_accuracy }\nmax_epochs: 1',
      ['SPEC_UNKNOWN_METRIC', 3, 22, 'reports no metric "test_accuracy" after each epoch', 'val_accuracy'],
    ],
    [
      'recipe command without one',
      'name: s\nrecipe: command\nobjective: { metric: m, goal: minimize }\nmax_epochs: 1',
      ['SPEC_MISSING_KEY', 2, 9, 'has no `command`'],
    ],
    [
      'a command without a goal',
      'name: s\ncommand: [x]\nobjective: { metric: m }\nmax_epochs: 1',
      ['SPEC_MISSING_KEY', 3, 12, '`goal` is missing'],
    ],
    [
      'an empty command',
      'name: s\ncommand: []\nobjective: { metric: m, goal: minimize }\nmax_epochs: 1',
      ['SPEC_VALUE', 2, 10, 'the list is empty'],
    ],
    [
      'a command as text',
      'name: s\ncommand: python x\nobjective: { metric: m, goal: minimize }\nmax_epochs: 1',
      ['SPEC_TYPE', 2, 10, 'a list', '["python x"]'],
    ],
    [
      'a template of nothing',
      command('--lr={lr_peek}', 'sweep: { lr_peak: [1] }'),
      ['SPEC_VALUE', 2, 25, 'names no parameter', '{lr_peak}'],
    ],
    [
      'a template that a case lacks',
      command('--a={a}', 'cases: [{ a: 1 }, { b: 1 }]'),
      ['SPEC_VALUE', 2, 24, 'no value in cases[1]'],
    ],
    [
      'cases too many to compare',
      command(
        'x',
        'cases: [{ a: { min: 1, max: 2, count: 9000000 } }, { a: { min: 1, max: 2, count: 9000000 } }]',
      ),
      ['SPEC_VALUE', 5, 52, 'too many to compare'],
    ],
    [
      'a grid beyond counting',
      command(
        'x',
        `sweep: { ${'abcdefgh'
          .split('')
          .map((name) => `${name}: { min: 0, max: 1, count: 1000 }`)
          .join(', ')} }`,
      ),
      ['SPEC_VALUE', 5, 1, 'at most 9e15'],
    ],
  ])('%s', (_what, text, ...wanted) => {
    check(text, wanted);
  });
});
