/**
 * Where a trainer keeps what it must not forget. Everything lies under `<data>/trainers/<trainerId>/`:
 *
 *   service.json                    the service that uses this folder: instance, pid, start time
 *   power.jsonl                     what the meter knows, while something trains
 *   power-limits.json               what the power limits of GPUs were that attempts have changed
 *   fence.json                      highest term seen of each ledger
 *   slots/<slot>/                   slot.json (how to reach the slot's supervisor), its socket and its log
 *   attempts/<ledger>/<sweep>/<trial>/<attempt>/
 *     attempt.json                  what was accepted; written before StartAttempt is answered
 *     run.json                      the runner that has it and when it got it, by the supervisor
 *     spool.jsonl                   what the runner said, a record a line; the line's number names the fact
 *     published.json                last spool line that NATS has acknowledged
 *     exit.json                     how the process ended; its presence means that the attempt is over
 *     output.log                    the program's own stdout and stderr, bounded; none when it printed nothing; while it
 *                                   runs, `output.log.<k>` are its newest parts
 *     work/                         working folder of the program
 *   attempts/<ledger>/<sweep>/<trial>/checkpoints.jsonl
 *                                   what attempts that have been removed here said of their checkpoints
 *   removed/                        what is being removed
 *   fetched/                        a checkpoint, or code, that is on its way from NATS
 *   code/<sha256>/                  code that sweeps ship, for all attempts that run it
 *   checkpoints/<ledger>/<sweep>/<trial>/   follows the trial to its next attempt
 *
 * The ledger stands in the path because a new ledger may use the same sweep and trial names again. So may one that was
 * restored from an older copy: a folder of a trial is named `t0007.TERM` by the id of the term that made the trial, one of
 * an attempt `2.TERM` by that of the term that assigned it; without the point where the coordinator told no ids.
 */
import { join } from 'node:path';
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
  attemptDir(ledgerId: string, key: AttemptKey): string;
  checkpointDir(ledgerId: string, key: Pick<AttemptKey, 'sweepId' | 'trialId' | 'trialTermId'>): string;
}

export function trainerLayout(dataDir: string, trainerId: string): TrainerLayout {
  const root = join(dataDir, 'trainers', trainerId);
  return {
    root,
    serviceFile: join(root, 'service.json'),
    fenceFile: join(root, 'fence.json'),
    powerFile: join(root, 'power.jsonl'),
    limitsFile: join(root, 'power-limits.json'),
    slotsDir: join(root, 'slots'),
    attemptsDir: join(root, 'attempts'),
    checkpointsDir: join(root, 'checkpoints'),
    removedDir: join(root, 'removed'),
    fetchedDir: join(root, 'fetched'),
    codeFoldersDir: join(root, 'code'),
    codeDir: (sha256) => join(root, 'code', sha256),
    slotDir: (slotId) => join(root, 'slots', slotId),
    attemptDir: (ledgerId, key) =>
      join(
        root,
        'attempts',
        ledgerId,
        key.sweepId,
        trialFolder(key),
        ofTerm(String(key.attempt), key.termId),
      ),
    checkpointDir: (ledgerId, key) => join(root, 'checkpoints', ledgerId, key.sweepId, trialFolder(key)),
  };
}

const ofTerm = (name: string, termId = ''): string => (termId === '' ? name : `${name}.${termId}`);

const trialFolder = ({ trialId, trialTermId }: Pick<AttemptKey, 'trialId' | 'trialTermId'>): string =>
  ofTerm(trialId, trialTermId);

/** Files of one attempt. Asked for many times in a short trial: put together, not joined. */
export const attemptFiles = (dir: string) =>
  ({
    attempt: `${dir}/attempt.json`,
    run: `${dir}/run.json`,
    spool: `${dir}/spool.jsonl`,
    published: `${dir}/published.json`,
    exit: `${dir}/exit.json`,
    output: `${dir}/output.log`,
    work: `${dir}/work`,
  }) as const;

/** Files of one slot. The socket lies elsewhere when its path would be too long for the kernel. */
export const slotFiles = (dir: string) =>
  ({
    slot: join(dir, 'slot.json'),
    socket: join(dir, 'supervisor.sock'),
    log: join(dir, 'supervisor.log'),
  }) as const;
