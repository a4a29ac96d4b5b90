import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCheckpoint } from '../../../services/trainer/attempts/resume.js';
import { attemptFiles, trainerLayout, type TrainerLayout } from '../../../services/trainer/layout.js';

const key = (attempt: number) => ({ sweepId: 's', trialId: 't0001', attempt });

describe('the checkpoint that an attempt goes on from', () => {
  let dir: string;
  let layout: TrainerLayout;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'wattsweep-resume-'));
    layout = trainerLayout(dir, 'box');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** A checkpoint on the disk, and what the first attempt said of it. */
  function checkpoint(name: string, said: { epoch: number; inFormer?: boolean } | null): string {
    const path = join(layout.checkpointDir('l', key(1)), name);
    mkdirSync(path, { recursive: true });
    if (said === null) return path;
    const { spool } = attemptFiles(
      layout[said.inFormer === true ? 'formerAttemptDir' : 'attemptDir']('l', key(1)),
    );
    mkdirSync(dirname(spool), { recursive: true });
    const line = { type: 'checkpoint', epoch: said.epoch, path };
    writeFileSync(spool, `${JSON.stringify({ atUnixMs: 1, monotonicMs: 1, line })}\n`, { flag: 'a' });
    return path;
  }
  const find = (recipe: string, wanted: string) => findCheckpoint(layout, 'l', key(2), recipe, wanted).path;

  it('is the newest that does not lie ahead of the ledger', () => {
    const first = checkpoint('epoch-1', { epoch: 1 });
    checkpoint('epoch-2', { epoch: 2 });
    expect(find('resnet-cifar10', '1/1')).toBe(first);
  });

  it('is found where version 0.1 had the attempt', () => {
    const path = checkpoint('epoch-1', { epoch: 1, inFormer: true });
    expect(find('resnet-cifar10', '1/1')).toBe(path);
  });

  it('is none when the process was killed before its first one was complete: the trial begins anew', () => {
    checkpoint('.epoch-0001-step-00000016.unfinished', null);
    expect(find('resnet-cifar10', '1/1')).toBeNull();
  });

  it('is the whole folder for a program, which keeps its own order there', () => {
    const path = checkpoint('mine', null);
    expect(find('command', '1/1')).toBe(dirname(path));
  });

  it('of a program is fetched from elsewhere only when a later attempt ran there', () => {
    const ofTerm = (attempt: number) => ({ ...key(attempt), termId: 'a1', trialTermId: 'a1' });
    for (const attempt of [1, 2]) mkdirSync(layout.attemptDir('l', ofTerm(attempt)), { recursive: true });
    mkdirSync(join(layout.checkpointDir('l', ofTerm(1)), 'mine'), { recursive: true });
    const { elsewhere } = findCheckpoint(layout, 'l', ofTerm(3), 'command', '2/4');
    expect(elsewhere).toEqual({ epoch: 4, beyond: { attempt: 2 } });
  });
});
