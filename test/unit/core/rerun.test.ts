import { describe, expect, it } from 'vitest';
import { epochRecord, joules } from '../../support/core.js';
import { ALL, Study } from '../../support/study.js';

describe('rerun', () => {
  it('runs failed trials again, with retries anew, after the sweep has ended; nothing else runs', () => {
    const study = new Study();
    const failed = study.fail();
    study.finish();
    expect(study.sweep.status).toBe('completed');
    study.ask({ type: 'rerun', selection: ALL });
    expect(study.sweep.status).toBe('running');
    expect(study.running().map(({ trialId, attempt }) => [trialId, attempt])).toEqual([[failed, 2]]);
    for (let crash = 0; crash < 2; crash++) {
      const [again] = study.running();
      if (again === undefined) throw new Error('nothing runs');
      study.end(again, 'crashed');
      study.now += 120_000;
      study.feed({ type: 'tick', at: study.now });
    }
    expect(study.trial(failed).state).toBe('starting');
    study.finish();
    expect(study.trial(failed).state).toBe('succeeded');
    expect(study.sweep.status).toBe('completed');
    expect([...study.sweep.trials.values()].map(({ epochs }) => epochs.length)).toEqual([4, 4, 4]);
    study.proveFold();
  });

  it('goes on from the checkpoint, and counts no epoch twice', () => {
    const study = new Study();
    const [first] = study.running();
    if (first === undefined) throw new Error('nothing runs');
    study.epoch(first, epochRecord(1, 0.5));
    study.epoch(first, epochRecord(2, 0.6));
    study.end(first, 'out_of_memory');
    study.ask({ type: 'rerun', selection: { ...ALL, trialIds: [first.trialId] } });
    const again = study.running().find(({ trialId }) => trialId === first.trialId);
    expect(again).toMatchObject({ attempt: 2, resumeFrom: '1/2' });
    if (again === undefined) return;
    study.epoch(again, epochRecord(2, 0.9));
    study.epoch(again, epochRecord(3, 0.7));
    expect(study.trial(first.trialId).epochs.map(({ metrics }) => metrics['val_accuracy'])).toEqual([
      0.5, 0.6, 0.7,
    ]);
  });

  it('leaves diverged and cancelled trials alone unless asked; a diverged one starts anew and loses the bad epoch', () => {
    const study = new Study();
    const [first] = study.running();
    if (first === undefined) throw new Error('nothing runs');
    study.epoch(first, epochRecord(1, 0.5));
    study.epoch(first, epochRecord(2, NaN, { train: joules(7) }));
    study.end(first, 'stopped', joules(10));
    expect(study.ask({ type: 'rerun', selection: ALL })).toEqual([]);
    study.ask({ type: 'rerun', selection: { ...ALL, diverged: true } });
    const again = study.running().find(({ trialId }) => trialId === first.trialId);
    expect(again).toMatchObject({ attempt: 2, resumeFrom: '' });
    const trial = study.trial(first.trialId);
    expect(trial.epochs.map(({ epoch }) => epoch)).toEqual([1]);
    expect(trial.attempts[0]).toMatchObject({ acceptedJoules: 0, wastedJoules: 10 });
    study.finish();
    expect(trial.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    study.proveFold();
  });

  it('opens a sweep again that a person or its budget has stopped; time in between is not in its hours', () => {
    const study = new Study({ budget: { energyWh: null, hours: 1 } });
    study.feed({ type: 'control', sweepId: 's', control: 'stop', at: study.now });
    for (const start of study.running()) study.end(start, 'stopped');
    expect(study.sweep.status).toBe('stopped');
    study.now += 24 * 3_600_000;
    study.ask({ type: 'rerun', selection: { ...ALL, cancelled: true } });
    study.feed({ type: 'tick', at: study.now });
    expect(study.sweep.status).toBe('running');
    expect(study.running()).toHaveLength(3);
    study.now += 3_600_000;
    study.feed({ type: 'tick', at: study.now });
    expect(study.sweep).toMatchObject({
      status: 'stopping',
      reason: expect.stringContaining('time budget') as unknown,
    });
    study.proveFold();
  });

  it('waits for the slot of an attempt that is still ending', () => {
    const study = new Study();
    const [first] = study.running();
    if (first === undefined) throw new Error('nothing runs');
    study.epoch(first, epochRecord(1, NaN));
    study.ask({ type: 'rerun', selection: { ...ALL, diverged: true } });
    expect(study.trial(first.trialId)).toMatchObject({ state: 'queued', attempts: { length: 1 } });
    study.epoch(first, epochRecord(2, 0.3));
    expect(study.trial(first.trialId).epochs).toEqual([]);
    study.end(first, 'stopped');
    expect(study.trial(first.trialId)).toMatchObject({ state: 'starting', attempts: { length: 2 } });
    study.proveFold();
  });

  it('does nothing for trials that succeeded or run', () => {
    const study = new Study();
    const ids = study.running().map(({ trialId }) => trialId);
    expect(study.ask({ type: 'rerun', selection: { ...ALL, trialIds: ids } })).toEqual([]);
    study.finish();
    expect(study.ask({ type: 'rerun', selection: { ...ALL, trialIds: ids } })).toEqual([]);
  });
});
