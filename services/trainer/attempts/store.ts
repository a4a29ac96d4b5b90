/** Attempts on the disk: written before they are acknowledged, found again after a restart, ended by hand when nobody else can. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicMs } from '../host/clock.js';
import { readJsonSync, syncToDisk, writeJsonSync } from '../host/files.js';
import { attemptFiles, type TrainerLayout } from '../layout.js';
import { encodeLine, type RunnerLine } from '../protocol/runner.js';
import { Attempt } from './attempt.js';
import { spoolLine, type AcceptedAttempt, type ExitRecord } from './record.js';

type EndLine = Extract<RunnerLine, { type: 'end' }>;

export class AttemptStore {
  constructor(private readonly layout: TrainerLayout) {}

  /**
   * Writes the attempt: it is known from now on, whichever process is killed. A loss of power may still take it, and with
   * it all that ran here; see {@link makeDurable}.
   */
  create(accepted: AcceptedAttempt): Attempt {
    const dir = this.layout.attemptDir(accepted.ledgerId, accepted.spec.key);
    mkdirSync(dir, { recursive: true });
    writeJsonSync(attemptFiles(dir).attempt, accepted);
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
    writeJsonSync(attempt.files.attempt, attempt.accepted);
  }

  /** Waits for the disk: an attempt that lasts is to be known after a loss of power, too. */
  async makeDurable(attempt: Attempt): Promise<void> {
    for (const path of [attempt.files.attempt, attempt.dir]) await syncToDisk(path);
  }

  /** The attempt in a folder, or null when none was accepted there. */
  load(dir: string): Attempt | null {
    const accepted = readJsonSync(attemptFiles(dir).attempt) as AcceptedAttempt | undefined;
    return accepted?.version === 1 ? new Attempt(dir, accepted) : null;
  }

  /** Every attempt on this box, in the order in which they were accepted. */
  loadAll(): readonly Attempt[] {
    const attempts: Attempt[] = [];
    const descend = (dir: string, levels: number): void => {
      if (!existsSync(dir)) return;
      for (const entry of readdirSync(dir, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const path = join(dir, entry.name);
        const attempt = levels === 0 ? this.load(path) : null;
        if (attempt !== null) attempts.push(attempt);
        if (levels > 0) descend(path, levels - 1);
      }
    };
    // ledger / sweep / trial / attempt
    descend(this.layout.attemptsDir, 3);
    return attempts.sort((a, b) => a.accepted.acceptedAtUnixMs - b.accepted.acceptedAtUnixMs);
  }

  /** Writes the end of an attempt that has no supervisor (any more): the spool's last line and the exit record. */
  writeEnd(attempt: Attempt, end: Omit<EndLine, 'type'>): void {
    const atUnixMs = Date.now();
    mkdirSync(attempt.dir, { recursive: true });
    dropHalfLine(attempt.files.spool);
    appendFileSync(
      attempt.files.spool,
      spoolLine(atUnixMs, monotonicMs(), encodeLine({ type: 'end', ...end })),
    );
    this.writeExit(attempt, end.class, atUnixMs);
  }

  writeExit(attempt: Attempt, endClass: ExitRecord['class'], atUnixMs: number): void {
    const record: ExitRecord = {
      code: null,
      signal: null,
      class: endClass,
      endedAtUnixMs: atUnixMs,
      leftovers: 0,
    };
    writeJsonSync(attempt.files.exit, record);
  }
}

/** A supervisor that was killed may have left half a line. */
function dropHalfLine(path: string): void {
  if (!existsSync(path)) return;
  const content = readFileSync(path);
  const whole = content.lastIndexOf(10) + 1;
  if (whole < content.length) truncateSync(path, whole);
}
