import { describe, expect, it } from 'vitest';
import {
  waitingReason,
  type LedgerEvent,
  type SlotRecord,
  type TrainerInfo,
} from '../../../services/coordinator/core/index.js';
import { backoffMs, LONGEST_PAUSE_MS } from '../../../services/coordinator/core/fleet/faults.js';
import { epochRecord, NO_READING, sweepSpec, trainer, World } from '../../support/core.js';

type EndClass = Extract<LedgerEvent, { type: 'attempt_ended' }>['class'];

const gpu = (memoryGb: number | null, index = 0): SlotRecord => ({
  slotId: `gpu${index}`,
  deviceKind: 'gpu',
  deviceModel: memoryGb === null ? 'GPU' : `GPU ${memoryGb}`,
  deviceUuids: [`GPU-${index}`],
  memoryBytes: memoryGb === null ? null : memoryGb * 1e9,
});
const box = (trainerId: string, ...memoryGb: (number | null)[]): TrainerInfo =>
  trainer(trainerId, 1, { slots: memoryGb.map(gpu) });

const points = (count: number) => [
  { name: 'x', domain: { kind: 'list' as const, values: Array.from({ length: count }, (_, i) => i) } },
];

/** Ends what runs for a trial now. */
function end(world: World, trialId: string, endClass: EndClass, code = '', message: string = endClass): void {
  const { attempts } = world.trial(trialId);
  const { attempt, trainerId } = attempts.at(-1)!;
  const ref = { sweepId: 's', trialId, attempt };
  world.started(ref);
  const facts = { class: endClass, code, message, seconds: 1, energy: NO_READING };
  world.feed({ type: 'reported', trainerId, report: { kind: 'ended', ...ref, ...facts }, at: world.now });
}
const later = (world: World, ms = 70_000) => world.feed({ type: 'tick', at: world.now + ms });

describe('budgets', () => {
  it.each([
    ['crashed', 3],
    ['preempted', 11],
    ['refused', 1],
  ] as const)('of %s: the attempt number %i fails the trial', (endClass, failsAt) => {
    const world = new World();
    world.submit(sweepSpec({ sweep: [] }));
    world.join(trainer('a'));
    for (let attempt = 1; attempt <= failsAt; attempt++) {
      expect(world.trial('t0001')).toMatchObject({ state: 'starting' });
      expect(world.trial('t0001').attempts).toHaveLength(attempt);
      end(world, 't0001', endClass);
      later(world);
    }
    expect(world.trial('t0001').state).toBe('failed');
  });

  it('of lost boxes are five', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: [] }));
    for (let attempt = 1; attempt <= 6; attempt++) {
      world.join(trainer('a'));
      expect(world.trial('t0001').attempts).toHaveLength(attempt);
      world.feed({ type: 'trainer_gone', trainerId: 'a', at: world.now });
    }
    expect(world.trial('t0001')).toMatchObject({ state: 'failed', code: 'ATTEMPT_LOST' });
  });

  it('stand in the sweep file', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: [], retries: { crashed: 0, refused: 1 } }));
    world.join(trainer('a'));
    end(world, 't0001', 'refused');
    later(world);
    expect(world.trial('t0001').state).toBe('starting');
    end(world, 't0001', 'crashed');
    expect(world.trial('t0001')).toMatchObject({ state: 'failed', reason: 'crashed' });
  });

  it('a fault of ours is retried like a crash', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: [] }));
    world.join(trainer('a'));
    end(world, 't0001', 'refused', 'REQUEST_INVALID');
    later(world);
    expect(world.trial('t0001').state).toBe('starting');
  });
});

describe('back-off', () => {
  it('doubles, with jitter that follows from the name alone', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 40].map((count) => backoffMs(1_000, count, 'k'));
    for (const [i, pause] of pauses.entries()) {
      const full = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** i);
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full);
    }
    expect(backoffMs(1_000, 4, 'k')).toBe(pauses[3]);
    const many = new Set(Array.from({ length: 50 }, (_, i) => backoffMs(60_000, 1, `t${i}`)));
    expect(many.size).toBeGreaterThan(45);
  });

  it('lets a crashed trial take another box, if one is there, and its own after a while', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(2) }));
    world.join(trainer('a'), trainer('b'));
    end(world, 't0001', 'crashed');
    later(world, 5_000);
    expect(world.trial('t0001').state).toBe('queued');
    end(world, 't0002', 'completed');
    expect(world.trial('t0001').attempts.map(({ trainerId }) => trainerId)).toEqual(['a', 'b']);
    end(world, 't0001', 'crashed');
    world.feed({ type: 'trainer_silent', trainerId: 'a', at: world.now });
    later(world, 10_000);
    expect(world.trial('t0001').attempts).toHaveLength(2);
    later(world, 30_000);
    expect(world.trial('t0001').attempts.map(({ trainerId }) => trainerId)).toEqual(['a', 'b', 'b']);
  });
});

describe('out of memory', () => {
  it('is retried only where a device has more than where it failed', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(4) }));
    world.join(box('small', 8, 8), box('big', 24));
    expect(world.trial('t0003').attempts[0]?.trainerId).toBe('big');
    end(world, 't0001', 'out_of_memory', 'ATTEMPT_OUT_OF_MEMORY', 'no room for a tensor');
    const event = world.log.findLast(({ type }) => type === 'trial_requeued');
    expect(event).toMatchObject({
      memoryAboveBytes: 8e9,
      reason:
        'no room for a tensor; it had 8.0 GB on small/gpu0 (GPU 8) and goes only where a device has more; retry 1 of 3',
    });
    expect(world.running().map(({ trialId, slotId }) => `${trialId} ${slotId}`)).toContain('t0004 gpu0');
    end(world, 't0002', 'completed');
    later(world);
    expect(world.trial('t0001').state).toBe('queued');
    end(world, 't0003', 'completed');
    expect(world.trial('t0001').attempts.at(-1)).toMatchObject({ trainerId: 'big', slotMemoryBytes: 24e9 });
    end(world, 't0001', 'out_of_memory');
    expect(world.trial('t0001')).toMatchObject({
      state: 'failed',
      reason:
        'out_of_memory; it had 24.0 GB on big/gpu0 (GPU 24) and needs more; no device that the sweep may use has (the largest has 24.0 GB)',
    });
  });

  it('does not wait for a larger device that cannot be had in the number that a trial needs', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(1), resources: { gpus: 2, device: null } }));
    world.join(box('small', 8, 8), box('big', 24));
    end(world, 't0001', 'out_of_memory');
    expect(world.trial('t0001').state).toBe('failed');
    const mixed = new World();
    mixed.submit(sweepSpec({ sweep: points(1), resources: { gpus: 2, device: null } }));
    mixed.join(box('mixed', 8, 8, 24));
    end(mixed, 't0001', 'out_of_memory');
    expect(mixed.trial('t0001').state).toBe('failed');
  });

  it('says for what a trial waits while the larger devices are drained or lost', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(1) }));
    world.join(box('small', 8), box('big', 24));
    const steer = (control: 'drain' | 'undrain'): void =>
      void world.feed({
        ...{ type: 'control_trainer', trainerId: 'big', control, stopRunning: false },
        at: world.now,
      });
    const reason = (): string => waitingReason(world.state, world.state.sweeps.get('s')!);
    steer('drain');
    end(world, 't0001', 'out_of_memory');
    expect(reason()).toBe(
      'no box that has more memory than 8.0 GB, where it ran out, takes it: big is drained',
    );
    world.feed({ type: 'trainer_gone', trainerId: 'big', at: world.now });
    expect(reason()).toBe('no device has more memory than 8.0 GB, where it ran out');
    world.join(box('big', 24));
    steer('undrain');
    expect(reason()).toBe('');
    expect(world.trial('t0001').attempts.at(-1)?.trainerId).toBe('big');
  });

  it('fails at once where no device is larger, or none says how large it is', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(2), resources: { gpus: 1, device: 'gpu 8' } }));
    world.join(box('small', 8), box('big', 24));
    end(world, 't0001', 'out_of_memory');
    expect(world.trial('t0001').reason).toContain('the largest has 8.0 GB');
    const other = new World();
    other.submit(sweepSpec({ sweep: [] }));
    other.join(box('small', null), box('big', 24));
    end(other, 't0001', 'out_of_memory');
    expect(other.trial('t0001').reason).toContain('whose memory is not known');
  });

  it('of one small box fails no trial of 500', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(500), maxEpochs: 1 }));
    world.join(box('small', 8), box('big', 24));
    for (let i = 0; i < 2_000 && world.state.sweeps.get('s')!.endedAt === null; i++) {
      const [first] = world.running();
      if (first === undefined) {
        later(world);
        continue;
      }
      if (first.trainerId === 'small') end(world, first.trialId, 'out_of_memory');
      else {
        world.epoch(first, epochRecord(1, 0.5));
        end(world, first.trialId, 'completed');
      }
    }
    const states = [...world.state.sweeps.get('s')!.trials.values()].map(({ state }) => state);
    expect(new Set(states)).toEqual(new Set(['succeeded']));
    expect(states).toHaveLength(500);
    expect(world.state.trainers.get('small')?.quarantine?.reason).toMatch(/^3 different trials in a row/);
    const tried = world.log.filter(
      (event) => event.type === 'attempt_ended' && event.class === 'out_of_memory',
    );
    expect(tried.length).toBeLessThan(6);
  });
});

describe('what the box is to blame for', () => {
  it.each([
    ['crashed', 'ENGINE_MISSING'],
    ['crashed', 'DISK_FULL'],
    ['crashed', 'DEVICE_LOST'],
    ['refused', 'ENGINE_MISSING'],
    ['preempted', 'BOX_UNFIT'],
  ] as const)('fails no trial, however often it comes: %s, %s', (endClass, code) => {
    const world = new World();
    world.state.settings = { ...world.state.settings, quarantineAfter: 0 };
    world.submit(sweepSpec({ sweep: [] }));
    world.join(trainer('a'));
    for (let i = 0; i < 20; i++) {
      end(world, 't0001', endClass, code);
      expect(world.trial('t0001').state).toBe('queued');
      expect(world.running()).toEqual([]);
      later(world);
    }
    expect(world.trial('t0001').state).toBe('starting');
    for (let i = 0; i < 3; i++) {
      end(world, 't0001', 'crashed');
      later(world);
    }
    expect(world.trial('t0001').state).toBe('failed');
  });

  it('a program that a box does not allow goes to another box, and to that one when it allows it', () => {
    const world = new World();
    world.submit(sweepSpec({ sweep: points(3) }));
    world.join(trainer('a'));
    const [start] = world.running();
    const { sweepId, trialId, attempt } = start!;
    world.feed({
      type: 'start_refused',
      ...{ sweepId, trialId, attempt },
      ...{ code: 'RECIPE_NOT_OFFERED', message: "does not run 'make'", retryable: false },
      at: world.now,
    });
    later(world);
    expect(world.running()).toEqual([]);
    expect(world.trial('t0001').state).toBe('queued');
    expect(world.state.trainers.get('a')?.quarantine).toBeNull();
    world.submit(sweepSpec({ sweep: [] }), 'other');
    expect(world.running().map(({ sweepId, trainerId }) => [sweepId, trainerId])).toEqual([['other', 'a']]);
    world.join(trainer('b'));
    expect(world.running().map(({ trialId, trainerId }) => [trialId, trainerId])).toContainEqual([
      't0001',
      'b',
    ]);
    world.join(trainer('a', 2, { instanceId: 'again' }));
    expect(world.trial('t0002').attempts.at(-1)?.trainerId).toBe('a');
  });

  it('a box without a file that the sweep needs gives its trials away, and none of them fails for it', () => {
    const world = new World();
    world.join(trainer('a'));
    world.submit(sweepSpec({ sweep: points(3) }));
    end(world, 't0001', 'refused', 'REQUIREMENT_MISSING');
    later(world);
    expect(world.running()).toEqual([]);
    expect(world.trial('t0001').state).toBe('queued');
    expect(world.state.trainers.get('a')?.quarantine).toBeNull();
    world.join(trainer('b'));
    expect(world.running().map(({ trialId, trainerId }) => [trialId, trainerId])).toEqual([['t0001', 'b']]);
  });
});
