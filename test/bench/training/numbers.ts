/** Numbers that the tables of training are made of. */
import { readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Vector instructions that decide how fast a CPU convolves. */
export function instructions(): string {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
    return flags.filter((flag) => /^(avx2|avx512f|avx512_(vnni|bf16|fp16)|amx_\w+)$/.test(flag)).join(' ');
  } catch {
    return 'instructions unknown';
  }
}
