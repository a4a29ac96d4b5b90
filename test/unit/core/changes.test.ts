import { describe, expect, it } from 'vitest';
import type { SweepSpec } from '../../../services/coordinator/core/index.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';
import { ALL, random, Study } from '../../support/study.js';

describe('limits', () => {
  it('act at once: fewer trials at a time, and a budget that is spent already ends the sweep', () => {
    const study = new Study({}, 1);
    study.ask({ type: 'set_limits', changes: { maxParallel: 2 } });
    study.join(trainer('b', 4));
    expect(study.running()).toHaveLength(2);
    const [first] = study.running();
    if (first === undefined) throw new Error('nothing runs');
    study.epoch(first, epochRecord(1, 0.1, { train: joules(7200) }));
    const events = study.ask({ type: 'set_limits', changes: { energyWh: 1 } });
    expect(events[0]).toMatchObject({ type: 'limits_changed', change: 'budget.energy_wh none -> 1' });
    expect(study.sweep).toMatchObject({ status: 'stopping', reason: 'energy budget: 2.00 of 1 Wh spent' });
    for (const start of study.running()) study.end(start, 'stopped');
    expect(study.sweep.status).toBe('stopped');
    expect(study.ask({ type: 'set_limits', changes: { energyWh: 1 } })).toEqual([]);
    study.proveFold();
  });

  it('share slots by priority', () => {
    const world = new World();
    const many = random(100);
    world.submit(sweepSpec({ ...many, priority: 3 }), 'heavy');
    world.submit(sweepSpec(many), 'light');
    world.join(trainer('a', 8));
    const of = (sweepId: string) => world.running().filter((start) => start.sweepId === sweepId).length;
    expect([of('heavy'), of('light')]).toEqual([6, 2]);
  });
});

describe('a paused sweep', () => {
  /** Two of three trials run, and 2 Wh are spent; then a person pauses it. */
  const paused = (over: Partial<SweepSpec> = {}): Study => {
    const study = new Study(over, 2);
    const [first] = study.running();
    if (first === undefined) throw new Error('nothing runs');
    study.epoch(first, epochRecord(1, 0.1, { train: joules(7200) }));
    study.feed({ type: 'control', sweepId: 's', control: 'pause', at: study.now });
    for (const start of study.running()) study.end(start, 'stopped');
    expect(study.sweep.status).toBe('paused');
    return study;
  };

  it('ends at a new budget that is spent already', () => {
    const study = paused();
    study.ask({ type: 'set_limits', changes: { energyWh: 1 } });
    expect(study.sweep).toMatchObject({ status: 'stopped', reason: 'energy budget: 2.00 of 1 Wh spent' });
    study.proveFold();
  });

  it('whose hours have passed waits for its person, and starts nothing when it is resumed', () => {
    const study = paused({ budget: { energyWh: null, hours: 1 } });
    const assigned = (): number => study.log.filter(({ type }) => type === 'attempt_assigned').length;
    const before = assigned();
    study.now += 3_600_000;
    study.feed({ type: 'tick', at: study.now });
    study.ask({ type: 'set_limits', changes: { priority: 2 } });
    expect(study.sweep.status).toBe('paused');
    study.feed({ type: 'control', sweepId: 's', control: 'resume', at: study.now });
    expect(study.sweep).toMatchObject({ status: 'stopped', reason: 'time budget: 1.00 of 1 h spent' });
    expect(assigned()).toBe(before);
    study.proveFold();
  });

  it('ends when its last trial does', () => {
    const study = new Study();
    const running = study.running();
    study.feed({ type: 'control', sweepId: 's', control: 'pause', at: study.now });
    for (const start of running) study.end(start, 'completed');
    expect(study.sweep.status).toBe('completed');
  });
});

it('a sweep that has nothing left to spend is neither rerun nor extended, until its budget is raised', () => {
  const study = new Study({ budget: { energyWh: 1, hours: null } }, 1);
  const failed = study.fail();
  const [next] = study.running();
  if (next === undefined) throw new Error('nothing runs');
  study.epoch(next, epochRecord(1, 0.1, { train: joules(7200) }));
  study.end(next, 'stopped');
  expect(study.sweep.status).toBe('stopped');
  const spec = { ...study.sweep.spec, repeats: 2 };
  expect(study.ask({ type: 'rerun', selection: ALL })).toEqual([]);
  expect(study.ask({ type: 'extend', spec, change: '' })).toEqual([]);
  study.ask({ type: 'set_limits', changes: { energyWh: 3 } });
  study.ask({ type: 'rerun', selection: ALL });
  expect(study.running().map(({ trialId }) => trialId)).toEqual([failed]);
});

describe('tags, archive, delete', () => {
  it('keep each tag once, in order', () => {
    const study = new Study();
    study.ask({ type: 'tag', add: ['a', 'b', 'a'], remove: [] });
    study.ask({ type: 'tag', add: ['c'], remove: ['a'] });
    expect(study.sweep.tags).toEqual(['b', 'c']);
    expect(study.ask({ type: 'tag', add: ['c'], remove: ['z'] })).toEqual([]);
    study.ask({ type: 'archive', archived: true });
    expect(study.sweep.archived).toBe(true);
    study.proveFold();
  });

  it('refuse to delete what runs unless forced; then it goes once its attempts have ended', () => {
    const study = new Study();
    expect(study.ask({ type: 'delete', force: false })).toEqual([]);
    study.ask({ type: 'delete', force: true });
    expect(study.state.sweeps.has('s')).toBe(true);
    for (const start of study.running()) study.end(start, 'stopped');
    expect(study.state.sweeps.has('s')).toBe(false);
    expect(study.state.trainers.get('a')?.holders.size).toBe(0);
    study.proveFold();
  });

  it('stop what a box still runs of a deleted sweep', () => {
    const study = new Study({}, 1);
    const [start] = study.running();
    if (start === undefined) throw new Error('nothing runs');
    study.feed({ type: 'trainer_gone', trainerId: 'a', at: study.now });
    study.ask({ type: 'delete', force: true });
    expect(study.state.sweeps.has('s')).toBe(false);
    study.actions.length = 0;
    const { sweepId, trialId, attempt } = start;
    const held = { sweepId, trialId, attempt, phase: 'running' as const, ledgerId: 'ledger' };
    study.feed({ type: 'attempts_listed', trainerId: 'a', attempts: [held], at: study.now });
    expect(study.actions).toMatchObject([{ type: 'stop_attempt', trialId, mode: 'cancel' }]);
  });
});

it('a blocked sweep keeps its points: the order within blocks follows from their number', () => {
  const world = new World();
  const spec = sweepSpec({ repeats: 2, placement: 'blocked' });
  world.submit(spec);
  world.join(trainer('a', 1));
  const search = { method: 'grid' as const, added: [{ batch_size: 256 }] };
  const more = { ...spec, search };
  expect(world.feed({ type: 'extend', sweepId: 's', spec: more, change: '', at: world.now })).toEqual([]);
});
