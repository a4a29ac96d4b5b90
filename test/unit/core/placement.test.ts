import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { waitingReason, type LedgerEvent, type SweepSpec } from '../../../services/coordinator/core/index.js';
import { slotsInUse, slotsNeeded, suits } from '../../../services/coordinator/core/placement/resources.js';
import { box, points } from '../../support/boxes.js';
import { epochRecord, sweepSpec, trainer, World } from '../../support/core.js';

const wanting = (resources: Partial<SweepSpec['resources']>, over: Partial<SweepSpec> = {}): SweepSpec =>
  sweepSpec({ sweep: points(8), resources: { gpus: null, device: null, ...resources }, ...over });

const held = (world: World, trainerId: string): string[] =>
  [...(world.state.trainers.get(trainerId)?.holders ?? [])].map(
    ([slotId, { sweepId, trialId }]) => `${slotId} ${sweepId}/${trialId}`,
  );

describe('several GPUs', () => {
  it('of one box and model are held together by one attempt, and come free together', () => {
    const world = new World();
    world.submit(wanting({ gpus: 2 }));
    world.join(box('mixed', ['A', 'B', 'B', 'A', 'B']));
    expect(world.running().map(({ slotId, furtherSlotIds }) => [slotId, furtherSlotIds])).toEqual([
      ['gpu0', ['gpu3']],
      ['gpu1', ['gpu2']],
    ]);
    expect(held(world, 'mixed')).toHaveLength(4);
    world.end(world.running()[0]!);
    expect(held(world, 'mixed')).toEqual(['gpu1 s/t0002', 'gpu2 s/t0002', 'gpu0 s/t0003', 'gpu3 s/t0003']);
  });

  it('are different ones where slots share them', () => {
    const shared = box('shared', ['A', 'A', 'A', 'A']);
    const slots = shared.slots.map((slot, i) => ({
      ...slot,
      deviceUuids: [`GPU-${Math.floor(i / 2)}`],
      sharedBy: 2,
    }));
    const world = new World();
    world.submit(wanting({ gpus: 2 }));
    world.join({ ...shared, slots });
    expect(world.running().map(({ slotId, furtherSlotIds }) => [slotId, furtherSlotIds])).toEqual([
      ['gpu0', ['gpu2']],
      ['gpu1', ['gpu3']],
    ]);
    const wide = new World();
    wide.submit(wanting({ gpus: 3 }));
    wide.join({ ...shared, slots });
    expect(wide.running()).toEqual([]);
    expect(waitingReason(wide.state, wide.state.sweeps.get('s')!)).toBe(
      'no box has 3 GPUs; the largest has 2',
    );
  });

  it('may be all that a box has', () => {
    const world = new World();
    world.submit(wanting({ gpus: 4 }));
    world.join(box('small', ['A', 'A']));
    const sweep = world.state.sweeps.get('s')!;
    expect(waitingReason(world.state, sweep)).toBe('no box has 4 GPUs; the largest has 2');
    world.join(box('whole', ['A', 'A', 'A', 'A']));
    expect(held(world, 'whole')).toHaveLength(4);
    expect(waitingReason(world.state, sweep)).toBe('');
  });

  it('are given to a large attempt though small ones would take each slot that comes free', () => {
    const world = new World();
    world.submit(wanting({ gpus: 1 }, { sweep: points(1000) }), 'small');
    world.join(box('a', ['A', 'A', 'A']));
    world.submit(wanting({ gpus: 3 }), 'large');
    let ends = 0;
    while (!world.running().some(({ sweepId }) => sweepId === 'large') && ends < 10) {
      world.end(world.running()[0]!);
      ends++;
    }
    expect(ends).toBe(3);
  });

  it('of a lost box are lost once, and its attempt starts again elsewhere', () => {
    const world = new World();
    world.submit(wanting({ gpus: 2 }, { sweep: [] }));
    world.join(box('a', ['A', 'A']));
    world.feed({ type: 'trainer_gone', trainerId: 'a', at: world.now });
    expect(world.log.filter(({ type }) => type === 'attempt_ended')).toHaveLength(1);
    expect(held(world, 'a')).toEqual([]);
    world.join(box('b', ['A', 'A']));
    expect(held(world, 'b')).toHaveLength(2);
  });
});

describe('why a sweep waits', () => {
  const reason = (world: World): string => waitingReason(world.state, world.state.sweeps.get('s')!);
  it.each<[string, Partial<SweepSpec['resources']>]>([
    ['no box has a device "H100"; there are RTX 4060, cpu', { device: 'H100' }],
    ['no device has 24 GB of memory free; the most is 8.0 GB', { memoryGb: 24 }],
    ['no box has the labels room=attic', { labels: { room: 'attic' } }],
    ['', { device: 'rtx', labels: { room: 'cellar' }, memoryGb: 8, gpus: 1 }],
  ])('%j', (expected, resources) => {
    const world = new World();
    world.submit(wanting(resources));
    expect(reason(world)).toBe('no trainer has joined');
    world.join(box('a', ['RTX 4060', 'cpu'], { labels: { room: 'cellar' } }));
    expect(reason(world)).toBe(expected);
    expect(world.running()).toHaveLength(expected === '' ? 1 : 0);
  });

  it('free memory counts, not what others use', () => {
    const world = new World();
    world.submit(wanting({ memoryGb: 6 }));
    const [slot] = box('a', ['A']).slots;
    world.join(trainer('a', 1, { slots: [{ ...slot!, freeMemoryBytes: 5e9 }] }));
    expect(reason(world)).toBe('no device has 6 GB of memory free; the most is 5.0 GB');
    world.join(trainer('a', 1, { slots: [{ ...slot!, freeMemoryBytes: 6e9 }] }));
    expect(world.running()).toHaveLength(1);
  });

  it('boxes that take nothing are named, with what to do', () => {
    const world = new World();
    world.submit(wanting({}));
    world.join(box('a', ['A'], { draining: true }), box('b', ['A']));
    world.feed({
      type: 'control_trainer',
      trainerId: 'b',
      control: 'drain',
      stopRunning: false,
      at: world.now,
    });
    expect(reason(world)).toBe('no box takes it: a is drained, b is drained');
    world.feed({ type: 'trainer_silent', trainerId: 'b', at: world.now });
    world.feed({
      type: 'control_trainer',
      trainerId: 'b',
      control: 'undrain',
      stopRunning: false,
      at: world.now,
    });
    expect(reason(world)).toBe('no box takes it: a is drained, b is silent');
  });
});

describe('turns', () => {
  it('of sweeps on one slot: each has one after the other', () => {
    const world = new World();
    for (const sweepId of ['a', 'b', 'c']) world.submit(sweepSpec({ sweep: points(4) }), sweepId);
    world.join(trainer('box'));
    const order: string[] = [];
    for (let start = world.running()[0]; start !== undefined; start = world.running()[0]) {
      order.push(start.sweepId);
      world.epoch(start, epochRecord(4, 0.5));
      world.end(start);
    }
    expect(order.join('')).toBe('abcabcabcabc');
  });

  it('a newcomer has each slot that comes free until it has its share', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(100) }), 'old');
    world.join(trainer('box', 6));
    world.submit(sweepSpec({ sweep: points(100) }), 'new');
    for (let i = 0; i < 3; i++) world.end(world.running().find(({ sweepId }) => sweepId === 'old')!);
    expect([...world.state.sweeps.values()].map(({ active }) => active.size)).toEqual([3, 3]);
  });
});

describe('whatever fleet and sweeps there are', () => {
  const model = fc.constantFrom('A', 'B', 'cpu');
  const boxes = fc.array(
    fc.record({
      models: fc.array(model, { minLength: 1, maxLength: 4 }),
      memoryGb: fc.constantFrom(8, 24),
      room: fc.constantFrom('attic', 'cellar'),
    }),
    { minLength: 1, maxLength: 4 },
  );
  const wish = fc.record({
    gpus: fc.constantFrom(null, 0, 1, 2, 3),
    device: fc.constantFrom(null, 'a', 'b'),
    memoryGb: fc.constantFrom(null, 8, 24),
    room: fc.constantFrom(null, 'attic'),
    maxParallel: fc.constantFrom(null, 1, 2),
    points: fc.integer({ min: 1, max: 5 }),
    blocked: fc.boolean(),
  });
  const happening = fc.record({
    kind: fc.constantFrom('end', 'crash', 'lose', 'submit', 'tick'),
    which: fc.nat(50),
  });

  it('no slot holds two, none is leaked, shares are fair, and everything that fits somewhere ends', () => {
    fc.assert(
      fc.property(
        boxes,
        fc.array(wish, { minLength: 1, maxLength: 4 }),
        fc.array(happening, { maxLength: 25 }),
        (fleet, wishes, steps) => {
          const world = new World();
          const infos = fleet.map(({ models, memoryGb, room }, i) =>
            box(`box${i}`, models, { memoryGb, labels: { room } }),
          );
          const specs = wishes.map(({ gpus, device, memoryGb, room, ...more }) =>
            wanting(
              { gpus, device, memoryGb, ...(room === null ? {} : { labels: { room } }) },
              {
                sweep: points(more.points),
                maxParallel: more.maxParallel,
                ...(more.blocked ? { placement: 'blocked' as const, repeats: 2 } : {}),
              },
            ),
          );
          let submitted = 0;
          const feed = (act: () => void): void => {
            const before = world.log.length;
            act();
            checkFair(world, world.log.slice(before));
            checkSlots(world);
          };
          const submit = (): void => {
            const spec = specs[submitted % specs.length]!;
            if (submitted < 6) feed(() => world.submit(spec, `s${submitted}`));
            submitted++;
          };
          submit();
          for (const info of infos) feed(() => world.join(info));
          const finish = (start: ReturnType<World['running']>[number]): void => {
            feed(() => world.epoch(start, epochRecord(4, 0.5)));
            feed(() => world.end(start));
          };
          for (const { kind, which } of steps) {
            const running = world.running();
            const start = running[which % Math.max(1, running.length)];
            if (kind === 'submit') submit();
            else if (kind === 'tick') feed(() => world.feed({ type: 'tick', at: world.now + 70_000 }));
            else if (kind === 'lose') {
              const info = infos[which % infos.length]!;
              feed(() => world.feed({ type: 'trainer_gone', trainerId: info.trainerId, at: world.now }));
              feed(() => world.join(info));
            } else if (start !== undefined && kind === 'end') finish(start);
            else if (start !== undefined) feed(() => world.end(start, 'preempted'));
          }
          for (let i = 0; i < 400 && world.running().length > 0; i++) {
            for (const start of world.running()) finish(start);
            feed(() => world.feed({ type: 'tick', at: world.now + 70_000 }));
          }
          for (const sweep of world.state.sweeps.values()) {
            const fits = [...world.state.trainers.values()].some((one) => {
              const models = one.info.slots
                .filter((slot) => suits(one, slot, sweep))
                .map((slot) => slot.deviceModel);
              return models.some(
                (name) => models.filter((other) => other === name).length >= slotsNeeded(sweep),
              );
            });
            expect([sweep.sweepId, sweep.endedAt !== null]).toEqual([sweep.sweepId, fits]);
            if (!fits) expect(waitingReason(world.state, sweep)).not.toBe('');
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  /** Every slot that is held belongs to a live attempt that says so; none to two. */
  function checkSlots(world: World): void {
    const claims = world
      .running()
      .flatMap(({ sweepId, trialId, trainerId, slotId, furtherSlotIds = [] }) =>
        [slotId, ...furtherSlotIds].map((slot) => `${trainerId} ${slot} ${sweepId}/${trialId}`),
      );
    const holders = [...world.state.trainers.keys()].flatMap((id) =>
      held(world, id).map((text) => `${id} ${text}`),
    );
    expect(claims.sort()).toEqual(holders.sort());
    expect(new Set(claims.map((text) => text.split(' ').slice(0, 2).join())).size).toBe(claims.length);
    for (const sweep of world.state.sweeps.values()) {
      expect(sweep.active.size).toBeLessThanOrEqual(sweep.limits.maxParallel ?? Infinity);
      const slots = claims.filter((text) => text.includes(` ${sweep.sweepId}/`)).length;
      expect(slots).toBe(slotsInUse(sweep));
    }
  }

  /** Who was given a slot last had, before, no more slots than any who still wants one like it and is not blocked. */
  function checkFair(world: World, events: readonly LedgerEvent[]): void {
    const last = events.findLast((event) => event.type === 'attempt_assigned');
    if (last === undefined) return;
    const taker = world.state.sweeps.get(last.sweepId)!;
    const given = world.state.trainers.get(last.trainerId)!;
    const slot = given.info.slots.find(({ slotId }) => slotId === last.slotId)!;
    for (const other of world.state.sweeps.values()) {
      const waits =
        other.status === 'running' &&
        other.spec.placement === undefined &&
        other.active.size < (other.limits.maxParallel ?? Infinity) &&
        (other.queue.size > 0 || other.nextIndex < other.points) &&
        [...other.queue].every((id) => (other.trials.get(id)?.notBefore ?? 0) <= world.now - 2_000);
      if (!waits || slotsNeeded(other) > 1 || !suits(given, slot, other)) continue;
      expect(slotsInUse(taker) - slotsNeeded(taker)).toBeLessThanOrEqual(slotsInUse(other));
    }
  }
});
