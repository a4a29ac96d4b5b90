/** What CUDA shows is compared with what the slot was given: a libcuda without a GPU is compiled for it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertGpus, cudaGpus } from '../../../services/trainer/runner/cuda.js';

const SOURCE = `
#include <stdio.h>
#include <string.h>
int cuInit(unsigned int flags) { return FAILS; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal + 10; return 0; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "NVIDIA Fake %d", device); return 0; }
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) { memset(uuid, device, 16); return 0; }
`;

let root: string;
const library = (name: string, fails: number): string => {
  const path = join(root, name);
  execFileSync('gcc', ['-shared', '-fPIC', `-DFAILS=${String(fails)}`, '-o', path, join(root, 'cuda.c')]);
  return path;
};
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'wattsweep-cuda-'));
  writeFileSync(join(root, 'cuda.c'), SOURCE);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TEN = 'GPU-0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a';
const ELEVEN = 'GPU-0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b';

it('GPUs are told by UUID and name; null where the driver cannot be asked', () => {
  expect(cudaGpus(library('good.so', 0))).toEqual([
    { uuid: TEN, name: 'NVIDIA Fake 10' },
    { uuid: ELEVEN, name: 'NVIDIA Fake 11' },
  ]);
  expect(cudaGpus(library('bad.so', 100))).toBeNull();
  expect(cudaGpus(join(root, 'absent.so'))).toBeNull();
});

describe('the GPU that computes', () => {
  const shown = [{ uuid: TEN, name: 'NVIDIA Fake 10' }];
  const slot = { uuids: [TEN], model: 'NVIDIA Fake 10' };

  it('is that of the slot, also a part of one', () => {
    expect(assertGpus(slot, shown)).toBe('NVIDIA Fake 10');
    const part = [{ uuid: TEN, name: 'NVIDIA Fake 10 MIG 1g.5gb' }];
    expect(assertGpus({ ...slot, uuids: [TEN.replace('GPU', 'MIG')] }, part)).toBe(part[0]!.name);
    expect(assertGpus(slot, [{ uuid: null, name: 'NVIDIA Fake 10' }])).toBe('NVIDIA Fake 10');
  });

  it.each([
    ['another one', [{ uuid: ELEVEN, name: 'NVIDIA Fake 10' }], 'CUDA shows NVIDIA Fake 10 (GPU-0b0b'],
    ['another model', [{ uuid: null, name: 'NVIDIA Other' }], 'CUDA shows NVIDIA Other (no UUID)'],
    ['none', [], 'CUDA shows no GPU'],
    [
      'one more',
      [...shown, { uuid: ELEVEN, name: 'NVIDIA Fake 10' }],
      `the slot has NVIDIA Fake 10 (${TEN})`,
    ],
  ])('is refused when it is %s', (_what, gpus, words) => {
    expect(() => assertGpus(slot, gpus)).toThrow(words);
  });
});
