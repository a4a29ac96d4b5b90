import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canPin, cpusOf, listOf, partOf, pinned, usableCpus } from '../../../services/trainer/slots/cpus.js';
import { joinSlots, planSlots, slotEnvironment } from '../../../services/trainer/slots/inventory.js';

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'wattsweep-cpus-'))));
afterEach(() => rm(root, { recursive: true, force: true }));

describe('CPUs', () => {
  it('are read and written as the kernel lists them', () => {
    expect(cpusOf('0-3,8,10-11\n')).toEqual([0, 1, 2, 3, 8, 10, 11]);
    for (const none of ['', 'all', '3-', '1,,2']) expect(cpusOf(none)).toEqual([]);
    expect(listOf([11, 8, 0, 1, 2, 3, 10])).toBe('0-3,8,10-11');
  });

  it('are those that this process may use, the threads of a core together', async () => {
    await mkdir(join(root, 'proc/self'), { recursive: true });
    await writeFile(join(root, 'proc/self/status'), 'Name:\tnode\nCpus_allowed_list:\t0-5,7\n');
    // Two sockets of two cores with two threads each; CPU 6 is not allowed.
    for (let cpu = 0; cpu < 8; cpu++) {
      const topology = join(root, `sys/devices/system/cpu/cpu${cpu}/topology`);
      await mkdir(topology, { recursive: true });
      await writeFile(join(topology, 'physical_package_id'), `${cpu % 2}\n`);
      await writeFile(join(topology, 'core_id'), `${Math.floor(cpu / 2) % 2}\n`);
    }
    expect(usableCpus(root)).toEqual([0, 4, 2, 1, 5, 3, 7]);
    expect(usableCpus(join(root, 'nothing'))).toEqual([]);
  });

  it('are divided as evenly as it goes', () => {
    expect([0, 1, 2].map((index) => partOf([0, 1, 2, 3, 4, 5, 6], index, 3))).toEqual([
      [0, 1, 2],
      [3, 4],
      [5, 6],
    ]);
  });

  it('keep a program and what it starts to themselves', () => {
    if (!canPin()) return;
    const [cpu] = usableCpus();
    const script =
      "const { readFileSync } = require('fs'); console.log(/Cpus_allowed_list:\\s*(\\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])";
    const child = `console.log(require('child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(script)}], { encoding: 'utf8' }).trim())`;
    const [program = '', ...args] = pinned([process.execPath, '-e', child], [cpu!]);
    expect(spawnSync(program, args, { encoding: 'utf8' }).stdout.trim()).toBe(String(cpu));
    expect(pinned(['a', 'b'], undefined)).toEqual(['a', 'b']);
  });
});

describe('slots on the CPU', () => {
  const cpus = [0, 4, 1, 5, 2, 6, 3];
  const plan = { slots: { cpu: 2 }, threadsPerSlot: null, cores: 7, cpus } as const;

  it('have CPUs of their own, as many threads, and tell libraries so', () => {
    const slots = planSlots([], plan);
    expect(slots.map((slot) => slot.cpus)).toEqual([
      [0, 4, 1, 5],
      [2, 6, 3],
    ]);
    expect(slots.map(({ device }) => device.threads)).toEqual([4, 3]);
    const environment = slotEnvironment(slots[1]!);
    for (const name of ['OMP', 'MKL', 'OPENBLAS', 'NUMEXPR', 'TF_NUM_INTRAOP', 'TF_NUM_INTEROP'])
      expect(environment[name.startsWith('TF') ? `${name}_THREADS` : `${name}_NUM_THREADS`]).toBe('3');
    expect(joinSlots(slots[0]!, [slots[1]!])).toMatchObject({ cpus, device: { threads: 7 } });
  });

  it('are divided among the trainers of the box first', () => {
    const of = (index: number) => planSlots([], { ...plan, part: { index, of: 2 } }).map((slot) => slot.cpus);
    expect([...of(0), ...of(1)]).toEqual([[0, 4], [1, 5], [2, 6], [3]]);
  });

  it('are not pinned where one has the box, where they are more than the CPUs, or are given more threads', () => {
    for (const loose of [
      { slots: 'auto' },
      { slots: { cpu: 8 } },
      { threadsPerSlot: 4 },
      { cpus: [] },
    ] as const)
      for (const slot of planSlots([], { ...plan, ...loose })) expect(slot).not.toHaveProperty('cpus');
    expect(planSlots([], { ...plan, threadsPerSlot: 3 })[0]).toMatchObject({
      cpus: [0, 4, 1, 5],
      device: { threads: 3 },
    });
  });
});
