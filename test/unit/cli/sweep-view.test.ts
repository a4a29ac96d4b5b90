import { describe, expect, it } from 'vitest';
import { stripVTControlCharacters } from 'node:util';
import {
  Sweep,
  SweepState,
  Trainer,
  TrainerState,
  Trial,
  TrialState,
  type WatchSweepResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { drawTable } from '../../../cli/live.js';
import {
  applyUpdate,
  byInterest,
  emptyView,
  summaryLine,
  trialColumns,
  trialRow,
  updateLines,
  varyingParameters,
} from '../../../cli/sweep-view.js';

const trial = (trialId: string, parameters: object, rest: Partial<Trial> = {}): Trial =>
  Trial.fromPartial({
    trialId,
    state: TrialState.RUNNING,
    parametersJson: JSON.stringify(parameters),
    ...rest,
  });

const sweep = Sweep.fromPartial({
  sweepId: 's1',
  name: 's',
  state: SweepState.RUNNING,
  objectiveMetric: 'val_accuracy',
  objectiveGoal: 'maximize',
  trialsTotal: 3,
  trialsByState: { running: 2, queued: 1, failed: 0 },
  maxEpochs: 4,
  submittedAtUnixMs: 1_000_000,
});

const updateOf = (parts: Partial<WatchSweepResponse>): WatchSweepResponse => ({
  sweep: undefined,
  trials: [],
  messages: [],
  trainers: [],
  ...parts,
});

const viewOf = (...trials: Trial[]) =>
  applyUpdate(
    emptyView,
    updateOf({
      sweep,
      trials,
      trainers: [
        Trainer.fromPartial({ trainerId: 'a', state: TrainerState.ALIVE }),
        Trainer.fromPartial({ trainerId: 'b', state: TrainerState.SUSPECT }),
      ],
    }),
  );

describe('the view of a sweep', () => {
  it('replaces what changed and keeps the rest', () => {
    const first = viewOf(trial('t0001', { lr: 1 }), trial('t0002', { lr: 2 }));
    const second = applyUpdate(first, updateOf({ trials: [trial('t0002', { lr: 2 }, { epoch: 3 })] }));
    expect([...second.trials.values()].map((t) => [t.trialId, t.epoch])).toEqual([
      ['t0001', 0],
      ['t0002', 3],
    ]);
    expect(second.sweep).toEqual(sweep);
    expect(first.trials.get('t0002')?.epoch).toBe(0);
  });

  it('shows the parameters that vary, a parameter of some branches only among them', () => {
    const trials = [
      trial('t1', { depth: 11, batch_size: 32, optimizer: 'sgd' }),
      trial('t2', { depth: 11, batch_size: 64, optimizer: 'sgd' }),
      trial('t3', { depth: 11, batch_size: 32, optimizer: 'sgd', weight_decay: 0.1 }),
    ];
    expect(varyingParameters(trials)).toEqual(['batch_size', 'weight_decay']);
    expect(varyingParameters([...trials].reverse())).toEqual(['batch_size', 'weight_decay']);
  });

  it('shows a dash for what nothing read, and the reading where there is one', () => {
    const unread = trial('t1', {}, { epoch: 2, seconds: 10 });
    const read = trial(
      't2',
      {},
      { epoch: 2, seconds: 10, joules: 0, meanWatts: 0, powerMethod: 'nvml-counter' },
    );
    const cells = (t: Trial): Record<string, string> => {
      const view = viewOf(t);
      return Object.fromEntries(
        trialColumns(view).map(({ title }, i) => [title, trialRow(view, t)[i] ?? '']),
      );
    };
    expect(cells(unread)).toMatchObject({
      WATTS: '–',
      ENERGY: '–',
      'S/EPOCH': '5.0',
      'BEST val_accuracy': '–',
    });
    expect(cells(read)).toMatchObject({ WATTS: '0 W', ENERGY: '0 J' });
  });

  it('marks watts that are an estimate', () => {
    const estimated = trial('t1', {}, { meanWatts: 65, powerMethod: 'estimate' });
    expect(trialRow(viewOf(estimated), estimated)).toContain('65 W (estimate)');
  });

  it('puts running trials first, then ended ones by their best, a NaN last among them', () => {
    const trials = [
      trial('t1', {}, { state: TrialState.QUEUED }),
      trial('t2', {}, { state: TrialState.STOPPED, bestObjective: 0.3 }),
      trial('t3', {}, { state: TrialState.DIVERGED, bestObjective: NaN }),
      trial('t4', {}, { state: TrialState.SUCCEEDED, bestObjective: 0.5 }),
      trial('t5', {}, { state: TrialState.RUNNING, bestObjective: 0.1 }),
    ];
    const order = (goal: string) => [...trials].sort(byInterest(goal)).map((t) => t.trialId);
    expect(order('maximize')).toEqual(['t5', 't4', 't2', 't3', 't1']);
    expect(order('minimize')).toEqual(['t5', 't2', 't4', 't3', 't1']);
  });

  it('sums up states, time, energy and trainers', () => {
    const line = summaryLine(viewOf(), 1_090_000);
    for (const part of [
      's1 running',
      'trials of 3: 2 running, 1 queued',
      '1 min 30 s',
      'no power reading',
      '1 alive, 1 suspect',
    ])
      expect(line).toContain(part);
    expect(line).not.toContain('0 failed');
  });
});

describe('the drawn table', () => {
  it('fits the terminal, whatever the number of trials', () => {
    const trials = Array.from({ length: 40 }, (_, i) =>
      trial(`t${i}`, { lr: i, note: 'x'.repeat(200) }, { reason: 'r'.repeat(300) }),
    );
    const lines = stripVTControlCharacters(
      drawTable(viewOf(...trials), [], { columns: 80, rows: 24 }, 0),
    ).split('\n');
    expect(lines.length).toBeLessThan(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
    expect(lines.some((line) => /… \d+ more/.test(line))).toBe(true);
  });
});

describe('lines for a log', () => {
  const before = viewOf(trial('t1', { lr: 1 }), trial('t2', { lr: 2, nesterov: true }));
  const lines = (...parts: [Trial[], string[]?]): string[] => {
    const update = updateOf({ trials: parts[0], messages: parts[1] ?? [] });
    return updateLines(before, applyUpdate(before, update), update);
  };

  it('tell an epoch with its numbers, and only the parameters that a trial has', () => {
    const after = trial('t1', { lr: 1 }, { epoch: 2, objective: 0.41234, seconds: 6 });
    expect(lines([after])).toEqual(['t1  running  lr=1  epoch 2/4  val_accuracy 0.4123  3.0 s/epoch']);
  });

  it('say nothing of what did not change', () => {
    expect(lines([trial('t1', { lr: 1 })])).toEqual([]);
  });

  it('give the reason of an end once', () => {
    const after = trial(
      't1',
      { lr: 1 },
      { state: TrialState.STOPPED, epoch: 1, reason: 'asha@1: rank 2 of 3' },
    );
    expect(lines([after], ['t1 stopped: asha@1: rank 2 of 3', 'box is suspect'])).toEqual([
      't1  stopped  lr=1  epoch 1/4  asha@1: rank 2 of 3',
      'box is suspect',
    ]);
  });

  it("leave the rest to the coordinator's sentences", () => {
    expect(lines([trial('t1', { lr: 1 }, { state: TrialState.STARTING })], ['t1 goes to box/cpu'])).toEqual([
      't1 goes to box/cpu',
    ]);
    expect(lines([trial('t1', { lr: 1 }, { state: TrialState.QUEUED })])).toEqual(['t1  queued  lr=1']);
  });
});
