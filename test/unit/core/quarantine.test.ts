import { describe, expect, it } from 'vitest';
import { fold, initialState, type LedgerEvent } from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, NO_READING, sweepSpec, trainer, World } from '../../support/core.js';

const points = (count: number) => [
  { name: 'x', domain: { kind: 'list' as const, values: Array.from({ length: count }, (_, i) => i) } },
];

type EndClass = Extract<LedgerEvent, { type: 'attempt_ended' }>['class'];

/** What runs on a slot now. */
const on = (world: World, trainerId: string, slotId = 'slot0') =>
  world.running().find((start) => start.trainerId === trainerId && start.slotId === slotId);

function end(
  world: World,
  trainerId: string,
  endClass: EndClass,
  { code = '', slotId = 'slot0' } = {},
): void {
  const start = on(world, trainerId, slotId);
  if (start === undefined) throw new Error(`nothing runs on ${trainerId}/${slotId}`);
  world.started(start);
  const { sweepId, trialId, attempt } = start;
  const facts = { class: endClass, code, message: endClass, seconds: 1, energy: NO_READING };
  const report = { kind: 'ended' as const, sweepId, trialId, attempt, ...facts };
  world.feed({ type: 'reported', trainerId, report, at: world.now });
}

/** A sweep that has had an epoch on the box `good`, and another box with the slots given. */
function fleet(slots = 1, over: Parameters<typeof sweepSpec>[0] = {}): World {
  const world = new World();
  world.submit(sweepSpec({ sweep: points(40), ...over }));
  world.join(trainer('good'));
  world.epoch(on(world, 'good')!, epochRecord(1, 0.5));
  world.join(trainer('bad', slots));
  return world;
}
const box = (world: World, trainerId = 'bad') => world.state.trainers.get(trainerId)!;
const later = (world: World) => world.feed({ type: 'tick', at: world.now + 70_000 });

describe('a box', () => {
  it('that fails three different trials in a row gets nothing more, until it is released', () => {
    const world = fleet();
    for (let i = 0; i < 3; i++) {
      expect(box(world).quarantine).toBeNull();
      end(world, 'bad', 'crashed');
    }
    expect(box(world).quarantine?.reason).toBe(
      '3 different trials in a row failed here; the last, s/t0004: crashed',
    );
    later(world);
    expect(on(world, 'bad')).toBeUndefined();
    world.join(trainer('bad', 1, { instanceId: 'again' }));
    expect(on(world, 'bad')).toBeUndefined();
    world.feed({
      type: 'control_trainer',
      trainerId: 'bad',
      control: 'release',
      stopRunning: false,
      at: world.now,
    });
    expect(box(world).quarantine).toBeNull();
    expect(on(world, 'bad')).toBeDefined();
    end(world, 'bad', 'crashed');
    expect(box(world).quarantine).toBeNull();
  });

  it('that does well in between is not quarantined', () => {
    const world = fleet();
    for (const endClass of [
      'crashed',
      'crashed',
      'completed',
      'crashed',
      'crashed',
      'diverged',
      'crashed',
    ] as const)
      end(world, 'bad', endClass);
    expect(box(world).quarantine).toBeNull();
  });

  it('whose trials end because of drains, lost boxes and wrong parameters is not quarantined', () => {
    const world = fleet();
    for (let i = 0; i < 9; i++) end(world, 'bad', i % 2 === 0 ? 'preempted' : 'refused');
    expect(box(world)).toMatchObject({ quarantine: null, failures: [] });
  });

  it('is not to blame for one trial that fails again and again', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(1), retries: { crashed: 9 } }));
    world.join(trainer('bad'));
    world.epoch(on(world, 'bad')!, epochRecord(1, 0.5));
    for (let i = 0; i < 9; i++) {
      end(world, 'bad', 'crashed');
      later(world);
    }
    expect(box(world).quarantine).toBeNull();
  });

  it('is not to blame for a sweep that has never worked anywhere', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(6), retries: { crashed: 0 } }));
    world.join(trainer('bad'));
    for (let i = 0; i < 6; i++) end(world, 'bad', 'crashed');
    expect(world.state.sweeps.get('s')?.status).toBe('completed');
    expect(box(world).quarantine).toBeNull();
  });

  it('is quarantined at once for faults of its own in a row, of one trial too', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(1) }));
    world.join(trainer('bad', 2));
    for (let i = 0; i < 3; i++) {
      end(world, 'bad', 'crashed', { code: 'DISK_FULL', slotId: on(world, 'bad')?.slotId ?? 'slot1' });
      later(world);
    }
    expect(box(world).quarantine?.reason).toBe('3 failures in a row; the last, s/t0001: DISK_FULL: crashed');
    expect(world.trial('t0001').state).toBe('queued');
    world.join(trainer('good'));
    expect(on(world, 'good')?.trialId).toBe('t0001');
  });

  it('is cleared when a trial that failed there fails on a good box, too', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(9), retries: { crashed: 1 } }));
    world.join(trainer('a'), trainer('b'));
    world.epoch(on(world, 'a')!, epochRecord(1, 0.5));
    const { trialId } = on(world, 'b')!;
    end(world, 'b', 'crashed');
    expect(box(world, 'b').failures).toHaveLength(1);
    world.feed({ type: 'tick', at: world.now + 2_000 });
    end(world, 'a', 'completed');
    expect(on(world, 'a')?.trialId).toBe(trialId);
    end(world, 'a', 'crashed');
    expect([box(world, 'a').failures, box(world, 'b').failures]).toEqual([[], []]);
    expect(world.trial(trialId).state).toBe('failed');
  });

  it('of the settings that never quarantine is never quarantined', () => {
    const world = fleet();
    world.state.settings = { ...world.state.settings, quarantineAfter: 0 };
    for (let i = 0; i < 10; i++) {
      end(world, 'bad', 'crashed', { code: 'DISK_FULL' });
      later(world);
    }
    expect(box(world).quarantine).toBeNull();
  });
});

describe('a slot', () => {
  it('that fails while the others do well is quarantined alone', () => {
    const world = fleet(2);
    for (let i = 0; i < 3; i++) {
      end(world, 'bad', 'completed', { slotId: 'slot0' });
      end(world, 'bad', 'crashed', { slotId: 'slot1' });
    }
    expect(box(world).quarantine).toBeNull();
    expect([...box(world).slotQuarantines.keys()]).toEqual(['slot1']);
    later(world);
    expect([on(world, 'bad', 'slot0'), on(world, 'bad', 'slot1')]).toEqual([expect.anything(), undefined]);
  });

  it('and the others that fail, too, are the box', () => {
    const world = fleet(2);
    end(world, 'bad', 'crashed', { slotId: 'slot0' });
    end(world, 'bad', 'crashed', { slotId: 'slot1' });
    end(world, 'bad', 'crashed', { slotId: 'slot0' });
    expect(box(world).quarantine).not.toBeNull();
  });

  it('whose device is lost is quarantined alone', () => {
    const world = fleet(2);
    for (let i = 0; i < 3; i++) {
      end(world, 'bad', 'crashed', { code: 'DEVICE_LOST', slotId: 'slot1' });
      later(world);
    }
    expect([...box(world).slotQuarantines.keys()]).toEqual(['slot1']);
    expect(box(world).quarantine).toBeNull();
  });
});

describe('a drain', () => {
  const steer = (world: World, control: 'drain' | 'undrain', stopRunning = false) =>
    world.feed({ type: 'control_trainer', trainerId: 'bad', control, stopRunning, at: world.now });

  it('gives the box nothing new, lets it finish, and is remembered', () => {
    const world = fleet();
    steer(world, 'drain');
    expect(steer(world, 'drain')).toEqual([]);
    expect(world.actions.at(-1)?.type).toBe('start_attempt');
    end(world, 'bad', 'completed');
    expect(on(world, 'bad')).toBeUndefined();
    world.join(trainer('bad', 1, { instanceId: 'again' }));
    expect(on(world, 'bad')).toBeUndefined();
    steer(world, 'undrain');
    expect(on(world, 'bad')).toBeDefined();
  });

  it('may take what runs there elsewhere, from its checkpoint', () => {
    const world = fleet();
    const start = on(world, 'bad')!;
    world.epoch(start, epochRecord(1, 0.2));
    steer(world, 'drain', true);
    expect(world.actions.at(-1)).toMatchObject({
      type: 'stop_attempt',
      trialId: start.trialId,
      mode: 'pause',
    });
    end(world, 'bad', 'stopped');
    expect(world.trial(start.trialId).state).toBe('queued');
    end(world, 'good', 'completed');
    expect(on(world, 'good')).toMatchObject({ trialId: start.trialId, resumeFrom: '1/1' });
  });
});

describe('attempts that the ledger never heard of', () => {
  const foreign = { sweepId: 'old', trialId: 't0001', attempt: 1, ledgerId: 'other', slotIds: ['slot0'] };
  const list = (world: World, ...attempts: object[]) =>
    world.feed({ type: 'attempts_listed', trainerId: 'busy', attempts: attempts as never, at: world.now });

  it('are held with their slots, shown since when, and stopped by nobody but a person', () => {
    const world = new World();
    world.join(trainer('busy', 2));
    const at = world.now;
    list(world, { ...foreign, phase: 'running' });
    expect(list(world, { ...foreign, phase: 'stopping' })).toEqual([]);
    const { held } = box(world, 'busy');
    expect([...held.values()]).toEqual([{ ...foreign, since: at, stopRequested: false }]);
    expect(world.actions.filter(({ type }) => type === 'stop_attempt')).toEqual([]);
    world.submit(sweepSpec());
    expect(world.running().map(({ slotId }) => slotId)).toEqual(['slot1']);
    const { slotIds, ...ref } = foreign;
    world.feed({ type: 'stop_held', trainerId: 'busy', ...ref, attempt: 2, at: world.now });
    expect(world.actions.at(-1)?.type).toBe('start_attempt');
    world.feed({ type: 'stop_held', trainerId: 'busy', ...ref, at: world.now });
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', ...ref, mode: 'stop' });
    expect([...held.values()][0]?.stopRequested).toBe(true);
    list(
      world,
      { ...foreign, phase: 'ended' },
      { ...world.running()[0], ledgerId: 'ledger', phase: 'running' },
    );
    expect(held.size).toBe(0);
    expect(world.running().map(({ slotId }) => slotId)).toEqual(['slot1', 'slot0']);
  });

  it('may be of this ledger: a part that a restore took away', () => {
    const world = new World();
    world.join(trainer('busy'));
    list(world, { ...foreign, ledgerId: 'ledger', phase: 'running' });
    expect(box(world, 'busy').held.size).toBe(1);
  });
});

it('all of it is the fold of the ledger', () => {
  const world = fleet(2);
  for (let i = 0; i < 3; i++) end(world, 'bad', 'crashed', { slotId: 'slot1' });
  world.feed({
    type: 'control_trainer',
    trainerId: 'good',
    control: 'drain',
    stopRunning: true,
    at: world.now,
  });
  world.feed({
    type: 'attempts_listed',
    trainerId: 'good',
    attempts: [{ sweepId: 'x', trialId: 'y', attempt: 1, ledgerId: 'z', phase: 'running', slotIds: [] }],
    at: world.now,
  });
  const folded = initialState();
  for (const event of world.log) fold(folded, event);
  expect(freeze(folded)).toBe(freeze(world.state));
});
