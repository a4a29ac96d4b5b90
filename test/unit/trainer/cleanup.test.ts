import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Attempt } from '../../../services/trainer/attempts/attempt.js';
import { spoolLine, type AcceptedAttempt } from '../../../services/trainer/attempts/record.js';
import { findCheckpoint } from '../../../services/trainer/attempts/resume.js';
import { CleanUp, type CleanUpBounds } from '../../../services/trainer/cleanup/cleanup.js';
import { attemptFiles, trainerLayout, type TrainerLayout } from '../../../services/trainer/layout.js';
import { encodeLine } from '../../../services/trainer/protocol/runner.js';

const DAY_MS = 86_400_000;
const KIB = 1024;
const NOW_MS = Date.UTC(2026, 10, 24);
const key = (trialId: string, attempt = 1) => ({ sweepId: 's', trialId, attempt });

describe('the clean-up of a box', () => {
  let dataDir: string;
  let layout: TrainerLayout;
  let logged: { readonly msg: string; readonly trial?: string }[];
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'wattsweep-cleanup-'));
    layout = trainerLayout(dataDir, 'box');
    logged = [];
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  function age(dir: string, days: number): void {
    for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }))
      utimesSync(join(dir, name), 0, (NOW_MS - days * DAY_MS) / 1000);
    utimesSync(dir, 0, (NOW_MS - days * DAY_MS) / 1000);
  }

  interface Ended {
    readonly days: number;
    readonly kib?: number;
    readonly complete?: boolean;
    readonly attempt?: number;
    readonly spool?: string;
    /** Of a box of version 0.1. */
    readonly old?: boolean;
  }
  function ended(
    trialId: string,
    { days, kib = 0, complete = true, attempt = 1, spool = '', old = false }: Ended,
  ): string {
    const dir = layout[old ? 'formerAttemptDir' : 'attemptDir']('l', key(trialId, attempt));
    const files = attemptFiles(dir);
    mkdirSync(files.work, { recursive: true });
    if (old) writeFileSync(files.accepted, '{}');
    const noted = { acknowledgedLine: 1, epoch: 1, ...(old ? { complete } : {}) };
    if (old || !complete) writeFileSync(files.published, JSON.stringify(noted));
    const end = encodeLine({ type: 'end', class: 'completed', code: '', message: '' });
    const acknowledged = JSON.stringify({ type: 'acknowledged', upTo: 1, epoch: 1 });
    const lines = [end, ...(complete && !old ? [acknowledged] : [])];
    const atUnixMs = NOW_MS - days * DAY_MS;
    writeFileSync(files.spool, spool + lines.map((line) => spoolLine(atUnixMs, 1, line)).join(''));
    writeFileSync(join(files.work, 'data'), Buffer.alloc(kib * KIB));
    age(dir, days);
    utimesSync(files.spool, 0, atUnixMs / 1000);
    return dir;
  }

  function checkpoint(trialId: string, { days, kib = 1 }: Ended): string {
    const path = join(layout.checkpointDir('l', key(trialId)), 'epoch-1');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'state'), Buffer.alloc(kib * KIB));
    age(dirname(path), days);
    return path;
  }

  const bounds: CleanUpBounds = {
    keepAttemptsMs: 7 * DAY_MS,
    keepAttemptsBytes: 1024 * KIB,
    keepCheckpointsMs: 14 * DAY_MS,
    keepCheckpointsBytes: 1024 * KIB,
  };
  const open = (dir: string, code: string): Attempt =>
    new Attempt(dir, {
      ledgerId: 'l',
      spec: {
        key: key('x'),
        checkpointDir: layout.checkpointDir('l', key('t1')),
        code: { dir: code, folder: '' },
      },
    } as unknown as AcceptedAttempt);
  async function clean(more: Partial<CleanUpBounds> = {}, running: readonly string[] = [], code = '') {
    const forgotten: string[] = [];
    const write = (line: string) => logged.push(JSON.parse(line) as (typeof logged)[number]);
    await new CleanUp({
      layout,
      bounds: { ...bounds, ...more },
      open: () => running.map((path) => open(path, code)),
      forget: (dir) => forgotten.push(dir),
      nowMs: () => NOW_MS,
      log: pino({}, { write }),
    }).run();
    return forgotten;
  }

  it('removes attempts that ended long ago, with the folders that are empty then', async () => {
    const old = ended('t1', { days: 8 });
    const young = ended('t2', { days: 6 });
    const ofBefore = [9, 5].map((days) => ended(`t${days}0`, { days, old: true }));
    mkdirSync(join(layout.removedDir, 'half'), { recursive: true });
    // Its removal was interrupted.
    const left = ended('t3', { days: 1 });
    rmSync(attemptFiles(left).spool);
    expect(await clean()).toEqual([left, ofBefore[0], old]);
    const gone = [left, old, attemptFiles(old).spool, dirname(ofBefore[0]!)];
    expect(gone.map((path) => existsSync(path))).toEqual([false, false, false, false]);
    const stays = [young, attemptFiles(young).spool, ofBefore[1]!];
    expect(stays.map((path) => existsSync(path))).toEqual([true, true, true]);
    expect(readdirSync(layout.removedDir)).toEqual([]);
  });

  it('removes what an earlier service was fetching, and nothing that is being fetched', async () => {
    for (const name of ['old', 'new']) {
      mkdirSync(join(layout.fetchedDir, name), { recursive: true });
      writeFileSync(join(layout.fetchedDir, name, 'part'), 'x');
    }
    age(join(layout.fetchedDir, 'old'), 0.1);
    age(join(layout.fetchedDir, 'new'), 0);
    await clean();
    expect(readdirSync(layout.fetchedDir)).toEqual(['new']);
  });

  it('removes code that was not run for long, but not what an open attempt runs', async () => {
    for (const name of ['old', 'young', 'open']) {
      mkdirSync(join(layout.codeDir(name), 'lib'), { recursive: true });
      writeFileSync(join(layout.codeDir(name), 'lib', 'x.py'), 'x');
      age(layout.codeDir(name), name === 'young' ? 6 : 8);
    }
    const running = ended('t1', { days: 99, complete: false });
    await clean({}, [running], layout.codeDir('open'));
    expect(readdirSync(layout.codeFoldersDir).sort()).toEqual(['open', 'young']);
  });

  it('removes none that is open, or whose end is not acknowledged', async () => {
    const running = ended('t1', { days: 99 });
    const unheard = [false, true].map((old) => ended(`t${old ? 2 : 3}`, { days: 99, complete: false, old }));
    expect(await clean({ keepAttemptsBytes: 0 }, [running])).toEqual([]);
    expect([running, ...unheard].map((dir) => existsSync(attemptFiles(dir).spool))).toEqual([
      true,
      true,
      true,
    ]);
    expect(logged.map(({ msg }) => msg)).toEqual([expect.stringContaining('take more of the disk')]);
  });

  it('removes the oldest while all take too much, but not what a coordinator may ask for again', async () => {
    const [oldest, ...others] = [3, 2, 1, 0.01].map((days) => ended(`t${days * 100}`, { days, kib: 10 }));
    expect(await clean({ keepAttemptsBytes: 35 * KIB })).toEqual([oldest]);
    expect(others.map((dir) => existsSync(dir))).toEqual([true, true, true]);
    expect(await clean({ keepAttemptsBytes: 0 })).toEqual(others.slice(0, 2));
    expect(existsSync(others[2]!)).toBe(true);
  });

  it('knows the checkpoints of an attempt that it has removed', async () => {
    const path = checkpoint('t1', { days: 8 });
    const line = { type: 'checkpoint', epoch: 3, path };
    const spool = `${JSON.stringify({ atUnixMs: 1, monotonicMs: 1, line })}\n`;
    ended('t1', { days: 8, spool });
    ended('t1', { days: 8, attempt: 2 });
    expect(await clean()).toHaveLength(2);
    expect(findCheckpoint(layout, 'l', key('t1', 3), 'replay', '1/3').path).toBe(path);
    expect(findCheckpoint(layout, 'l', key('t1', 3), 'replay', '1/2').path).toBeNull();
  });

  it('removes checkpoints only where there are too many bytes of them, of trials long not trained, aloud', async () => {
    const paths = ['t1', 't2', 't3', 't4'].map((trial, index) =>
      checkpoint(trial, { days: 30 - index, kib: 10 }),
    );
    const young = checkpoint('t5', { days: 13, kib: 10 });
    // The trial's next attempt, which runs and has said nothing for long.
    const running = ended('t1', { days: 20, complete: false, attempt: 2 });
    // This one was trained again without a checkpoint.
    ended('t2', { days: 5 });
    const left = () => [...paths, young].map((path) => existsSync(path));
    await clean({}, [running]);
    expect(left()).toEqual([true, true, true, true, true]);
    await clean({ keepCheckpointsBytes: 0 }, [running]);
    expect(left()).toEqual([true, true, false, false, true]);
    expect(logged.flatMap(({ trial }) => trial ?? [])).toEqual(['l/s/t3', 'l/s/t4']);
  });
});
