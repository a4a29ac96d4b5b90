import { describe, expect, it } from 'vitest';
import { epochRecord } from '../../support/core.js';
import { random, Study } from '../../support/study.js';
import { asha } from './busy.js';

describe('extend', () => {
  it('adds points in the middle of the repeats: each point runs once a repeat', () => {
    const study = new Study({ ...random(3), repeats: 2 }, 1);
    for (let made = 0; made < 4; made++) {
      const [next] = study.running();
      if (next === undefined) throw new Error('nothing runs');
      for (let epoch = 1; epoch <= 4; epoch++) study.epoch(next, epochRecord(epoch, 0.1));
      study.end(next);
    }
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, ...random(5) }, change: 'trials 3 -> 5' });
    study.finish();
    const trials = [...study.sweep.trials.values()];
    expect(trials).toHaveLength(10);
    const runs = trials.map(({ pointHash, repeat }) => `${pointHash} ${repeat}`);
    expect(new Set(runs).size).toBe(10);
    expect(trials.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(study.sweep.status).toBe('completed');
    study.proveFold();
  });

  it('adds repeats, and opens a sweep that has ended', () => {
    const study = new Study();
    study.finish();
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, repeats: 3 }, change: 'repeats 1 -> 3' });
    study.finish();
    expect([...study.sweep.trials.values()].map(({ repeat }) => repeat)).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
  });

  it('adds repeats of what came through under a rule, each once', () => {
    const stopping = { rule: 'threshold' as const, bound: 0.2, fromEpoch: 1 };
    const study = new Study({ stopping, repeats: 2 });
    const good = study.running()[0]?.trialId;
    study.finish((trialId) => (trialId === good || Number(trialId.slice(1)) > 3 ? 0.5 : 0.1));
    expect(study.sweep.trials.size).toBe(4);
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, repeats: 3, maxEpochs: 6 }, change: '' });
    study.finish(() => 0.5);
    expect([...study.sweep.trials.values()].map(({ repeat, state }) => `${repeat} ${state}`)).toEqual([
      '1 succeeded',
      '1 stopped',
      '1 stopped',
      '2 succeeded',
      '3 succeeded',
    ]);
    study.proveFold();
  });

  it('adds epochs: complete trials go on from their last checkpoint, running ones without a pause for a retry', () => {
    const study = new Study({}, 2);
    const [first, second] = study.running();
    if (first === undefined || second === undefined) throw new Error('too few run');
    for (let epoch = 1; epoch <= 4; epoch++) study.epoch(first, epochRecord(epoch, 0.1));
    study.end(first);
    study.epoch(second, epochRecord(1, 0.1));
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, maxEpochs: 6 }, change: 'max_epochs 4 -> 6' });
    expect(study.trial(first.trialId).state).toBe('queued');
    for (let epoch = 2; epoch <= 4; epoch++) study.epoch(second, epochRecord(epoch, 0.1));
    expect(study.trial(second.trialId).state).toBe('running');
    study.end(second);
    const again = study.running().find(({ trialId }) => trialId === first.trialId);
    expect(again).toMatchObject({ attempt: 2, resumeFrom: '1/4', maxEpochs: 6 });
    study.finish();
    expect([...study.sweep.trials.values()].map(({ epochs, state }) => [epochs.length, state])).toEqual([
      [6, 'succeeded'],
      [6, 'succeeded'],
      [6, 'succeeded'],
    ]);
    study.proveFold();
  });

  it('ranks at a new rung every trial that had come there, and leaves stopped ones stopped', () => {
    const study = new Study({ stopping: asha, maxEpochs: 2 });
    // Rising: none is stopped at the rung at epoch 1.
    study.finish((trialId) => Number(trialId.slice(1)) / 10);
    expect([...study.sweep.trials.values()].map(({ state }) => state)).toEqual([
      'succeeded',
      'succeeded',
      'succeeded',
    ]);
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, maxEpochs: 5 }, change: '' });
    expect(study.sweep.rule).toMatchObject({ '0/[]/2': [0.3, 0.2, 0.1] });
    study.finish((trialId) => Number(trialId.slice(1)) / 10);
    const decisions = [...study.sweep.trials.values()].flatMap(({ decisions }) => decisions);
    expect(decisions.filter(({ rung }) => rung === 4)).not.toEqual([]);
    study.proveFold();
  });

  it('adds points behind those of a grid', () => {
    const study = new Study();
    study.finish();
    const search = { method: 'grid' as const, added: [{ batch_size: 256 }] };
    study.ask({ type: 'extend', spec: { ...study.sweep.spec, search }, change: '1 point' });
    study.finish();
    expect([...study.sweep.trials.values()].at(-1)?.parameters).toEqual({ batch_size: 256 });
    expect(study.sweep.trials.size).toBe(4);
  });
});
