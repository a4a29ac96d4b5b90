import { describe, expect, it } from 'vitest';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { complete, errorOf, parse, short, warnings } from './sweep-files.js';

describe('a sweep file', () => {
  it('with every key becomes a complete spec, without a warning', () => {
    const { spec, warnings: doubts } = parseSweepFile(complete);
    expect(doubts).toEqual([]);
    expect(spec).toEqual({
      name: 'batch-size-study',
      recipe: 'resnet-cifar10',
      command: [],
      objective: {
        metric: 'val_accuracy',
        goal: 'maximize',
        target: 0.92,
        holdEpochs: 5,
        holdTolerance: 0.002,
      },
      levels: [0.91, 0.92, 0.925, 0.93],
      maxEpochs: 60,
      fixed: { depth: 56, schedule: { kind: 'piecewise', at: [0.5, 0.75], factor: 0.1 } },
      sweep: [
        { name: 'batch_size', domain: { kind: 'list', values: [32, 64, 128] } },
        { name: 'shift', domain: { kind: 'list', values: [0.07, 0.1] } },
      ],
      cases: [
        [
          { name: 'optimizer', domain: { kind: 'constant', value: 'sgd' } },
          {
            name: 'lr_peak',
            domain: { kind: 'range', min: 0.05, max: 0.5, scale: 'log', integer: false, count: 3 },
          },
        ],
        [
          { name: 'optimizer', domain: { kind: 'constant', value: 'adamw' } },
          { name: 'l2', domain: { kind: 'constant', value: 0 } },
          { name: 'weight_decay', domain: { kind: 'list', values: [0.004, 0.1] } },
          { name: 'lr_peak', domain: { kind: 'expression', expression: '1e-3 * sqrt(batch_size / 32)' } },
        ],
      ],
      search: { method: 'grid' },
      stopping: {
        rule: 'asha',
        firstRung: 40,
        eta: 3,
        window: 3,
        compareWithin: [],
        brackets: 1,
        version: 2,
      },
      repeats: 1,
      seed: 1,
      budget: { energyWh: 1000, hours: 48 },
      resources: { gpus: 1, device: 'RTX 4060 Ti' },
      maxParallel: 5,
    });
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
  });

  it('with few keys gets the defaults', () => {
    const spec = parse(short());
    expect(spec.objective).toEqual({
      metric: 'val_accuracy',
      goal: 'maximize',
      target: null,
      holdEpochs: 5,
      holdTolerance: 0.002,
    });
    expect(spec).toMatchObject({
      levels: [],
      fixed: {},
      sweep: [],
      cases: [[]],
      stopping: { rule: 'none' },
      repeats: 1,
      seed: 1,
    });
    expect(spec).toMatchObject({
      budget: { energyWh: null, hours: null },
      resources: { gpus: null, device: null },
      maxParallel: null,
    });
  });

  it('says where trials run and how often: retries, memory, labels, blocks', () => {
    const lines = [
      'resources: { gpus: 4, memory_gb: 12.5, labels: { room: cellar, rack: 3 } }',
      'retries: { crashed: 0, out_of_memory: 1 }',
      'placement: blocked',
      'repeats: 2',
    ];
    expect(parse(short(lines.join('\n')))).toMatchObject({
      resources: { gpus: 4, device: null, memoryGb: 12.5, labels: { room: 'cellar', rack: '3' } },
      retries: { crashed: 0, outOfMemory: 1 },
      placement: 'blocked',
    });
    expect(parse(short())).not.toHaveProperty('retries');
    expect(parse(short('placement: any'))).not.toHaveProperty('placement');
  });

  it('takes the goal from the metric, and the levels from the target', () => {
    expect(parse(short(), 'objective={metric: val_cross_entropy, target: 0.3}')).toMatchObject({
      objective: { goal: 'minimize', target: 0.3 },
      levels: [0.3],
    });
  });

  it.each([
    [
      '{ rule: asha, pareto: [joules] }',
      {
        rule: 'asha',
        firstRung: 10,
        eta: 3,
        window: 1,
        compareWithin: [],
        brackets: 1,
        version: 2,
        pareto: ['joules'],
      },
    ],
    ['asha', { rule: 'asha', firstRung: 10, eta: 3, window: 1, compareWithin: [], brackets: 1, version: 2 }],
    ['none', { rule: 'none' }],
    [
      '{ rule: asha, window: 12 }',
      { rule: 'asha', firstRung: 12, eta: 3, window: 12, compareWithin: [], brackets: 1, version: 2 },
    ],
    [
      '{ rule: asha, mode: stop, first_rung: 2, eta: 4, brackets: 2 }',
      { rule: 'asha', firstRung: 2, eta: 4, window: 1, compareWithin: [], brackets: 2, version: 2 },
    ],
    ['{ rule: patience, patience: 4 }', { rule: 'patience', patience: 4, minDelta: 0, startEpoch: 1 }],
    [
      '{ rule: patience, patience: 0, min_delta: 0.1, start_epoch: 3 }',
      { rule: 'patience', patience: 0, minDelta: 0.1, startEpoch: 3 },
    ],
    ['{ rule: threshold, bound: 0.2, from_epoch: 9 }', { rule: 'threshold', bound: 0.2, fromEpoch: 9 }],
    [
      '{ rule: asha, mode: promote, first_rung: 2 }',
      { rule: 'asha', firstRung: 2, eta: 3, window: 1, compareWithin: [], brackets: 1, mode: 'promote' },
    ],
    ['hyperband', { rule: 'hyperband', eta: 3 }],
    ['{ rule: hyperband, eta: 4 }', { rule: 'hyperband', eta: 4 }],
    ['median', { rule: 'median', grace: 1, minTrials: 3 }],
    [
      '{ module: ./rule.mjs, options: { a: [1] } }',
      { rule: 'module', ref: { module: './rule.mjs', hash: '', options: { a: [1] } } },
    ],
    ['{ rule: median, grace: 0, min_trials: 5 }', { rule: 'median', grace: 0, minTrials: 5 }],
    [
      '{ rule: composite, rules: [{ rule: median }, { rule: asha, first_rung: 2 }] }',
      {
        rule: 'composite',
        rules: [
          { rule: 'median', grace: 1, minTrials: 3 },
          { rule: 'asha', firstRung: 2, eta: 3, window: 1, compareWithin: [], brackets: 1, version: 2 },
        ],
      },
    ],
  ])('reads stopping: %s', (text, rule) => {
    expect(parse(short(`stopping: ${text}`)).stopping).toEqual(rule);
  });

  it('reads the limits of a trial', () => {
    expect(parse(short('trial_limits: { max_seconds: 60 }')).trialLimits).toEqual({
      maxSeconds: 60,
      maxEnergyWh: null,
    });
    expect(parse(short('')).trialLimits).toBeUndefined();
  });

  it('runs a command with any parameters and any metric', () => {
    const spec = parse(
      [
        'name: s',
        'command: [python, train.py, "--lr={model.lr}", --steps, 100, \'{"a": 1}\']',
        'objective: { metric: loss, goal: minimize }',
        'max_epochs: 3',
        'fixed: { list: [1, 2] }',
        'sweep: { model.lr: [0.1], nothing: [null, {x: 1}] }',
      ].join('\n'),
    );
    expect(spec.recipe).toBe('command');
    expect(spec.command).toEqual(['python', 'train.py', '--lr={model.lr}', '--steps', '100', '{"a": 1}']);
    expect(spec.fixed).toEqual({ list: [1, 2] });
    expect(
      parse('name: s\nrecipe: command\ncommand: [x]\nobjective: {metric: m, goal: minimize}\nmax_epochs: 1')
        .command,
    ).toEqual(['x']);
  });

  it('takes whole numbers from a range where the recipe wants them', () => {
    const [axis] = parse(short('sweep: { batch_size: { min: 32, max: 128, count: 3 } }')).sweep;
    expect(axis?.domain).toMatchObject({ kind: 'range', integer: true });
  });

  it('takes a map without keys of a range for a constant', () => {
    const [axis] = parse(short('sweep: { schedule: { kind: constant } }')).sweep;
    expect(axis?.domain).toEqual({ kind: 'constant', value: { kind: 'constant' } });
  });

  it('may use CRLF, a byte order mark, anchors and YAML of any style', () => {
    expect(parse(`\uFEFF${complete.replaceAll('\n', '\r\n')}`)).toEqual(parse(complete));
    expect(
      errorOf(`\uFEFFname: x\r\nrecipe: y\r\nmax_epochs: 1\r\nobjective: {metric: loss}\r\n`).issues,
    ).toMatchObject([{ line: 2, column: 9 }]);
    const spec = parse(
      short(
        'fixed: { schedule: &s { kind: constant } }',
        'cases:',
        '  - optimizer: sgd',
        '    momentum:',
        '      - 0.9',
      ),
    );
    expect(spec.cases).toHaveLength(1);
    expect(
      parse(short('sweep:', '  batch_size: &b [32, 64]', '  train_images: *b')).sweep[1]?.domain,
    ).toEqual({ kind: 'list', values: [32, 64] });
  });
});

describe('the search of a file', () => {
  const swept = short(
    'fixed: { depth: 20 }',
    'sweep: { batch_size: [32, 64] }',
    'cases:',
    '  - { optimizer: sgd, lr_peak: { min: 0.01, max: 1, scale: log } }',
    '  - { optimizer: adamw, lr_peak: "= 1e-3 * batch_size / 32", weight_decay: { min: 0.001, max: 0.1 } }',
  );

  it.each([
    ['{ method: random, trials: 9 }', { method: 'random', trials: 9, caseWeights: [1, 1] }],
    [
      '{ method: sobol, trials: 9, case_weights: [1, 3] }',
      { method: 'sobol', trials: 9, caseWeights: [1, 3], scramble: 'owen' },
    ],
    [
      '{ method: tpe, trials: 60, warm_start: study-1 }',
      {
        method: 'tpe',
        trials: 60,
        caseWeights: [1, 1],
        startup: 10,
        candidates: 24,
        gamma: 0.1,
        warmStart: { sweepId: 'study-1', results: [] },
      },
    ],
  ])('%s gets its defaults', (search, wanted) => {
    const { search: found, sweep, cases } = parse(swept, `search=${search}`);
    expect(found).toEqual(wanted);
    expect(cases[0]?.[1]?.domain).toMatchObject({ kind: 'range', count: null });
    expect(sweep).toHaveLength(1);
  });

  it('completes written points from their case, and may change what is fixed', () => {
    const points =
      '[{ batch_size: 64, weight_decay: 0.5 }, { batch_size: 64, lr_peak: 2, optimizer: sgd, depth: 11 }]';
    const { search } = parse(swept, `search={ method: random, trials: 9, enqueue: ${points} }`);
    expect(search.enqueue).toEqual([
      { batch_size: 64, depth: 20, lr_peak: 0.002, optimizer: 'adamw', weight_decay: 0.5 },
      { batch_size: 64, depth: 11, lr_peak: 2, optimizer: 'sgd' },
    ]);
  });

  it('keeps constraints as they are written', () => {
    expect(parse(short('constraints: ["batch_size > 0"]', 'sweep: { batch_size: [1] }')).constraints).toEqual(
      ['batch_size > 0'],
    );
  });

  it('warns of trials that cannot be, of points that stand twice, and of a model that is never asked', () => {
    const file = short('sweep: { batch_size: [32, 64] }');
    expect(warnings(file, 'search={ method: random, trials: 9 }')).toEqual([
      expect.stringContaining('there are only 2 points'),
    ]);
    expect(
      warnings(file, 'search={ method: list, points: [{ batch_size: 32 }, { batch_size: 32 }] }'),
    ).toEqual([expect.stringContaining('stands twice')]);
    expect(warnings(swept, 'search={ method: tpe, trials: 9 }')).toEqual([
      expect.stringContaining('the model is never asked'),
    ]);
  });
});
