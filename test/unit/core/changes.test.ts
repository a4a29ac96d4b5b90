import { describe, expect, it } from 'vitest';
import {
  fold,
  initialState,
  type ChangeInput,
  type LedgerEvent,
  type SweepSpec,
} from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, joules, sweepSpec, trainer, World } from '../../support/core.js';

type Asked = ChangeInput extends infer I
  ? I extends ChangeInput
    ? Omit<I, 'sweepId' | 'at'>
    : never
  : never;

const ALL = { trialIds: null, cancelled: false, diverged: false };

class Study extends World {
  constructor(over: Partial<SweepSpec> = {}, slots = 3) {
    super();
    this.submit(sweepSpec(over));
    this.join(trainer('a', slots));
  }

  ask(input: Asked): readonly LedgerEvent[] {
    return this.feed({ ...input, sweepId: 's', at: this.now });
  }

  get sweep() {
    const sweep = this.state.sweeps.get('s');
    if (sweep === undefined) throw new Error('no sweep');
    return sweep;
  }

  /** Trains what runs, and what follows, to the end; each trial's objective is that of its epoch. */
  finish(value: (trialId: string, epoch: number) => number = (_, epoch) => epoch / 100): void {
    for (let next = this.running()[0]; next !== undefined; next = this.running()[0]) {
      this.started(next);
      for (
        let epoch = (this.trial(next.trialId).epochs.at(-1)?.epoch ?? 0) + 1;
        epoch <= next.maxEpochs;
        epoch++
      )
        this.epoch(next, epochRecord(epoch, value(next.trialId, epoch)));
      this.end(next);
    }
  }

  /** Lets the first running trial fail for good. */
  fail(): string {
    const [next] = this.running();
    if (next === undefined) throw new Error('nothing runs');
    this.end(next, 'refused');
    return next.trialId;
  }

  /** The log alone gives the same state. */
  proveFold(): void {
    const state = initialState();
    for (const event of this.log) fold(state, event);
    expect(freeze(state)).toBe(freeze(this.state));
  }
}

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

const random = (trials: number) => ({
  search: { method: 'random' as const, trials, caseWeights: [1] },
  sweep: [
    {
      name: 'x',
      domain: {
        kind: 'range' as const,
        min: 0,
        max: 1,
        scale: 'linear' as const,
        integer: false,
        count: null,
      },
    },
  ],
});

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
    const stopping = {
      rule: 'asha' as const,
      firstRung: 1,
      eta: 2,
      window: 1,
      compareWithin: [],
      brackets: 1,
    };
    const study = new Study({ stopping, maxEpochs: 2 });
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
