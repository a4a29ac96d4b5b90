import { describe, expect, it } from 'vitest';
import { FreeMemory } from '../../../services/trainer/service/free-memory.js';
import { foreignDevices, joinSlots, planSlots } from '../../../services/trainer/slots/inventory.js';

const gpus = ['a', 'b', 'c'].map((id) => ({ id, model: 'GPU', memoryBytes: null }));
const plan = { slots: 'auto', threadsPerSlot: null, cores: 8, cpus: [] } as const;

describe('slots', () => {
  it('are one a GPU, else one on the CPU', () => {
    expect(planSlots(gpus, plan).map(({ slotId }) => slotId)).toEqual(['gpu0', 'gpu1', 'gpu2']);
    expect(planSlots([], plan)).toMatchObject([{ slotId: 'cpu', device: { kind: 'cpu', threads: 8 } }]);
  });

  it('of several CPU slots share the cores, and the energy of the one counter that there is', () => {
    const slots = planSlots([], { ...plan, slots: { cpu: 4 } });
    expect(slots.map(({ device }) => device.threads)).toEqual([2, 2, 2, 2]);
    for (const { metered } of slots) expect(metered).toEqual([{ id: 'cpu', share: 1, isShared: true }]);
  });

  it('may share each GPU, and then have a part of its memory and of the threads', () => {
    const [gpu] = gpus.slice(0, 1).map((one) => ({ ...one, memoryBytes: 24e9 }));
    const slots = planSlots([gpu!], { ...plan, slotsPerDevice: 3 });
    expect(slots.map(({ slotId }) => slotId)).toEqual(['gpu0-0', 'gpu0-1', 'gpu0-2']);
    for (const slot of slots)
      expect(slot).toMatchObject({
        device: { uuids: ['a'], threads: 2 },
        memoryBytes: 8e9,
        metered: [{ id: 'a', share: 1, isShared: true }],
        sharedBy: 3,
      });
    expect(joinSlots(slots[0]!, slots.slice(1)).device.uuids).toEqual(['a']);
    const two = planSlots(gpus.slice(0, 2), { ...plan, slotsPerDevice: 2 });
    expect(two.map(({ slotId }) => slotId)).toEqual(['gpu0-0', 'gpu1-0', 'gpu0-1', 'gpu1-1']);
    const free = new FreeMemory(() => [{ device: 'a', memoryUsedBytes: 6e9 }]);
    const look = (holder: object | null) => free.look(slots.map((info) => ({ info, holder })));
    expect(look(null).get('gpu0-2')).toBe(6e9);
  });
});

describe('memory', () => {
  it('of a CPU slot is its share of the box', () => {
    const cpu = { ...plan, slots: { cpu: 2 }, memoryBytes: 32e9, part: { index: 0, of: 2 } };
    expect(planSlots([], cpu).map(({ memoryBytes }) => memoryBytes)).toEqual([8e9, 8e9]);
    expect(planSlots([], plan)[0]?.memoryBytes).toBeGreaterThan(1e8);
  });

  it('that others use is seen until an attempt ran there, and small changes are not told', () => {
    let used = 1e9;
    const free = new FreeMemory(() => [{ device: 'a', memoryUsedBytes: used }]);
    const [info] = planSlots([{ id: 'a', model: 'GPU', memoryBytes: 16e9 }], plan);
    const look = (holder: object | null = null) => free.look([{ info: info!, holder }]).get('gpu0');
    expect(look()).toBe(15e9);
    used = 1.9e9;
    expect(look()).toBe(15e9);
    used = 2e9;
    expect(look()).toBe(14e9);
    used = 12e9;
    expect([look({}), look()]).toEqual([14e9, 14e9]);
  });
});

describe('trainers that share a box', () => {
  const parts = [0, 1].map((index) => ({ index, of: 2 }));

  it('have each GPU once, under the same name as alone', () => {
    const slots = parts.map((part) => planSlots(gpus, { ...plan, part }).map(({ slotId }) => slotId));
    expect(slots).toEqual([['gpu0', 'gpu2'], ['gpu1']]);
  });

  it('divide the cores and the energy of the processors', () => {
    for (const part of parts) {
      expect(planSlots([], { ...plan, part })).toMatchObject([
        { device: { threads: 4 }, metered: [{ id: 'cpu', share: 0.5 }] },
      ]);
    }
  });

  it('report each device once', () => {
    expect(parts.map((part) => [...foreignDevices(gpus, part)])).toEqual([['b'], ['a', 'c', 'cpu']]);
    expect([...foreignDevices(gpus)]).toEqual([]);
  });
});
