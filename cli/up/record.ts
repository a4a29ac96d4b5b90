/**
 * `up.json` in the data folder: what `up` started, and where. Other commands find the coordinator by it; the next `up`
 * finds what a killed one left. `up.lock` beside it says which `up` owns the folder.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WattsweepError } from '../../proto/errors.js';
import { type ProcessIdentity, identify, isAlive } from './process-identity.js';

const processSchema = z.object({ pid: z.number().int().positive(), start: z.string() });

const recordSchema = z.object({
  version: z.literal(1),
  up: processSchema,
  startedAt: z.string(),
  natsUrl: z.string(),
  grpcAddress: z.string(),
  httpAddress: z.string(),
  token: z.string().nullable(),
  services: z.array(processSchema.extend({ name: z.string() })),
});

export type UpRecord = z.infer<typeof recordSchema>;

const recordPath = (dataDir: string): string => join(dataDir, 'up.json');
const lockPath = (dataDir: string): string => join(dataDir, 'up.lock');

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** What `up` wrote in this folder, or null when there is nothing readable. */
export function readUpRecord(dataDir: string): UpRecord | null {
  return recordSchema.safeParse(readJson(recordPath(dataDir))).data ?? null;
}

/** Replaced as a whole, so that nobody reads half of it. Holds the join token: for the owner only. */
export function writeUpRecord(dataDir: string, record: UpRecord): void {
  const draft = `${recordPath(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, recordPath(dataDir));
}

export function removeUpRecord(dataDir: string): void {
  rmSync(recordPath(dataDir), { force: true });
}

export interface Lock {
  release(): void;
}

/**
 * Owns the data folder until released.
 * @throws ALREADY_RUNNING when another living `up` does.
 */
export function lockDataDir(dataDir: string): Lock {
  mkdirSync(dataDir, { recursive: true });
  const path = lockPath(dataDir);
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(identify(process.pid)));
  try {
    for (let round = 0; round < 5; round += 1) {
      if (tryLink(draft, path)) return { release: () => rmSync(path, { force: true }) };
      const holder = processSchema.safeParse(readJson(path)).data;
      if (holder && isAlive(holder)) throw alreadyRunning(dataDir, holder);
      discard(path, dataDir);
    }
    throw new WattsweepError('ALREADY_RUNNING', `several \`wattsweep up\` want ${dataDir} at the same time`);
  } finally {
    rmSync(draft, { force: true });
  }
}

function alreadyRunning(dataDir: string, holder: ProcessIdentity): WattsweepError {
  return new WattsweepError(
    'ALREADY_RUNNING',
    `\`wattsweep up\` already runs on ${dataDir} (process ${holder.pid})`,
    {
      advice:
        'Submit to it with `wattsweep submit`, end it with Ctrl-C, or give this one another --data folder.',
    },
  );
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes a dead holder's lock away. Moved first: of two who see it, one moves it, and what was moved is looked at again. */
function discard(path: string, dataDir: string): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const moved = processSchema.safeParse(readJson(aside)).data;
  const living = moved && isAlive(moved);
  if (living) tryLink(aside, path);
  unlinkSync(aside);
  if (living) throw alreadyRunning(dataDir, moved);
}
