import { describe, expect, it } from 'vitest';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';
import { asha, busy } from './busy.js';

describe('repeats', () => {
  it('without a rule, follow once every point has its first', () => {
    const world = busy({ repeats: 2 }, 6);
    expect(world.running().map((start) => world.trial(start.trialId).repeat)).toEqual([1, 1, 1, 2, 2, 2]);
    const hashes = world.running().map((start) => world.trial(start.trialId).pointHash);
    expect(hashes.slice(3)).toEqual(hashes.slice(0, 3));
  });

  it('with a rule, start only when the first was not stopped; equal repeats share a seed', () => {
    const world = busy({ repeats: 2, stopping: asha, maxEpochs: 2 });
    const [a, b, c] = world.running();
    world.epoch(a!, epochRecord(1, 0.9));
    world.epoch(b!, epochRecord(1, 0.1));
    world.end(b!, 'stopped');
    world.epoch(a!, epochRecord(2, 0.9));
    world.end(a!);
    const repeats = world.running().filter((start) => world.trial(start.trialId).repeat === 2);
    expect(repeats.map((start) => world.trial(start.trialId).pointHash)).toEqual([
      world.trial(a!.trialId).pointHash,
    ]);
    world.epoch(c!, epochRecord(1, 0.95));
    world.epoch(c!, epochRecord(2, 0.95));
    world.end(c!);
    const seeds = new Set(world.running().map((start) => start.seed));
    expect(seeds.size).toBe(1);
    expect(seeds.has(a!.seed)).toBe(false);
  });
});

describe('fleet', () => {
  it('a suspect trainer gets nothing new; a lost one has its attempts run elsewhere', () => {
    const world = new World();
    world.submit(sweepSpec());
    world.join(trainer('a'));
    const [onA] = world.running();
    world.feed({ type: 'trainer_silent', trainerId: 'a', at: world.now });
    world.end(onA!, 'preempted');
    expect(world.running()).toEqual([]);
    world.join(trainer('a'));
    const [again] = world.running();
    world.epoch(again!, epochRecord(1, 0.2));
    world.feed({ type: 'trainer_silent', trainerId: 'a', at: world.now });
    world.feed({ type: 'trainer_gone', trainerId: 'a', at: world.now });
    world.join(trainer('b'));
    const [onB] = world.running();
    expect(onB).toMatchObject({ trainerId: 'b', trialId: again!.trialId, attempt: again!.attempt + 1 });
    expect(world.epoch(again!, epochRecord(2, 0.9))).toEqual([]);
  });

  it('starts again what only the ledger knows, and stops what the ledger says is over', () => {
    const world = busy({}, 3);
    const [a, b, c] = world.running();
    world.started(b!);
    world.epoch(c!, epochRecord(1, NaN));
    world.actions.length = 0;
    world.feed({
      type: 'attempts_listed',
      trainerId: 'a',
      attempts: [b!, c!].map((ref) => ({ ...pick(ref), phase: 'running' as const, ledgerId: 'ledger' })),
      at: world.now,
    });
    expect(world.actions.map(({ type, ...rest }) => [type, 'trialId' in rest ? rest.trialId : ''])).toEqual([
      ['stop_attempt', c!.trialId],
      ['start_attempt', a!.trialId],
    ]);
  });

  it('leaves alone what this ledger never heard of', () => {
    const world = busy();
    const ours = world.running().map((ref) => ({ ...pick(ref), phase: 'running' as const }));
    world.actions.length = 0;
    const foreign = { sweepId: 'old', trialId: 't0001', attempt: 1, phase: 'running' as const };
    world.feed({
      type: 'attempts_listed',
      trainerId: 'a',
      attempts: [
        { ...foreign, ledgerId: 'ledger' },
        { ...foreign, sweepId: 's', ledgerId: 'other' },
        ...ours.map((attempt) => ({ ...attempt, ledgerId: 'ledger' })),
      ],
      at: world.now,
    });
    expect(world.actions).toEqual([]);
  });

  it('tries a busy slot again after a pause, without counting it against the trial', () => {
    const world = busy({ sweep: [] }, 1);
    for (let i = 0; i < 20; i++) {
      const [start] = world.running();
      world.feed({
        type: 'start_refused',
        ...pick(start!),
        retryable: true,
        code: 'SLOT_BUSY',
        message: 'busy',
        at: world.now,
      });
      expect(world.running()).toEqual([]);
      world.feed({ type: 'tick', at: world.now + 60_000 });
    }
    expect(world.running()).toHaveLength(1);
  });

  it('asks a slot that stays busy less and less often, and asks what keeps it so', () => {
    const world = busy({ sweep: [] }, 1);
    const refusedAt: number[] = [];
    for (let second = 0; second < 600; second++) {
      const [start] = world.running();
      if (start !== undefined) {
        refusedAt.push(world.now);
        world.feed({
          type: 'start_refused',
          ...pick(start),
          retryable: true,
          code: 'SLOT_BUSY',
          message: 'busy',
          at: world.now,
        });
        expect(world.actions.at(-1)).toEqual({ type: 'list_attempts', trainerId: 'a' });
      }
      world.feed({ type: 'tick', at: world.now });
    }
    const pauses = refusedAt.slice(1).map((at, i) => at - refusedAt[i]!);
    expect(pauses[0]).toBeLessThan(5_000);
    expect(pauses.at(-1)).toBeGreaterThan(29_000);
    expect(refusedAt.length).toBeLessThan(20);
  });
});

describe('steering and budgets', () => {
  it('parks a trial whose attempt was told to pause before it reached its box', () => {
    const world = busy({ sweep: [] }, 1);
    world.feed({ type: 'control', sweepId: 's', control: 'pause', at: world.now });
    world.actions.length = 0;
    world.feed({ type: 'attempts_listed', trainerId: 'a', attempts: [], at: world.now });
    expect(world.actions).toEqual([]);
    expect(world.trial('t0001').state).toBe('paused');
    expect(world.running()).toEqual([]);
    world.feed({ type: 'control', sweepId: 's', control: 'resume', at: world.now });
    expect(world.running()).toHaveLength(1);
  });

  it('a pause leaves alone what is being ended for good', () => {
    const world = busy({}, 1);
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, NaN));
    world.actions.length = 0;
    world.feed({ type: 'control', sweepId: 's', control: 'pause', at: world.now });
    expect(world.actions).toEqual([]);
  });

  it('pauses with a checkpoint and goes on from it', () => {
    const world = busy({}, 1);
    const [first] = world.running();
    world.epoch(first!, epochRecord(1, 0.1));
    world.feed({ type: 'control', sweepId: 's', control: 'pause', at: world.now });
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', mode: 'pause' });
    world.end(first!, 'stopped');
    expect(world.trial('t0001').state).toBe('paused');
    expect(world.running()).toEqual([]);
    world.feed({ type: 'control', sweepId: 's', control: 'resume', at: world.now });
    expect(world.running()[0]).toMatchObject({ trialId: 't0001', attempt: 2, resumeFrom: '1/1' });
  });

  it('stop cancels what is open and ends the sweep when the last attempt has ended', () => {
    const world = busy();
    world.feed({ type: 'control', sweepId: 's', control: 'stop', at: world.now });
    expect(world.state.sweeps.get('s')?.status).toBe('stopping');
    for (const start of world.running()) world.end(start, 'stopped');
    expect(world.state.sweeps.get('s')).toMatchObject({ status: 'stopped', reason: 'stopped by a person' });
    expect([...world.state.sweeps.get('s')!.trials.values()].map((trial) => trial.state)).toEqual(
      Array(3).fill('cancelled'),
    );
  });

  it('ends the sweep when its energy is spent', () => {
    const world = busy({ budget: { energyWh: 0.01, hours: null } });
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, 0.1, { train: joules(35) }));
    expect(world.state.sweeps.get('s')?.status).toBe('running');
    world.epoch(start!, epochRecord(2, 0.1, { train: joules(1) }));
    expect(world.state.sweeps.get('s')).toMatchObject({
      status: 'stopping',
      reason: 'energy budget: 0.01 of 0.01 Wh spent',
    });
  });

  it('ends the sweep when its hours are over, though nobody reports', () => {
    const world = busy({ budget: { energyWh: null, hours: 1 } });
    world.feed({ type: 'tick', at: world.now + 3.6e6 });
    expect(world.state.sweeps.get('s')?.status).toBe('stopping');
  });
});

const pick = ({ sweepId, trialId, attempt }: { sweepId: string; trialId: string; attempt: number }) => ({
  sweepId,
  trialId,
  attempt,
});
