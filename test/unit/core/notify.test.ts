/** When a webhook is told something: once each, whatever is replayed, and not five hundred times a minute. */
import { describe, expect, test } from 'vitest';
import {
  fold,
  initialState,
  type LedgerEvent,
  type NotificationKind,
  type SweepSpec,
} from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, joules, sweepSpec, trainer, World } from '../../support/core.js';

const WEBHOOK = 'https://hooks.example.com/secret';
const every: readonly NotificationKind[] = ['end', 'failure', 'budget'];

const telling = (over: Partial<SweepSpec> = {}, on = every): SweepSpec =>
  sweepSpec({ notify: { webhook: WEBHOOK, on }, ...over });

const dueIn = (log: readonly LedgerEvent[]) =>
  log.filter((event): event is Extract<LedgerEvent, { type: 'notification_due' }> => {
    return event.type === 'notification_due';
  });
const idsOf = (world: World): string[] => dueIn(world.log).map(({ deliveryId }) => deliveryId);

/** A fleet without quarantine, so that a sweep may fail as a whole. */
function fleet(slots: number): World {
  const world = new World();
  const settings = { retries: { crashed: 0, lost: 5, preempted: 10 }, quarantineAfter: 0 };
  world.feed({
    type: 'lead',
    ledgerId: 'ledger',
    termId: 'ledger-term',
    coordinatorId: 'c2',
    settings,
    at: world.now,
  });
  world.join(trainer('box', slots));
  return world;
}

const complete = (world: World): void => {
  for (const start of world.running()) {
    for (let epoch = 1; epoch <= start.maxEpochs; epoch += 1)
      world.epoch(start, epochRecord(epoch, epoch / 10));
    world.end(start);
  }
};
const crash = (
  world: World,
  { sweepId, trialId, attempt }: { sweepId: string; trialId: string; attempt: number },
  at: number,
): void =>
  void world.feed({
    type: 'reported',
    trainerId: 'box',
    report: {
      kind: 'ended',
      sweepId,
      trialId,
      attempt,
      class: 'crashed',
      code: 'ATTEMPT_CRASHED',
      message: 'the program ended with 1',
      seconds: 1,
      energy: joules(0),
    },
    at,
  });
const wait = (world: World, ms: number): void => {
  world.now += ms;
  world.feed({ type: 'tick', at: world.now });
};

/** What the log folds to is what was decided, and nothing in it becomes due again. */
function expectReplayable(world: World): void {
  const folded = initialState();
  for (const event of world.log) fold(folded, event);
  expect(freeze(folded)).toBe(freeze(world.state));
}

describe('the end', () => {
  test('is told once, with the sweep as it then was', () => {
    const world = fleet(3);
    world.submit(telling());
    complete(world);
    wait(world, 1_000);
    wait(world, 1_000);
    expect(dueIn(world.log)).toEqual([
      {
        type: 'notification_due',
        sweepId: 's',
        deliveryId: 's/end/1',
        kind: 'end',
        name: 'test',
        state: 'completed',
        reason: 'every trial has ended',
        trialsTotal: 3,
        trialsByState: { succeeded: 3 },
        best: { trialId: 't0001', value: 0.4, epoch: 4 },
        spent: { joules: null, hours: expect.any(Number) as number },
        budget: { energyWh: null, hours: null },
        at: expect.any(Number) as number,
      },
    ]);
    expect([...world.state.outbox.values()]).toMatchObject([{ deliveryId: 's/end/1', webhook: WEBHOOK }]);
    expectReplayable(world);
  });

  test('is told again, under another id, when the sweep was opened again', () => {
    const world = fleet(3);
    world.submit(telling());
    for (const start of world.running()) world.end(start, 'crashed');
    const selection = { trialIds: null, cancelled: false, diverged: false };
    world.feed({ type: 'rerun', sweepId: 's', selection, at: world.now });
    complete(world);
    expect(idsOf(world)).toEqual(['s/failure/1', 's/failure/2', 's/end/3', 's/end/4']);
    expectReplayable(world);
  });

  test('of a sweep that is deleted with it is told all the same', () => {
    const world = fleet(3);
    world.submit(telling());
    world.feed({ type: 'delete', sweepId: 's', force: true, at: world.now });
    for (const start of world.running()) world.end(start, 'stopped');
    expect(world.state.sweeps.has('s')).toBe(false);
    expect([...world.state.outbox.keys()]).toEqual(['s/end/1']);
    const settled = { outcome: 'delivered', attempts: 1, message: '' } as const;
    world.feed({ type: 'notification_settled', deliveryId: 's/end/1', ...settled, at: world.now });
    expect(world.state.outbox.size).toBe(0);
    expectReplayable(world);
  });

  test('is told to nobody who did not ask', () => {
    const world = fleet(3);
    world.submit(sweepSpec());
    complete(world);
    world.submit(telling({}, ['failure']), 'other');
    complete(world);
    expect(world.state.sweeps.get('other')?.status).toBe('completed');
    expect(dueIn(world.log)).toEqual([]);
  });
});

describe('a budget', () => {
  const spending = (energyWh: number): World => {
    const world = fleet(1);
    world.submit(telling({ maxEpochs: 100, budget: { energyWh, hours: null } }));
    return world;
  };
  const spend = (world: World, epoch: number, wh: number): void => {
    const [start] = world.running();
    world.epoch(start!, epochRecord(epoch, 0.1, { train: joules(wh * 3_600) }));
  };

  test('is told at 80 % and when it is reached, each once', () => {
    const world = spending(10);
    spend(world, 1, 7.9);
    expect(idsOf(world)).toEqual([]);
    spend(world, 2, 0.1);
    spend(world, 3, 0.5);
    wait(world, 1_000);
    expect(idsOf(world)).toEqual(['s/energy_wh-80/1']);
    spend(world, 4, 1.5);
    const [start] = world.running();
    world.end(start!, 'stopped');
    expect(idsOf(world)).toEqual(['s/energy_wh-80/1', 's/energy_wh-100/2', 's/end/3']);
    expect(dueIn(world.log)[1]).toMatchObject({
      kind: 'budget',
      level: { limit: 'energy_wh', percent: 100 },
      spent: { joules: 36_000 },
      budget: { energyWh: 10 },
      state: 'stopping',
    });
    expectReplayable(world);
  });

  test('that is overrun in one step is told as reached, not as nearly reached as well', () => {
    const world = spending(10);
    spend(world, 1, 11);
    wait(world, 1_000);
    expect(idsOf(world)).toEqual(['s/energy_wh-100/1']);
  });

  test('that is raised has levels of its own', () => {
    const world = spending(10);
    spend(world, 1, 8.5);
    world.feed({ type: 'set_limits', sweepId: 's', changes: { energyWh: 100 }, at: world.now });
    world.feed({ type: 'set_limits', sweepId: 's', changes: { maxParallel: 1 }, at: world.now });
    spend(world, 2, 75);
    expect(idsOf(world)).toEqual(['s/energy_wh-80/1', 's/energy_wh-80/2']);
    expectReplayable(world);
  });

  test('of hours is told by the clock alone', () => {
    const world = fleet(1);
    world.submit(telling({ budget: { energyWh: null, hours: 1 } }));
    wait(world, 0.79 * 3.6e6);
    expect(idsOf(world)).toEqual([]);
    wait(world, 0.02 * 3.6e6);
    wait(world, 1_000);
    expect(idsOf(world)).toEqual(['s/hours-80/1']);
    wait(world, 0.2 * 3.6e6);
    expect(idsOf(world)).toEqual(['s/hours-80/1', 's/hours-100/2']);
  });

  test('that was reached is not nearly reached afterwards, though the clock was set back', () => {
    const world = fleet(1);
    world.submit(telling({ budget: { energyWh: null, hours: 1 } }));
    wait(world, 1.1 * 3.6e6);
    world.feed({ type: 'tick', at: world.now - 0.2 * 3.6e6 });
    expect(idsOf(world)).toEqual(['s/hours-100/1']);
  });
});

describe('failures', () => {
  const failing = (trials: number, slots: number): World => {
    const world = fleet(slots);
    const values = Array.from({ length: trials }, (_, i) => i + 1);
    world.submit(
      telling({ sweep: [{ name: 'batch_size', domain: { kind: 'list', values } }] }, ['failure', 'end']),
    );
    return world;
  };

  test('of five hundred trials in a minute are two messages, with all of them counted', () => {
    const world = failing(500, 500);
    const begin = world.now;
    for (const start of world.running()) {
      crash(world, start, begin);
      world.now = begin;
    }
    const failures = dueIn(world.log).filter(({ kind }) => kind === 'failure');
    expect(failures.map((one) => one.failures?.count)).toEqual([1, 499]);
    expect(failures[0]?.failures?.trials).toEqual([
      {
        trialId: 't0001',
        code: 'ATTEMPT_CRASHED',
        reason: expect.stringContaining('ended with 1') as string,
      },
    ]);
    expect(failures[1]?.failures?.trials).toHaveLength(10);
    expectReplayable(world);
  });

  test('after the first are collected for a minute, and told by the clock', () => {
    const world = failing(8, 8);
    const [one, two, three, four, five] = world.running();
    world.end(one!, 'crashed');
    world.end(two!, 'crashed');
    world.end(three!, 'crashed');
    wait(world, 20_000);
    expect(idsOf(world)).toEqual(['s/failure/1']);
    wait(world, 40_000);
    expect(idsOf(world)).toEqual(['s/failure/1', 's/failure/2']);
    expect(dueIn(world.log)[1]?.failures).toMatchObject({
      count: 2,
      trials: [{ trialId: two!.trialId }, { trialId: three!.trialId }],
    });
    wait(world, 60_000);
    world.end(four!, 'crashed');
    world.end(five!, 'crashed');
    expect(dueIn(world.log).map((event) => event.failures?.count)).toEqual([1, 2, 1]);
    expectReplayable(world);
  });

  test('go on being told when the clock was set back', () => {
    const world = failing(8, 8);
    const [one, two] = world.running();
    world.end(one!, 'crashed');
    world.now -= 3.6e6;
    crash(world, two!, world.now);
    expect(idsOf(world)).toEqual(['s/failure/1', 's/failure/2']);
  });
});

describe('an answer', () => {
  test('is recorded once, and counted', () => {
    const world = fleet(3);
    world.submit(telling());
    complete(world);
    const settle = (deliveryId: string, outcome: 'delivered' | 'given_up') =>
      world.feed({
        type: 'notification_settled',
        deliveryId,
        outcome,
        attempts: 3,
        message: 'the answer was 500',
        at: world.now,
      });
    expect(settle('s/end/1', 'given_up').map(({ type }) => type)).toEqual(['notification_settled']);
    expect(settle('s/end/1', 'delivered')).toEqual([]);
    expect(settle('another', 'delivered')).toEqual([]);
    expect(world.state.outbox.size).toBe(0);
    expect(world.state.sweeps.get('s')?.notify).toMatchObject({
      count: 1,
      delivered: 0,
      givenUp: 1,
      lastFault: 'the answer was 500',
    });
    expectReplayable(world);
  });
});
