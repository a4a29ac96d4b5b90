/** Attempts on the disk: written before they are acknowledged, found again after a restart, ended by hand when nobody else can. */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { monotonicMs } from '../host/clock.js';
import { appendWhole, dropHalfLine, syncToDisk, writeJsonSync } from '../host/files.js';
import { attemptDirsOf, attemptFiles, sweepDirsOf, type TrainerLayout } from '../layout.js';
import { encodeLine, type AttemptKey, type RunnerLine } from '../protocol/runner.js';
import { Attempt } from './attempt.js';
import { readBeginning } from './beginning.js';
import { publishedOf } from './published.js';
import { noteLine, spoolLine, type AcceptedAttempt } from './record.js';

type EndLine = Extract<RunnerLine, { type: 'end' }>;

export class AttemptStore {
  /** Attempts that version 0.1 accepted lie here. */
  #hasFormer = true;

  constructor(private readonly layout: TrainerLayout) {}

  /**
   * Writes the attempt: it is known from now on, whichever process is killed. A loss of power may still take it, and with
   * it all that ran here; see {@link makeDurable}.
   */
  create(accepted: AcceptedAttempt): Attempt {
    const dir = this.layout.attemptDir(accepted.ledgerId, accepted.spec.key);
    const fd = openNew(attemptFiles(dir).spool);
    try {
      writeFileSync(fd, noteLine({ type: 'accepted', attempt: accepted }));
    } finally {
      closeSync(fd);
    }
    return new Attempt(dir, accepted);
  }

  /** Writes down that the attempt goes on from a checkpoint that has come. */
  resumeFrom(attempt: Attempt, path: string, wantedEpoch: number): void {
    const { accepted } = attempt;
    attempt.accepted = {
      ...accepted,
      attemptEnvironment: {
        ...accepted.attemptEnvironment,
        WATTSWEEP_RESUME_EPOCH: String(wantedEpoch),
      },
      spec: { ...accepted.spec, resumeFrom: path },
    };
    const { accepted: file, spool } = attempt.files;
    if (file !== spool) writeJsonSync(file, attempt.accepted);
    else appendWhole(spool, noteLine({ type: 'accepted', attempt: attempt.accepted }));
  }

  /** What a service that was killed has half written goes, before a supervisor writes behind it. */
  mend({ files: { spool } }: Attempt): void {
    dropHalfLine(spool);
  }

  /** Waits for the disk: an attempt that lasts is to be known after a loss of power, too. */
  async makeDurable(attempt: Attempt): Promise<void> {
    const { accepted } = attempt.files;
    for (const path of [accepted, dirname(accepted)]) await syncToDisk(path);
  }

  /** The attempt of that name; null when none was accepted here. */
  find(ledgerId: string, key: AttemptKey): Attempt | null {
    const { layout } = this;
    const found = this.#load(layout.attemptDir(ledgerId, key));
    // Where none was found at the start, none comes.
    return found ?? (this.#hasFormer ? this.#load(layout.formerAttemptDir(ledgerId, key)) : null);
  }

  #load(dir: string): Attempt | null {
    const files = attemptFiles(dir);
    const beginning = readBeginning(files);
    return beginning === null ? null : new Attempt(dir, beginning.accepted, publishedOf(files));
  }

  /** Every attempt on this box, in the order in which they were accepted. */
  loadAll(): readonly Attempt[] {
    const attempts = sweepDirsOf(this.layout.attemptsDir)
      .flatMap(attemptDirsOf)
      .flatMap((dir) => this.#load(dir) ?? []);
    this.#hasFormer = attempts.some(({ files }) => files.accepted !== files.spool);
    return attempts.sort((a, b) => a.accepted.acceptedAtUnixMs - b.accepted.acceptedAtUnixMs);
  }

  /** Writes the end of an attempt that has no supervisor (any more). */
  writeEnd(attempt: Attempt, end: Omit<EndLine, 'type'>): void {
    mkdirSync(dirname(attempt.files.spool), { recursive: true });
    // A supervisor that was killed may have left half a line.
    appendWhole(
      attempt.files.spool,
      spoolLine(Date.now(), monotonicMs(), encodeLine({ type: 'end', ...end })),
    );
    attempt.isEndWritten = true;
  }
}

/** A file that is made now. Half a line in its place is of a service that was killed before it had accepted. */
function openNew(path: string): number {
  for (;;) {
    try {
      return openSync(path, 'ax');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true });
      else if (code === 'EEXIST' && !readFileSync(path).includes(10)) rmSync(path);
      else throw error;
    }
  }
}
