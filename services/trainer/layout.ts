/**
 * Where a trainer keeps what it must not forget. Everything lies under `<data>/trainers/<trainerId>/`:
 *
 *   service.json                    the service that uses this folder: instance, pid, start time
 *   power.jsonl                     what the meter knows, while something trains
 *   power-limits.json               what the power limits of GPUs were that attempts have changed
 *   fence.json                      highest term seen of each ledger
 *   slots/<slot>/                   slot.json (how to reach the slot's supervisor), its socket and its log
 *   attempts/<ledger>/<sweep>/<trials>~/<trial>~<attempt>.jsonl
 *                                   the spool: what was accepted, written before StartAttempt is answered; which runner has
 *                                   it; what the runner said, a record a line, the line's number names the fact; how it
 *                                   ended; at last that NATS has all of it. A short attempt has no other file
 *   attempts/<ledger>/<sweep>/<trials>~/<trial>~<attempt>/
 *     published.json                last spool line that NATS has acknowledged, of an attempt that goes on for a while
 *     output.log                    the program's own stdout and stderr, bounded; none when it printed nothing; while it
 *                                   runs, `output.log.<k>` are its newest parts
 *     work/                         working folder of the program
 *   attempts/<ledger>/<sweep>/<trial>/checkpoints.jsonl
 *                                   what attempts that have been removed here said of their checkpoints
 *   attempts/<ledger>/<sweep>/<trial>/<attempt>/
 *                                   an attempt that version 0.1 accepted: attempt.json, run.json, exit.json, spool.jsonl
 *                                   stand here, and what else an attempt's folder holds
 *   removed/                        what is being removed
 *   fetched/                        a checkpoint, or code, that is on its way from NATS
 *   code/<sha256>/                  code that sweeps ship, for all attempts that run it
 *   checkpoints/<ledger>/<sweep>/<trial>/   follows the trial to its next attempt
 *
 * The ledger stands in the path because a new ledger may use the same sweep and trial names again. So may one that was
 * restored from an older copy: a folder of a trial is named `t0007.TERM` by the id of the term that made the trial, one of
 * an attempt `2.TERM` by that of the term that assigned it; without the point where the coordinator told no ids. A hundred
 * trials, whose ids differ in the last two characters, share a folder `<trials>~`: making one costs more than a short
 * trial's file. No id holds a `~`.
 */
import { readdirSync, type Dirent } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AttemptKey } from './protocol/runner.js';

export interface TrainerLayout {
  readonly root: string;
  readonly serviceFile: string;
  readonly fenceFile: string;
  readonly powerFile: string;
  readonly limitsFile: string;
  readonly slotsDir: string;
  readonly attemptsDir: string;
  readonly checkpointsDir: string;
  readonly removedDir: string;
  readonly fetchedDir: string;
  readonly codeFoldersDir: string;
  /** @param sha256 of the packed folder, hexadecimal */
  codeDir(sha256: string): string;
  slotDir(slotId: string): string;
  /** Made when something is to lie there; {@link attemptFiles} lie in it and beside it. */
  attemptDir(ledgerId: string, key: AttemptKey): string;
  /** Where version 0.1 had it. */
  formerAttemptDir(ledgerId: string, key: AttemptKey): string;
  /** What is kept of a trial beside its attempts. */
  trialDir(ledgerId: string, key: TrialKey): string;
  checkpointDir(ledgerId: string, key: TrialKey): string;
}

type TrialKey = Pick<AttemptKey, 'sweepId' | 'trialId' | 'trialTermId'>;

export function trainerLayout(dataDir: string, trainerId: string): TrainerLayout {
  const root = join(dataDir, 'trainers', trainerId);
  const attemptsDir = join(root, 'attempts');
  const trialDir = (ledgerId: string, key: TrialKey): string =>
    `${attemptsDir}/${ledgerId}/${key.sweepId}/${trialFolder(key)}`;
  return {
    root,
    serviceFile: join(root, 'service.json'),
    fenceFile: join(root, 'fence.json'),
    powerFile: join(root, 'power.jsonl'),
    limitsFile: join(root, 'power-limits.json'),
    slotsDir: join(root, 'slots'),
    attemptsDir,
    checkpointsDir: join(root, 'checkpoints'),
    removedDir: join(root, 'removed'),
    fetchedDir: join(root, 'fetched'),
    codeFoldersDir: join(root, 'code'),
    codeDir: (sha256) => join(root, 'code', sha256),
    slotDir: (slotId) => join(root, 'slots', slotId),
    attemptDir: (ledgerId, key) =>
      `${trialsDir(trialDir(ledgerId, key))}/${trialFolder(key)}~${ofTerm(String(key.attempt), key.termId)}`,
    formerAttemptDir: (ledgerId, key) =>
      `${trialDir(ledgerId, key)}/${ofTerm(String(key.attempt), key.termId)}`,
    trialDir,
    checkpointDir: (ledgerId, key) => join(root, 'checkpoints', ledgerId, key.sweepId, trialFolder(key)),
  };
}

const ofTerm = (name: string, termId = ''): string => (termId === '' ? name : `${name}.${termId}`);

const trialFolder = ({ trialId, trialTermId }: Pick<AttemptKey, 'trialId' | 'trialTermId'>): string =>
  ofTerm(trialId, trialTermId);

/** The folder that the trial's attempts share with those of others. */
const trialsDir = (trialDir: string): string => {
  const [trialId = ''] = basename(trialDir).split('.', 1);
  return `${dirname(trialDir)}/${trialId.slice(0, -2)}~`;
};

const SPOOL = '.jsonl';

export interface AttemptFiles {
  /** What was accepted: the spool itself, or a file of its own where version 0.1 accepted it. */
  readonly accepted: string;
  /** By supervisors of version 0.1; null where they cannot have had it. */
  readonly run: string | null;
  readonly spool: string;
  readonly published: string;
  readonly output: string;
  readonly work: string;
}

/** Files of one attempt. Asked for many times in a short trial: put together, not joined. */
export function attemptFiles(dir: string): AttemptFiles {
  const inIt = { published: `${dir}/published.json`, output: `${dir}/output.log`, work: `${dir}/work` };
  if (dir.lastIndexOf('~') < dir.lastIndexOf('/'))
    return {
      accepted: `${dir}/attempt.json`,
      run: `${dir}/run.json`,
      spool: `${dir}/spool.jsonl`,
      ...inIt,
    };
  const spool = dir + SPOOL;
  return { accepted: spool, run: null, spool, ...inIt };
}

/** The folders `attempts/<ledger>/<sweep>`. Errors: those of the file system, but for folders that are not there. */
export const sweepDirsOf = (attemptsDir: string): readonly string[] =>
  foldersIn(attemptsDir)
    .map((ledger) => join(attemptsDir, ledger))
    .flatMap((ledger) => foldersIn(ledger).map((sweep) => join(ledger, sweep)));

/** Folders of all attempts of a sweep, made or not, of whichever version. Errors as of {@link sweepDirsOf}. */
export function attemptDirsOf(sweepDir: string): readonly string[] {
  return foldersIn(sweepDir).flatMap((name) =>
    name.endsWith('~')
      ? attemptsIn(join(sweepDir, name))
      : foldersIn(join(sweepDir, name)).map((attempt) => join(sweepDir, name, attempt)),
  );
}

/** Folders of all attempts of the trial that `trialDir` names. Errors as of {@link sweepDirsOf}. */
export function attemptDirsOfTrial(trialDir: string): readonly string[] {
  const prefix = `${basename(trialDir)}~`;
  return [
    ...foldersIn(trialDir).map((attempt) => join(trialDir, attempt)),
    ...attemptsIn(trialsDir(trialDir)).filter((dir) => basename(dir).startsWith(prefix)),
  ];
}

/** The folder of the trial whose attempt that is. */
export function trialDirOf(attemptDir: string): string {
  const parent = dirname(attemptDir);
  if (!parent.endsWith('~')) return parent;
  const [trialFolder = ''] = basename(attemptDir).split('~', 1);
  return join(dirname(parent), trialFolder);
}

/** Number of the attempt with that folder. */
export const attemptNumber = (dir: string): number => {
  const name = basename(dir);
  return Number.parseInt(name.slice(name.indexOf('~') + 1), 10);
};

/** A folder without a spool is what is left of an attempt that was being removed: it is named, too. */
const attemptsIn = (trialsDir: string): readonly string[] => [
  ...new Set(
    namesIn(trialsDir)
      .filter(({ name }) => name.includes('~'))
      .map(({ name }) => join(trialsDir, name.endsWith(SPOOL) ? name.slice(0, -SPOOL.length) : name)),
  ),
];

const foldersIn = (dir: string): readonly string[] =>
  namesIn(dir).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

function namesIn(dir: string): readonly Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Files of one slot. The socket lies elsewhere when its path would be too long for the kernel. */
export const slotFiles = (dir: string) =>
  ({
    slot: join(dir, 'slot.json'),
    socket: join(dir, 'supervisor.sock'),
    log: join(dir, 'supervisor.log'),
  }) as const;
