/**
 * The CPUs of the box as the kernel numbers them: which ones this process may use, in an order in which the threads of a
 * core and the cores of a socket stand together, and the command that pins a program to some of them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../../../setup/locate.mjs';

/** `0-3,8` to its numbers; empty when it is no such list. */
export function cpusOf(list: string): readonly number[] {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list.trim())) return [];
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [from = 0, to = from] = range.split('-').map(Number);
      return Array.from({ length: Math.max(0, to - from + 1) }, (_unused, index) => from + index);
    });
}

/** Numbers to `0-3,8`. */
export function listOf(cpus: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${String(from)}-${String(to)}`)).join(',');
}

/** @param root of `/proc` and `/sys`. Empty where the kernel does not say. */
export function usableCpus(root = '/'): readonly number[] {
  const status = text(join(root, 'proc/self/status'));
  const allowed = cpusOf(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
  const place = (cpu: number): readonly number[] => {
    const topology = join(root, `sys/devices/system/cpu/cpu${String(cpu)}/topology`);
    return ['physical_package_id', 'core_id'].map((name) => Number(text(join(topology, name)) || cpu));
  };
  const places = new Map(allowed.map((cpu) => [cpu, place(cpu)]));
  return allowed.toSorted((a, b) => {
    const [packageA = 0, coreA = 0] = places.get(a) ?? [];
    const [packageB = 0, coreB = 0] = places.get(b) ?? [];
    return packageA - packageB || coreA - coreB || a - b;
  });
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/** The `index`-th of `of` parts, as even as it goes: the first ones have one more. */
export function partOf<T>(all: readonly T[], index: number, of: number): readonly T[] {
  const [share, rest] = [Math.floor(all.length / of), all.length % of];
  const begin = index * share + Math.min(index, rest);
  return all.slice(begin, begin + share + (index < rest ? 1 : 0));
}

/** Whether programs can be pinned here. */
export const canPin = (): boolean => onPath('taskset') !== null;

/** The command, kept to these CPUs with all that it starts; unchanged without any. `taskset` becomes the command itself. */
export const pinned = (command: readonly string[], cpus: readonly number[] | undefined): readonly string[] =>
  cpus === undefined ? command : ['taskset', '--cpu-list', listOf(cpus), ...command];
