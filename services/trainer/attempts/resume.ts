/** Finds the checkpoint from which an attempt goes on, among those that lie on this box. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  attemptDirsOfTrial,
  attemptFiles,
  attemptNumber,
  trialDirOf,
  type TrainerLayout,
} from '../layout.js';
import { encodeLine, type AttemptKey } from '../protocol/runner.js';
import { spoolLine, type SpoolRecord, type WantedCheckpoint } from './record.js';
import { SpoolReader } from './spool-reader.js';

/** In a trial's folder: what its attempts said of checkpoints, of those whose own folders have been removed. */
export const REMEMBERED_CHECKPOINTS = 'checkpoints.jsonl';

export interface ResumePoint {
  /** Folder of the checkpoint, or null: the trial begins anew. */
  readonly path: string | null;
  /** Why, for the log. */
  readonly reason: string;
  /** A better one that another box may have put into NATS; null when none could be better. */
  readonly elsewhere: WantedCheckpoint | null;
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
  if (wanted === '') return { path: null, reason: 'a fresh start', elsewhere: null };
  const epoch = Number(/^\d+\/(\d+)$/.exec(wanted)?.[1] ?? NaN);
  const folder = layout.checkpointDir(ledgerId, key);
  const isAny = { epoch, beyond: { epoch: 0 } };
  if (!existsSync(folder) || readdirSync(folder).length === 0)
    return {
      path: null,
      reason: `no checkpoint of ${wanted} on this box: from the first epoch`,
      elsewhere: isAny,
    };
  const written = checkpointsOf(layout, ledgerId, key);
  // A program of the command recipe keeps its own order in the folder and does not say what it wrote.
  if (recipe === 'command')
    return {
      path: folder,
      reason: 'the checkpoint folder of the trial',
      elsewhere: { epoch, beyond: { attempt: lastAttemptHere(layout, ledgerId, key) } },
    };
  const usable = [...written]
    .filter(([path, at]) => at <= epoch && existsSync(path))
    // Of one epoch the earliest, at its very end: the next is then trained in full, and has whole seconds and joules.
    .sort(([pathA, a], [pathB, b]) => b - a || (pathA < pathB ? -1 : 1))[0];
  return usable === undefined
    ? {
        path: null,
        reason: `the checkpoints on this box are not of ${wanted} or before: from the first epoch`,
        elsewhere: isAny,
      }
    : {
        path: usable[0],
        reason: `checkpoint of epoch ${String(usable[1])}`,
        elsewhere: usable[1] === epoch ? null : { epoch, beyond: { epoch: usable[1] } },
      };
}

/** Number of the trial's last attempt before this one that ran on this box; 0 when nothing of it is left. */
const lastAttemptHere = (layout: TrainerLayout, ledgerId: string, key: AttemptKey): number =>
  Math.max(0, ...earlierAttempts(layout, ledgerId, key).map(attemptNumber));

const earlierAttempts = (layout: TrainerLayout, ledgerId: string, key: AttemptKey): readonly string[] =>
  attemptDirsOfTrial(layout.trialDir(ledgerId, key)).filter((dir) => attemptNumber(dir) < key.attempt);

/** A checkpoint that has come from another box stands beside those that attempts of this one told of. */
export function rememberCheckpoint(
  layout: TrainerLayout,
  ledgerId: string,
  key: AttemptKey,
  epoch: number,
  path: string,
): void {
  const trialDir = layout.trialDir(ledgerId, key);
  mkdirSync(trialDir, { recursive: true });
  const line = encodeLine({ type: 'checkpoint', epoch, path });
  appendFileSync(join(trialDir, REMEMBERED_CHECKPOINTS), spoolLine(Date.now(), 0, line));
}

/** Checkpoints that earlier attempts reported, with their epochs. */
function checkpointsOf(
  layout: TrainerLayout,
  ledgerId: string,
  key: AttemptKey,
): ReadonlyMap<string, number> {
  const written = new Map<string, number>();
  const remembered = join(layout.trialDir(ledgerId, key), REMEMBERED_CHECKPOINTS);
  const spools = earlierAttempts(layout, ledgerId, key).map((dir) => attemptFiles(dir).spool);
  for (const spool of [remembered, ...spools])
    for (const { line } of reportedIn(spool)) written.set(line.path, line.epoch);
  return written;
}

/** Before an attempt goes: what its spool says of checkpoints that lie on this box still is kept in the trial's folder. */
export function rememberCheckpoints(attemptDir: string): void {
  const remembered = join(trialDirOf(attemptDir), REMEMBERED_CHECKPOINTS);
  const lines = new Map<string, string>();
  for (const spool of [remembered, attemptFiles(attemptDir).spool])
    for (const { atUnixMs, monotonicMs, line } of reportedIn(spool))
      if (existsSync(line.path)) lines.set(line.path, spoolLine(atUnixMs, monotonicMs, encodeLine(line)));
  if (lines.size === 0) return;
  mkdirSync(dirname(remembered), { recursive: true });
  writeFileSync(`${remembered}.new`, [...lines.values()].join(''));
  renameSync(`${remembered}.new`, remembered);
}

type CheckpointRecord = SpoolRecord & { readonly line: { readonly type: 'checkpoint' } };

const isCheckpoint = (record: SpoolRecord | null): record is CheckpointRecord =>
  record?.line.type === 'checkpoint';

function reportedIn(spool: string): readonly CheckpointRecord[] {
  const reported: CheckpointRecord[] = [];
  const reader = new SpoolReader(spool);
  do for (const { record } of reader.read()) if (isCheckpoint(record)) reported.push(record);
  while (reader.hasMore);
  reader.close();
  return reported;
}
