import { describe, expect, it } from 'vitest';
import { buildReport } from '../../../services/coordinator/report/index.js';
import { levelTable } from '../../../services/coordinator/report/render/tables.js';
import { BEGIN, stopDecision, sweepState, type TrialOutline } from '../../support/sweep-state.js';
import { build, objective, rising, codes, textsOf } from './built.js';

describe('several device models', () => {
  const trials: TrialOutline[] = [
    { parameters: { a: 1 }, values: rising(2, 0.91, 6), seconds: 10, repeat: 1, devices: ['Model A'] },
    { parameters: { a: 1 }, values: rising(2, 0.91, 6), seconds: 30, repeat: 2, devices: ['Model B'] },
    { parameters: { a: 1 }, values: rising(2, 0.91, 6), seconds: 12, repeat: 3, devices: ['Model A'] },
  ];
  const spec = { levels: [0.9], objective: objective(), repeats: 3 };

  it('are never averaged into one cell', () => {
    const report = build({ spec, trials });
    expect(report.cells.map((cell) => [cell.device, cell.trialIds, cell.secondsPerEpoch?.mean])).toEqual([
      ['Model A', ['t1', 't3'], 11],
      ['Model B', ['t2'], 30],
    ]);
    expect(report.answer.text).toContain('on Model A');
    expect(codes(report)).toContain('several_devices');
  });

  it('say so where one of them trained by WebAssembly', () => {
    const fell = sweepState({ spec, trials });
    expect(codes(buildReport(fell, { now: BEGIN }))).not.toContain('wasm_fallback');
    const attempt = fell.trials.get('t2')?.attempts[0];
    if (attempt === undefined) throw new Error('no attempt');
    attempt.engine = { name: 'tfjs-wasm', version: '4.22.0', mode: 'eager' };
    expect(codes(buildReport(fell, { now: BEGIN }))).toContain('wasm_fallback');
  });

  it('put a trial that moved between them into a cell of its own', () => {
    const moved = sweepState({
      spec,
      trials: [...trials, { ...trials[0]!, devices: ['Model A', 'Model B'], repeat: 4 }],
    });
    const first = moved.trials.get('t4')?.attempts[0];
    if (first === undefined) throw new Error('no attempt');
    first.lastEpoch = 3;
    const report = buildReport(moved, { now: BEGIN });
    expect(report.cells.map((cell) => cell.device)).toEqual(['Model A', 'Model A + Model B', 'Model B']);
    expect(codes(report)).toContain('moved_between_devices');
    // An attempt without an epoch of its own leaves no trace in the numbers.
    first.lastEpoch = 0;
    expect(buildReport(moved, { now: BEGIN }).cells.map((cell) => cell.trialIds)).toEqual([
      ['t1', 't3'],
      ['t2', 't4'],
    ]);
  });
});

describe('repeats', () => {
  it('have means when all are sure, and counts when not', () => {
    const report = build({
      spec: { levels: [0.9, 0.92], objective: objective(), repeats: 3, maxEpochs: 10 },
      trials: [2, 4, 6].map((at, i) => ({
        parameters: { a: 1 },
        repeat: i + 1,
        values: rising(at, i === 0 ? 0.93 : 0.91, 10),
      })),
    });
    const [cell] = report.cells;
    expect(cell?.levels[0]?.epochs).toMatchObject({ kind: 'mean', value: 4, sd: 2, n: 3 });
    expect(cell?.levels[1]?.epochs).toMatchObject({ kind: 'bound', value: 10, reached: 1, n: 3 });
    expect(textsOf(levelTable(report, 'epochs'))).toEqual([['study', '4 ± 2', '>10 (1/3)']]);
    expect(cell?.bestSpread?.n).toBe(3);
    expect(codes(report)).not.toContain('single_repeat');
    expect(report.trials[0]?.label).toBe('study (repeat 1)');
  });

  it('count a stopped one as not reached, and say how many', () => {
    const report = build({
      spec: { levels: [0.9], objective: objective(), repeats: 2, maxEpochs: 10 },
      trials: [
        { parameters: { a: 1 }, repeat: 1, values: rising(2, 0.91, 10) },
        {
          parameters: { a: 1 },
          repeat: 2,
          values: rising(9, 0.91, 4),
          state: 'stopped',
          decisions: [stopDecision()],
        },
      ],
    });
    expect(textsOf(levelTable(report, 'epochs'))).toEqual([['study', '2 (1/2, 1 stopped)']]);
    expect(codes(report)).toContain('stopped_count_as_not_reached');
  });
});

describe('a diverged trial', () => {
  const report = build({
    spec: { levels: [0.9], objective: objective() },
    trials: [
      {
        parameters: { a: 1 },
        values: [0.95, 0.95, 0.95, 0.95, NaN],
        state: 'diverged',
        reason: 'NaN at epoch 5',
      },
      { parameters: { a: 2 }, values: [0.1, 0.2] },
      {
        parameters: { a: 3 },
        values: [],
        state: 'failed',
        code: 'PARAMETER_REFUSED',
        reason: 'a',
        devices: [],
      },
    ],
  });

  it('is last in the leaderboard, after failed ones, and has no rank', () =>
    expect(report.trials.map((trial) => [trial.trialId, trial.rank])).toEqual([
      ['t2', 1],
      ['t3', null],
      ['t1', null],
    ]));

  it('reaches no level, and is nobody’s answer', () => {
    expect(report.cells[0]?.best).toBeNull();
    expect(report.cells[0]?.levels[0]?.epochs).toMatchObject({ kind: 'bound', diverged: 1 });
    expect(report.answer.text).toContain('No trial reached val_accuracy 0.9; a 2 came closest');
    expect(report.pareto.valueAndCost.trialIds).toEqual(['t2']);
  });

  it('is plain JSON: its NaN is null', () => {
    expect(report.trials[2]?.curve.values).toEqual([0.95, 0.95, 0.95, 0.95, null]);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});
