/**
 * Keeps the box's disk from filling up: removes attempts (spool, output) that are long over, code that has not been run
 * for as long, and checkpoints when there are too many bytes of them. What goes is chosen in policy.ts; here it is found
 * and removed.
 *
 * Never the folder of an attempt whose end NATS has not acknowledged, nor checkpoints of a trial with such an attempt. The
 * trainer does not know whether a trial may go on some day: age alone removes no checkpoint.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, rmdirSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Logger } from 'pino';
import type { Attempt } from '../attempts/attempt.js';
import { publishedOf } from '../attempts/published.js';
import { REMEMBERED_CHECKPOINTS, rememberCheckpoints } from '../attempts/resume.js';
import {
  attemptDirsOf,
  attemptDirsOfTrial,
  attemptFiles,
  sweepDirsOf,
  type TrainerLayout,
} from '../layout.js';
import { chooseRemoved, type Folder } from './policy.js';

export interface CleanUpBounds {
  /** Attempts that are over for longer go. */
  readonly keepAttemptsMs: number;
  /** All attempts together; beyond it the oldest go. */
  readonly keepAttemptsBytes: number;
  /** Checkpoints of trials that were trained here so recently stay, whatever their size. */
  readonly keepCheckpointsMs: number;
  /** All checkpoints together; beyond it those of the trials that were trained here longest ago go. */
  readonly keepCheckpointsBytes: number;
}

export interface CleanUpOptions {
  readonly layout: TrainerLayout;
  readonly bounds: CleanUpBounds;
  /** Attempts that run, are held, or whose end is not acknowledged. */
  readonly open: () => readonly Attempt[];
  /** The folder of an attempt is no longer there. */
  readonly forget: (attemptDir: string) => void;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** A coordinator may repeat its command for so long; the folder is what tells that it was done. */
const REPEATED_FOR_MS = 3_600_000;
/** What comes from NATS grows all the time; one that has not for so long has been given up. */
const HALF_STAYS_MS = 3_600_000;
const FIRST_AFTER_MS = 60_000;
const INTERVAL_MS = 3_600_000;
const MIB = 1024 * 1024;
const inMib = (bytes: number): number => Math.ceil(bytes / MIB);

export class CleanUp {
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(private readonly options: CleanUpOptions) {}

  /** Cleans up in a minute, then each hour. */
  start(afterMs = FIRST_AFTER_MS): void {
    this.#timer = setTimeout(() => {
      this.run()
        .catch((error: unknown) => this.options.log.warn({ err: error }, 'clean-up failed'))
        .finally(() => {
          if (!this.#closed) this.start(INTERVAL_MS);
        });
    }, afterMs).unref();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Cleans up once. What cannot be removed stays, and is told. Errors: those of the file system. */
  async run(): Promise<void> {
    const { removedDir, fetchedDir } = this.options.layout;
    // It stays: once the disk is full it could not be made.
    mkdirSync(removedDir, { recursive: true });
    // What an earlier service was removing when it was killed.
    for (const name of await readdir(removedDir))
      await rm(join(removedDir, name), { recursive: true, force: true }).catch(this.#told(name));
    // What it was fetching.
    for (const name of await readdir(fetchedDir).catch(noneIfUnseen([]))) {
      const half = join(fetchedDir, name);
      if (this.options.nowMs() - (await measure(half)).newestMs > HALF_STAYS_MS)
        await rm(half, { recursive: true, force: true }).catch(this.#told(name));
    }
    await this.#cleanAttempts();
    await this.#cleanCheckpoints();
    await this.#cleanCode();
  }

  async #cleanAttempts(): Promise<void> {
    const { layout, bounds, log } = this.options;
    const open = new Set(this.options.open().map(({ dir }) => dir));
    const folders: Folder[] = [];
    for (const path of sweepDirsOf(layout.attemptsDir).flatMap(attemptDirsOf)) {
      const { bytes } = await measureAttempt(path);
      const endedMs = completeAtUnixMs(path);
      folders.push({
        path,
        bytes,
        lastMs: endedMs ?? Infinity,
        isClosed: endedMs !== null && !open.has(path),
      });
    }
    const { removed, bytesLeft } = chooseRemoved(
      folders,
      {
        keepBytes: bounds.keepAttemptsBytes,
        staysForMs: Math.min(REPEATED_FOR_MS, bounds.keepAttemptsMs),
        goesAfterMs: bounds.keepAttemptsMs,
      },
      this.options.nowMs(),
    );
    for (const { path } of removed) {
      if (this.#closed) return;
      await this.#remove(partsOf(path), layout.attemptsDir, () => {
        rememberCheckpoints(path);
        this.options.forget(path);
      });
    }
    if (removed.length > 0)
      log.info({ attempts: removed.length, leftMib: inMib(bytesLeft) }, 'folders of ended attempts removed');
    if (bytesLeft > bounds.keepAttemptsBytes)
      log.warn(
        { attemptsMib: inMib(bytesLeft), keepMib: inMib(bounds.keepAttemptsBytes) },
        'attempts take more of the disk than they should: they are open, or have only just ended',
      );
  }

  async #cleanCheckpoints(): Promise<void> {
    const { layout, bounds, log } = this.options;
    const isOpen = (path: string): boolean =>
      this.options.open().some(({ accepted }) => accepted.spec.checkpointDir === path);
    // The layouts of trials and checkpoints are the same.
    const trialDirOf = (path: string): string =>
      join(layout.attemptsDir, relative(layout.checkpointsDir, path));
    const folders: Folder[] = [];
    for (const path of await foldersBelow(layout.checkpointsDir, 3)) {
      const { bytes, newestMs } = await measure(path);
      let lastMs = newestMs;
      for (const attempt of attemptDirsOfTrial(trialDirOf(path)))
        lastMs = Math.max(lastMs, (await measureAttempt(attempt)).newestMs);
      folders.push({ path, bytes, lastMs, isClosed: !isOpen(path) });
    }
    const { removed, bytesLeft } = chooseRemoved(
      folders,
      {
        keepBytes: bounds.keepCheckpointsBytes,
        staysForMs: bounds.keepCheckpointsMs,
        goesAfterMs: Infinity,
      },
      this.options.nowMs(),
    );
    for (const { path, bytes, lastMs } of removed) {
      // An attempt may have begun since.
      if (this.#closed || isOpen(path)) continue;
      const trial = relative(layout.checkpointsDir, path);
      log.warn(
        { trial, mib: inMib(bytes), lastUsed: new Date(lastMs).toISOString() },
        'checkpoints removed, because all together take too much of the disk: the trial would start anew on this box',
      );
      await this.#remove([path], layout.checkpointsDir);
      rmSync(join(trialDirOf(path), REMEMBERED_CHECKPOINTS), { force: true });
      removeEmpty(trialDirOf(path), layout.attemptsDir);
    }
    if (bytesLeft > bounds.keepCheckpointsBytes)
      log.warn(
        { checkpointsMib: inMib(bytesLeft), keepMib: inMib(bounds.keepCheckpointsBytes) },
        'checkpoints take more of the disk than they should: none more is old enough to go',
      );
  }

  /** Code of sweeps that have not run here for long: NATS has it. */
  async #cleanCode(): Promise<void> {
    const { layout, bounds, log } = this.options;
    const isOpen = (path: string): boolean =>
      this.options.open().some(({ accepted }) => accepted.spec.code?.dir === path);
    const folders: Folder[] = [];
    for (const path of await foldersBelow(layout.codeFoldersDir, 1)) {
      const { bytes } = await measure(path);
      folders.push({ path, bytes, lastMs: (await modifiedMs(path)) ?? 0, isClosed: !isOpen(path) });
    }
    const { removed, bytesLeft } = chooseRemoved(
      folders,
      {
        keepBytes: bounds.keepAttemptsBytes,
        staysForMs: REPEATED_FOR_MS,
        goesAfterMs: bounds.keepAttemptsMs,
      },
      this.options.nowMs(),
    );
    // An attempt may have begun since.
    for (const { path } of removed)
      if (!this.#closed && !isOpen(path)) await this.#remove([path], layout.codeFoldersDir);
    if (removed.length > 0)
      log.info(
        { folders: removed.length, leftMib: inMib(bytesLeft) },
        'code that was not run for long removed',
      );
  }

  /**
   * Each part is gone at once, whenever this process is killed: half a folder would be taken for an attempt that never ended.
   * What is left then is found by the next clean-up.
   */
  async #remove(parts: readonly string[], root: string, before: () => void = () => undefined): Promise<void> {
    const [first = ''] = parts;
    try {
      before();
      for (const part of parts) {
        const removed = join(this.options.layout.removedDir, randomUUID());
        renameSync(part, removed);
        await rm(removed, { recursive: true, force: true });
      }
      removeEmpty(dirname(first), root);
    } catch (error) {
      this.#told(first)(error);
    }
  }

  /** One folder that resists does not keep the others. */
  #told(path: string): (error: unknown) => void {
    return (error) => this.options.log.warn({ path, err: error }, 'cannot be removed');
  }
}

/** Removes the folder if it is empty, and then those above it, up to `root`, which stays. */
function removeEmpty(path: string, root: string): void {
  try {
    for (let folder = path; folder !== root; folder = dirname(folder)) rmdirSync(folder);
  } catch {
    // Not empty, or not there.
  }
}

/** All folders so many levels below `root`. */
async function foldersBelow(root: string, levels: number): Promise<readonly string[]> {
  if (levels === 0) return [root];
  const entries = await readdir(root, { withFileTypes: true }).catch(noneIfUnseen([]));
  const found: string[] = [];
  for (const entry of entries)
    if (entry.isDirectory()) found.push(...(await foldersBelow(join(root, entry.name), levels - 1)));
  return found;
}

/** Bytes of all files that a folder holds, and when something of it was last changed (0: nothing there). */
async function measure(path: string): Promise<{ readonly bytes: number; readonly newestMs: number }> {
  const stats = await lstat(path).catch(noneIfUnseen(null));
  if (stats === null) return { bytes: 0, newestMs: 0 };
  if (!stats.isDirectory()) return { bytes: stats.size, newestMs: stats.mtimeMs };
  let bytes = 0;
  let newestMs = stats.mtimeMs;
  for (const name of await readdir(path).catch(noneIfUnseen([]))) {
    const inner = await measure(join(path, name));
    bytes += inner.bytes;
    newestMs = Math.max(newestMs, inner.newestMs);
  }
  return { bytes, newestMs };
}

/** What there is of an attempt on the disk: first what makes it an attempt. */
const partsOf = (dir: string): readonly string[] => {
  const { spool } = attemptFiles(dir);
  return [...(dirname(spool) === dir ? [] : [spool]), dir].filter((path) => existsSync(path));
};

async function measureAttempt(dir: string): ReturnType<typeof measure> {
  let bytes = 0;
  let newestMs = 0;
  for (const part of partsOf(dir)) {
    const one = await measure(part);
    bytes += one.bytes;
    newestMs = Math.max(newestMs, one.newestMs);
  }
  return { bytes, newestMs };
}

/** When NATS had the attempt's end; null while it has not, or when that cannot be read. */
function completeAtUnixMs(dir: string): number | null {
  const files = attemptFiles(dir);
  try {
    // Its spool was removed when that was interrupted.
    const isLeft = files.accepted === files.spool && !existsSync(files.spool);
    return isLeft ? 0 : publishedOf(files).completeAtUnixMs;
  } catch (error) {
    return noneIfUnseen(null)(error);
  }
}

const modifiedMs = async (path: string): Promise<number | null> =>
  (await lstat(path).catch(noneIfUnseen(null)))?.mtimeMs ?? null;

const noneIfUnseen =
  <T>(none: T) =>
  (error: unknown): T => {
    if (['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return none;
    throw error;
  };
