/** What stands beside a command: read, refused with its place, and part of what is run. */
import { describe, expect, it } from 'vitest';
import { pointHash } from '../../../services/coordinator/core/search/index.js';
import { programOf } from '../../../services/coordinator/core/variants.js';
import { compareSpecs, parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { toSetup } from '../../../services/coordinator/fleet/setup.js';
import { type Wanted, check } from './issues.js';

const HEAD = [
  'name: x',
  'command: [python3, train.py, "--lr={lr}", "--seed={seed}", "{{lr_literal}}", "{max_epochs}"]',
  'objective: { metric: acc, goal: maximize }',
  'max_epochs: 3',
  'sweep: { lr: [0.1, 0.2] }',
].join('\n');
const parse = (...lines: string[]) => parseSweepFile([HEAD, ...lines].join('\n')).spec;
const sha256 = 'AB'.repeat(32);

describe('what surrounds a command', () => {
  const spec = parse(
    'code: src',
    'workdir: "runs/{lr}"',
    'wrap: [docker, run, "-v={workdir}", "--gpus={gpus}", image, "{command}"]',
    `requires: [{ path: data/train.bin, sha256: ${sha256} }, { path: /data }]`,
    'collect: { regex: "epoch (?P<epoch>\\\\d+) acc (?<acc>\\\\S+)" }',
  );

  it('is read, and told to the box', () => {
    expect(spec.code).toEqual({ folder: 'src', sha256: '' });
    const { setup } = programOf(spec, { lr: 0.1 });
    expect(toSetup(setup!)).toEqual({
      workdir: 'runs/{lr}',
      wrap: ['docker', 'run', '-v={workdir}', '--gpus={gpus}', 'image', '{command}'],
      requires: [
        { path: 'data/train.bin', sha256: sha256.toLowerCase() },
        { path: '/data', sha256: '' },
      ],
      collect: { regex: 'epoch (?P<epoch>\\d+) acc (?<acc>\\S+)', kerasCsv: '', tensorboard: undefined },
    });
  });

  it('is what makes points differ; what is shipped does not, so that a mended program can be extended', () => {
    const bare = parse();
    expect(programOf(bare, { lr: 0.1 })).toEqual({
      recipe: 'command',
      command: bare.command,
      parameters: { lr: 0.1 },
    });
    expect(pointHash(parse('workdir: a'), { lr: 0.1 })).not.toBe(pointHash(bare, { lr: 0.1 }));
    expect(pointHash(parse('code: a'), { lr: 0.1 })).toBe(pointHash(bare, { lr: 0.1 }));
    const packed = { ...spec, code: { folder: 'src', sha256: 'f'.repeat(64), bytes: 1, files: 1 } };
    expect(compareSpecs(packed, spec)).toEqual([]);
    expect(compareSpecs(packed, parse()).map(({ key }) => key)).toEqual([
      'workdir',
      'wrap',
      'requires',
      'collect.regex',
      'code',
    ]);
  });

  it('belongs to each variant', () => {
    const { spec: both } = parseSweepFile(
      [
        'name: x',
        'objective: { metric: val_accuracy, goal: maximize }',
        'max_epochs: 3',
        'sweep: { lr_peak: [0.1] }',
        'variants:',
        '  ours: { recipe: resnet-cifar10 }',
        '  theirs: { command: [./train], wrap: [nice, "{command}"], collect: { keras_csv: "{lr_peak}.csv" } }',
        'code: .',
      ].join('\n'),
    );
    expect(programOf(both, { lr_peak: 0.1, variant: 'theirs' }).setup).toEqual({
      wrap: ['nice', '{command}'],
      collect: { kerasCsv: '{lr_peak}.csv' },
    });
    expect(programOf(both, { lr_peak: 0.1, variant: 'ours' })).not.toHaveProperty('setup');
    const tensorboard = '{ folder: logs, metrics: { acc: validation/epoch_accuracy } }';
    expect(parse(`collect: { tensorboard: ${tensorboard} }`).collect).toEqual({
      tensorboard: { folder: 'logs', metrics: { acc: 'validation/epoch_accuracy' }, epochs: 'from_0' },
    });
  });

  it.each<[string, ...Wanted[]]>([
    ['wrap: [docker, run]', ['SPEC_VALUE', 6, 7, 'stands there nowhere', '["docker","run","{command}"]']],
    ['wrap: [sh, -c, "x {command}"]', ['SPEC_VALUE', 6, 7, 'stands inside of a word']],
    ['wrap: ["{command}", "{command}"]', ['SPEC_VALUE', 6, 7, 'more than once']],
    ['wrap: ["{env_fil}", "{command}"]', ['SPEC_VALUE', 6, 8, 'names no parameter', '{env_file}']],
    ['wrap: ["{workdr}", "{command}"]', ['SPEC_VALUE', 6, 8, '`{workdr}` names no', '{workdir}']],
    ['wrap: []', ['SPEC_VALUE', 6, 7, 'the list is empty']],
    ['workdir: "{r}"', ['SPEC_VALUE', 6, 10, 'names no parameter', '{lr}']],
    ['requires: [{ path: x, sha256: 12ab }]', ['SPEC_VALUE', 6, 31, '64 hexadecimal digits']],
    ['requires: [{ path: x, sha: 12ab }]', ['SPEC_UNKNOWN_KEY', 6, 23, 'path, sha256', 'sha256']],
    ['requires: { path: x }', ['SPEC_TYPE', 6, 11, 'a list']],
    ['collect: {}', ['SPEC_VALUE', 6, 10, 'nothing says from what']],
    ['collect: { regexp: x }', ['SPEC_UNKNOWN_KEY', 6, 12, 'regex, keras_csv, tensorboard', 'regex']],
    ['collect: { regex: x, keras_csv: y }', ['SPEC_VALUE', 6, 10, 'regex and keras_csv stand together']],
    ['collect: { regex: "acc (" }', ['SPEC_VALUE', 6, 19, 'Invalid regular expression']],
    ['collect: { regex: "acc (.*)" }', ['SPEC_VALUE', 6, 19, 'no named group']],
    ['collect: { regex: "(?<loss>.*)" }', ['SPEC_VALUE', 6, 19, 'its groups are loss']],
    ['collect: { keras_csv: "{lrr}" }', ['SPEC_VALUE', 6, 23, 'names no parameter', '{lr}']],
    ['collect: { tensorboard: { folder: x } }', ['SPEC_MISSING_KEY', 6, 25, '`metrics` is missing']],
    ['collect: { tensorboard: { metrics: { loss: x } } }', ['SPEC_VALUE', 6, 36, 'objective acc is not']],
    ['collect: { tensorboard: { metric: { acc: x } } }', ['SPEC_UNKNOWN_KEY', 6, 27, 'metrics', 'metrics']],
    ['code: ""', ['SPEC_VALUE', 6, 7, 'the text is empty']],
  ])('with a mistake is refused with its place: %s', (line, ...wanted) => {
    check(`${HEAD}\n${line}`, wanted);
  });

  it.each<[string, ...Wanted[]]>([
    ['recipe: resnet-cifar10\nwrap: ["{command}"]', ['SPEC_VALUE', 2, 1, '`wrap` stands beside the recipe']],
    ['recipe: resnet-cifar10\ncode: .', ['SPEC_VALUE', 2, 1, 'nothing of the sweep would see the code']],
    [
      'variants:\n  a: { command: [x] }\n  b: { command: [y], wrp: [z] }\n  c: { command: [y] }\nworkdir: x',
      ['SPEC_UNKNOWN_KEY', 3, 22, 'no key `wrp`', 'wrap'],
      ['SPEC_VALUE', 5, 1, '`workdir` stands beside `variants`'],
    ],
  ])('beside what it is not for is refused: %#', (lines, ...wanted) => {
    const rest = 'name: x\nobjective: { metric: val_accuracy, goal: maximize }\nmax_epochs: 3';
    check(`${lines}\n${rest}`, wanted);
  });
});
