/** Finds the checkpoint from which an attempt goes on, among those that lie on this box. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { attemptFiles, type TrainerLayout } from '../layout.js';
import type { AttemptKey } from '../protocol/runner.js';
import { SpoolReader } from './spool-reader.js';

export interface ResumePoint {
  /** Folder of the checkpoint, or null: the trial begins anew. */
  readonly path: string | null;
  /** Why, for the log. */
  readonly reason: string;
}

/**
 * `wanted` is `ATTEMPT/EPOCH`: the newest epoch that the ledger has. A newer checkpoint is not taken, because the epochs
 * between would be missing from the ledger for good.
 */
export function findCheckpoint(
  layout: TrainerLayout,
  ledgerId: string,
  key: AttemptKey,
  recipe: string,
  wanted: string,
): ResumePoint {
  if (wanted === '') return { path: null, reason: 'a fresh start' };
  const epoch = Number(/^\d+\/(\d+)$/.exec(wanted)?.[1] ?? NaN);
  const folder = layout.checkpointDir(ledgerId, key);
  if (!existsSync(folder) || readdirSync(folder).length === 0)
    return { path: null, reason: `no checkpoint of ${wanted} on this box: from the first epoch` };
  const written = checkpointsOf(layout, ledgerId, key);
  // A program of the command recipe keeps its own order in the folder and does not say what it wrote.
  if (recipe === 'command') return { path: folder, reason: 'the checkpoint folder of the trial' };
  const usable = [...written]
    .filter(([path, at]) => at <= epoch && existsSync(path))
    // Of one epoch the earliest, at its very end: the next is then trained in full, and has whole seconds and joules.
    .sort(([pathA, a], [pathB, b]) => b - a || (pathA < pathB ? -1 : 1))[0];
  return usable === undefined
    ? {
        path: null,
        reason: `the checkpoints on this box are not of ${wanted} or before: from the first epoch`,
      }
    : { path: usable[0], reason: `checkpoint of epoch ${String(usable[1])}` };
}

/** Checkpoints that earlier attempts reported, with their epochs. */
function checkpointsOf(
  layout: TrainerLayout,
  ledgerId: string,
  key: AttemptKey,
): ReadonlyMap<string, number> {
  const written = new Map<string, number>();
  const trialDir = dirname(layout.attemptDir(ledgerId, key));
  const attempts = existsSync(trialDir) ? readdirSync(trialDir) : [];
  for (const attempt of attempts.filter((name) => Number(name) < key.attempt)) {
    const reader = new SpoolReader(attemptFiles(join(trialDir, attempt)).spool);
    do
      for (const { record } of reader.read())
        if (record?.line.type === 'checkpoint') written.set(record.line.path, record.line.epoch);
    while (reader.hasMore);
    reader.close();
  }
  return written;
}
