import { describe, expect, it } from 'vitest';
import { buildReport, renderMarkdown } from '../../../services/coordinator/report/index.js';
import { settingsTable, levelTable } from '../../../services/coordinator/report/render/tables.js';
import { sampleSweep } from '../../support/sample-sweep.js';
import { BEGIN, stopDecision, sweepState, type TrialOutline } from '../../support/sweep-state.js';
import { build, objective, rising, codes, textsOf } from './built.js';

describe('the published study of three batch sizes', () => {
  // RTX 4060 Ti, ResNet56v2 on CIFAR-10: batch size, best and its epoch, GPU %, watts, seconds; epochs to .91, .92, .925.
  const rows = [
    [32, 0.9273, 165, 0.55, 70, 27, [84, 85, 127]],
    [64, 0.9298, 133, 0.71, 97, 22, [82, 84, null]],
    [128, 0.9308, 164, 0.85, 114, 20.5, [82, 83, 92]],
  ] as const;
  const levels = [0.91, 0.92, 0.925];
  const trials = rows.map(([batch, top, topAt, gpu, watts, seconds, epochs]): TrialOutline => {
    const ran = batch === 64 ? 96 : 200;
    const values = Array.from({ length: ran }, (_, i) => {
      const reached = epochs.filter((epoch) => epoch !== null && i + 1 >= epoch).length;
      return i + 1 === topAt ? top : (levels[reached - 1] ?? 0.9);
    });
    return { parameters: { batch_size: batch }, values, watts, seconds, gpuUtilization: gpu };
  });
  const report = build({ spec: { levels, maxEpochs: 200, objective: objective() }, trials });

  it('has its first table', () =>
    expect(textsOf(settingsTable(report)).map((row) => row.slice(0, 7))).toEqual([
      ['batch_size 32', '0.9273', '165', '55', '70.00', '27.00', '1,890'],
      ['batch_size 64', '0.9200', '84', '71', '97.00', '22.00', '2,134'],
      ['batch_size 128', '0.9308', '164', '85', '114.0', '20.50', '2,337'],
    ]));

  it('has its second table, with the bound where a run ended before the level', () =>
    expect(textsOf(levelTable(report, 'epochs'))).toEqual([
      ['batch_size 32', '84', '85', '127'],
      ['batch_size 64', '82', '84', '>96'],
      ['batch_size 128', '82', '83', '92'],
    ]));

  it('has time and energy to each level, to the digit', () => {
    expect(textsOf(levelTable(report, 'seconds')).map((row) => row[2])).toEqual(['38.25', '30.80', '28.36']);
    expect(textsOf(levelTable(report, 'joules')).map((row) => row.slice(1))).toEqual([
      ['44.10', '44.63', '66.68'],
      ['48.61', '49.79', '>56.91'],
      ['53.23', '53.88', '59.72'],
    ]);
  });

  it('answers first: fastest and cheapest at the hardest level', () =>
    expect(report.answer.text).toBe(
      'batch_size 128 reaches val_accuracy 0.925 for both the least time and the least energy: 31.43 min and 59.72 Wh (92 epochs). 2 of 3 settings reached it.',
    ));

  it('answers for the target when there is one', () => {
    const aimed = build({ spec: { levels, maxEpochs: 200, objective: objective({ target: 0.92 }) }, trials });
    expect(aimed.answer.text).toBe(
      'batch_size 128 reaches val_accuracy 0.92 in the least time: 28.36 min, 53.88 Wh (83 epochs); ' +
        'batch_size 32 for the least energy: 44.63 Wh, 38.25 min (85 epochs).',
    );
    expect(aimed.pareto.timeAndEnergyToLevel.map((front) => front.cellIds.length)).toEqual([3, 3, 1]);
  });
});

describe('when nobody reached the level', () => {
  const trials = [
    { parameters: { batch_size: 32 }, values: rising(3, 0.91, 8) },
    { parameters: { batch_size: 64 }, values: rising(3, 0.9188, 8) },
  ];

  it('says who came closest', () => {
    const report = build({ spec: { objective: objective({ target: 0.92 }), maxEpochs: 8 }, trials });
    expect(report.answer).toEqual({
      text: 'No trial reached val_accuracy 0.92; batch_size 64 came closest with 0.9188 at epoch 3.',
      level: 0.92,
      fastestCellId: null,
      cheapestCellId: null,
      bestTrialId: 't2',
    });
  });

  it('goes on with the hardest level that somebody reached', () => {
    const report = build({
      spec: { levels: [0.9, 0.915, 0.92], objective: objective(), maxEpochs: 8 },
      trials,
    });
    expect(report.answer.text).toBe(
      'No trial reached val_accuracy 0.92; batch_size 64 came closest with 0.9188 at epoch 3. ' +
        'Only batch_size 64 reaches val_accuracy 0.915: in 30.00 s (3 epochs). The energy is not known: the power was not read.',
    );
    expect(report.answer.level).toBe(0.915);
  });

  it('says when the closest touched the level but did not hold it', () => {
    const report = build({
      spec: { objective: objective({ target: 0.92 }), maxEpochs: 8 },
      trials: [{ parameters: { a: 1 }, values: [0.9, 0.93, 0.8, 0.8, 0.8] }],
    });
    expect(report.answer.text).toContain(
      '0.9300 at epoch 2, which touched it at epoch 2 but did not hold it.',
    );
  });
});

it('names the best when there is no level', () =>
  expect(build({ trials: [{ parameters: { a: 1 }, values: [0.1, 0.4, 0.3] }] }).answer.text).toBe(
    'The best val_accuracy is 0.4000, by study at epoch 2.',
  ));

describe('without a power meter', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective() },
    trials: [1, 2].map((a) => ({ parameters: { a }, values: rising(a, 0.91, 6) })),
  });

  it('has null and no column, and says so once', () => {
    expect(report.sweep.joules).toBeNull();
    expect(report.cells.every((cell) => cell.watts === null && cell.joules === null)).toBe(true);
    expect(report.cells.every((cell) => cell.levels[0]?.joules.kind === 'unread')).toBe(true);
    const text = renderMarkdown(report);
    expect(text.match(/Nothing read the power \(no power meter found\)/g)).toHaveLength(1);
    expect(text).not.toMatch(/J\/epoch|\bWh\b/);
    expect(report.pareto.valueAndCost.cost).toBe('seconds');
  });
});

it('marks an estimate wherever it shows', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective() },
    trials: [1, 2].map((a) => ({
      parameters: { a },
      values: rising(a, 0.91, 6),
      watts: 65,
      method: 'estimate',
    })),
  });
  expect(codes(report)).toContain('estimated_power');
  expect(textsOf(settingsTable(report))[0]).toEqual(expect.arrayContaining(['≈65.00', '≈650.0', '≈3,900']));
  expect(textsOf(levelTable(report, 'joules'))[0]).toEqual(['a 1', '≈650.0']);
  expect(report.answer.text).toContain('an estimated 650.0 J');
});

it('gives no energy to a trial with an unread epoch', () => {
  const sweep = sweepState({
    spec: { levels: [0.9], objective: objective() },
    trials: [{ parameters: { a: 1 }, values: rising(2, 0.91, 6), watts: 50 }],
  });
  const trial = sweep.trials.get('t1');
  const record = trial?.epochs[3];
  if (trial === undefined || record === undefined) throw new Error('no such epoch');
  trial.epochs[3] = {
    ...record,
    train: { joules: null, meanWatts: null, method: '', absentReason: 'meter hung' },
  };
  const report = buildReport(sweep, { now: BEGIN });
  expect(report.trials[0]?.joules).toBeNull();
  expect(report.trials[0]?.levels[0]?.joules).toBe(1000);
  expect(report.trials[0]?.watts).toBeCloseTo(50, 9);
  expect(codes(report)).toContain('partial_power');
});

describe('stops', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective({ target: 0.9 }), maxEpochs: 20 },
    trials: [
      { parameters: { a: 1 }, values: rising(2, 0.91, 20), watts: 100 },
      {
        parameters: { a: 2 },
        values: rising(9, 0.91, 4),
        state: 'stopped',
        decisions: [stopDecision({ action: 'continue', rung: 2 }), stopDecision()],
        watts: 100,
        seconds: 5,
      },
      {
        parameters: { a: 3 },
        values: rising(9, 0.91, 5),
        state: 'cancelled',
        reason: 'the sweep was stopped',
      },
      {
        parameters: { a: 4 },
        values: rising(1, 0.91, 3),
        decisions: [
          stopDecision({ rule: 'target@1', action: 'succeed', epoch: 3, rung: null, rank: null, n: null }),
        ],
        watts: 100,
      },
    ],
  });

  it('stand with the numbers of their decision', () =>
    expect(report.stopped).toEqual([
      {
        trialId: 't2',
        label: 'a 2',
        state: 'stopped',
        rule: 'asha@1',
        epoch: 4,
        rung: 4,
        value: 0.5,
        rank: 3,
        n: 3,
        threshold: 0.6,
        reason: 'rung 4: value 0.5 is rank 3 of 3; the best 1 (to 0.6) go on',
      },
      expect.objectContaining({ trialId: 't3', rule: null, epoch: 5, reason: 'the sweep was stopped' }),
      expect.objectContaining({ trialId: 't4', rule: 'target@1', state: 'succeeded' }),
    ]));

  it('saved what the trial’s own epochs cost, an estimate', () =>
    expect(report.savings).toEqual([
      { rule: 'asha@1', trials: 1, epochsNotRun: 16, estimatedSeconds: 80, estimatedJoules: 8000 },
      { rule: 'target@1', trials: 1, epochsNotRun: 17, estimatedSeconds: 170, estimatedJoules: 17_000 },
    ]));
});

it('reads the other way for a metric to minimize', () => {
  const report = build({
    spec: {
      levels: [0.4, 0.5],
      objective: { ...objective(), metric: 'val_loss', goal: 'minimize' },
      recipe: 'command',
    },
    trials: [
      { parameters: { a: 1 }, values: [0.9, 0.45, 0.39, 0.391, 0.392, 0.39] },
      { parameters: { a: 2 }, values: [0.9, 0.6, 0.48, 0.48, 0.48, 0.48] },
    ],
  });
  expect(report.sweep.levels).toEqual([0.5, 0.4]);
  expect(report.trials[0]).toMatchObject({ trialId: 't1', best: { value: 0.39, epoch: 3 } });
  expect(textsOf(levelTable(report, 'epochs'))).toEqual([
    ['a 1', '2', '3'],
    ['a 2', '3', '>6'],
  ]);
  expect(report.answer.text).toMatch(/^Only a 1 reaches val_loss ≤ 0.4: in 30.00 s \(3 epochs\)/);
});

it('prefers a setting that holds the level to one that ended too soon to tell', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective() },
    trials: [
      { parameters: { a: 1 }, values: [0.5, 0.91] },
      { parameters: { a: 2 }, values: rising(3, 0.91, 8) },
    ],
  });
  expect(report.answer.text).toMatch(/^a 2 reaches val_accuracy 0.9 in the least time: 30.00 s/);
  expect(levelTable(report, 'epochs').rows.map((row) => row[1])).toEqual([
    { text: '2?', strong: false },
    { text: '3', strong: false },
  ]);
});

describe('a sweep in progress', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective() },
    status: 'running',
    trials: [
      { parameters: { a: 1 }, values: [0.5, 0.91], state: 'running' },
      { parameters: { a: 2 }, values: [], state: 'queued', devices: [] },
    ],
  });

  it('says so, and marks what is not confirmed', () => {
    expect(report.answer.text).toMatch(
      /^So far, only a 1 reaches val_accuracy 0.9: in 20.00 s \(2 epochs, unconfirmed\)/,
    );
    expect(codes(report)).toEqual(expect.arrayContaining(['in_progress', 'unconfirmed_levels']));
    expect(textsOf(levelTable(report, 'epochs'))).toEqual([['a 1', '2?']]);
    expect(report.sweep.trials).toEqual({ total: 2, byState: { running: 1, queued: 1 } });
    expect(report.sweep.points).toEqual({ all: 2, tried: 1 });
  });

  it('has words before the first epoch', () => {
    const empty = build({ status: 'running', trials: [] });
    expect(empty.answer.text).toBe('So far, no trial has a value of val_accuracy yet.');
    expect(renderMarkdown(empty)).toContain('# study');
  });
});

it('says when no trial has a value, and how they ended', () =>
  expect(
    build({
      trials: [1, 2].map((a) => ({
        parameters: { a },
        values: [],
        state: 'failed',
        code: 'ATTEMPT_CRASHED',
        devices: [],
      })),
    }).answer.text,
  ).toBe('No trial has a value of val_accuracy: 2 trials failed.'));

it('counts the epochs that a program leaves out as run', () => {
  const sweep = sweepState({
    spec: { levels: [0.9], objective: objective(), maxEpochs: 10 },
    trials: [{ parameters: { a: 1 }, values: [0.5, 0.91, 0.91, 0.91] }],
  });
  const trial = sweep.trials.get('t1');
  trial?.epochs.forEach((record, i) => (trial.epochs[i] = { ...record, epoch: record.epoch * 2 }));
  const [summary] = buildReport(sweep, { now: BEGIN }).trials;
  expect(summary).toMatchObject({ epochs: 8, secondsPerEpoch: 5, best: { epoch: 4 } });
  expect(summary?.levels[0]).toMatchObject({ status: 'confirmed', epoch: 4, seconds: 20 });
});

it('gives the same report for the same state, and changes nothing in it', () => {
  const sweep = sampleSweep();
  const before = JSON.stringify([...sweep.trials]);
  const reports = [1, 2].map(() => JSON.stringify(buildReport(sweep, { now: BEGIN })));
  expect(reports[0]).toBe(reports[1]);
  expect(JSON.stringify([...sweep.trials])).toBe(before);
});
