import type * as fs from 'node:fs';
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { BEST, readAnyCheckpoint, writeCheckpoint } from '../../../services/trainer/runner/checkpoint.js';

// As on exFAT and some network file systems.
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof fs>()),
  linkSync: () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
  },
}));

it('the best is kept as a copy where the file system has no links', () => {
  const parent = mkdtempSync(join(tmpdir(), 'wattsweep-checkpoint-'));
  const vectors = { w: Float32Array.of(1, 2) };
  for (const epoch of [1, 2, 3])
    writeCheckpoint(parent, { network: 'toy/1', epoch, step: epoch, progress: {}, vectors }, epoch === 1);
  expect(readdirSync(parent)).toEqual([BEST, 'epoch-0002-step-00000002', 'epoch-0003-step-00000003']);
  expect(readAnyCheckpoint(join(parent, BEST))).toMatchObject({ epoch: 1, vectors });
  expect(statSync(join(parent, BEST, 'state.bin')).nlink).toBe(1);
});
