/** Takes a trial's checkpoint out of NATS, where another box has put it, and lays it among those of this box. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { WantedCheckpoint } from '../attempts/record.js';
import { rememberCheckpoint } from '../attempts/resume.js';
import type { TrainerLayout } from '../layout.js';
import type { CheckpointObjects, StoredCheckpoint, TrialName } from '../nats/checkpoint-objects.js';
import type { AttemptKey } from '../protocol/runner.js';
import { unpackFolder } from './pack.js';

export interface FetchOptions {
  readonly layout: TrainerLayout;
  readonly objects: () => CheckpointObjects | null;
  readonly log: Logger;
}

/** Names of folders as recipes give them. */
const FOLDER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/;

/** Whether a stored checkpoint is worth fetching. */
export const isUseful = (
  { attempt, epoch }: Pick<StoredCheckpoint, 'attempt' | 'epoch'>,
  wanted: WantedCheckpoint,
): boolean =>
  epoch > 0 &&
  epoch <= wanted.epoch &&
  ('epoch' in wanted.beyond ? epoch > wanted.beyond.epoch : attempt > wanted.beyond.attempt);

/**
 * The best one that is whole, in its place on this box's disk; null when the store has none that helps. Errors: those of
 * the client and of the disk, also when there are some that help and none could be had.
 */
export async function fetchCheckpoint(
  options: FetchOptions,
  trial: TrialName,
  key: AttemptKey,
  wanted: WantedCheckpoint,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly epoch: number } | null> {
  const objects = options.objects();
  if (objects === null) throw new Error('NATS has not been reached yet');
  const useful = (await objects.find(trial))
    .filter((stored) => stored.attempt < key.attempt && isUseful(stored, wanted))
    .sort((a, b) => b.epoch - a.epoch || b.attempt - a.attempt);
  let failure: Error | null = null;
  for (const stored of useful) {
    signal.throwIfAborted();
    try {
      const path = await take(options, objects, trial, key, stored, signal);
      return { path, epoch: stored.epoch };
    } catch (error) {
      if (signal.aborted) throw error;
      failure = error instanceof Error ? error : new Error(String(error));
      options.log.warn(
        { trial: key.trialId, epoch: stored.epoch, err: error },
        'a stored checkpoint is of no use',
      );
    }
  }
  if (failure !== null) throw failure;
  return null;
}

async function take(
  { layout }: FetchOptions,
  objects: CheckpointObjects,
  trial: TrialName,
  key: AttemptKey,
  stored: StoredCheckpoint,
  signal: AbortSignal,
): Promise<string> {
  const isWhole = stored.folder === '';
  if (!isWhole && !FOLDER.test(stored.folder)) throw new Error(`it has an odd name: ${stored.folder}`);
  for (const dir of [layout.removedDir, layout.fetchedDir]) mkdirSync(dir, { recursive: true });
  const half = join(layout.fetchedDir, randomUUID());
  try {
    await unpackFolder(half, objects.read(stored, signal));
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    throw error;
  }
  const folder = layout.checkpointDir(trial.ledgerId, key);
  const path = isWhole ? folder : join(folder, stored.folder);
  mkdirSync(join(path, '..'), { recursive: true });
  if (existsSync(path)) renameSync(path, join(layout.removedDir, randomUUID()));
  renameSync(half, path);
  if (!isWhole) rememberCheckpoint(layout, trial.ledgerId, key, stored.epoch, path);
  return path;
}
