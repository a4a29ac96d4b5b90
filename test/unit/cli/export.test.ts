import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkpointOf } from '../../../cli/export.js';
import { writeCheckpoint } from '../../../services/trainer/runner/checkpoint.js';
import { trainerLayout } from '../../../services/trainer/layout.js';

const checkpoint = { network: 'toy', epoch: 1, step: 1, progress: {}, vectors: {} };

/** A data folder with two checkpoints of trial t1 of sweep s, the first of them the best. */
function trained(trialTermId?: string) {
  const data = mkdtempSync(join(tmpdir(), 'wattsweep-export-'));
  const key = { sweepId: 's', trialId: 't1', ...(trialTermId === undefined ? {} : { trialTermId }) };
  const folder = trainerLayout(data, 'box').checkpointDir('ledger', key);
  writeCheckpoint(folder, checkpoint, true);
  const last = writeCheckpoint(folder, { ...checkpoint, epoch: 2 });
  return { data, folder, last };
}

describe('the checkpoint to export', () => {
  it.each([undefined, 'abc123'])('is that of the best epoch, or the last one: term %s', (term) => {
    const { data, folder, last } = trained(term);
    expect(checkpointOf('s/t1', { data })).toBe(join(folder, 'best'));
    expect(checkpointOf('s/t1', { data, last: true })).toBe(last);
    expect(checkpointOf(folder, {})).toBe(join(folder, 'best'));
    expect(checkpointOf(last, {})).toBe(last);
    rmSync(join(folder, 'best'), { recursive: true });
    expect(checkpointOf('s/t1', { data })).toBe(last);
  });

  it('is refused where there is none, or more than one', () => {
    const { data } = trained();
    for (const trial of ['s/t', 's/t10', 's', 'other/t1'])
      expect(() => checkpointOf(trial, { data })).toThrow(`no checkpoint of ${trial} in`);
    const other = trainerLayout(data, 'box').checkpointDir('newer', { sweepId: 's', trialId: 't1' });
    writeCheckpoint(other, checkpoint);
    expect(() => checkpointOf('s/t1', { data })).toThrow(/has checkpoints in .*ledger.* and .*newer/);
  });
});
