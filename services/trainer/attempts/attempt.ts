/** One attempt as the service knows it: what was accepted, where it stands, and how far its facts have been published. */
import { appendFileSync, mkdirSync } from 'node:fs';
import type { AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { dropHalfLine, readJsonSync, writeJsonSync } from '../host/files.js';
import { attemptFiles, type AttemptFiles } from '../layout.js';
import type { StopMode } from '../protocol/runner.js';
import { NOTHING_PUBLISHED, type Published } from './published.js';
import {
  attemptId,
  attemptName,
  noteLine,
  type AcceptedAttempt,
  type NoteLine,
  type RunRecord,
} from './record.js';

/** Short, because what a killed service has not noted is published again. */
const NOTE_AFTER_MS = 20;

export class Attempt {
  readonly id: string;
  readonly key: AttemptKey;
  readonly files: AttemptFiles;
  phase = AttemptPhase.STARTING;
  /** How this service has asked it to end; null when it has not. */
  stopMode: StopMode | null = null;
  /** Last epoch reported; 0 before the first. */
  epoch: number;
  /** Last spool line that NATS has acknowledged; 0 for none. */
  acknowledgedLine: number;
  /** True when the attempt is over and its last fact is acknowledged. */
  published: boolean;
  /** A supervisor has taken it up, as far as the spool has been read. */
  begun = false;
  /** This service has written how it ended, because nobody else could; the follower may not have read it yet. */
  isEndWritten = false;
  #run: RunRecord | null = null;
  #noting: NodeJS.Timeout | null = null;
  #isNoted = true;

  /** @param known how far an earlier service had published it; of one that has just been accepted, nothing */
  constructor(
    readonly dir: string,
    public accepted: AcceptedAttempt,
    private readonly known: Published | null = null,
  ) {
    const { sweepId, trialId, attempt, termId = '' } = accepted.spec.key;
    this.key = { sweepId, trialId, attempt, termId };
    this.id = attemptId(accepted.ledgerId, accepted.spec.key);
    this.files = attemptFiles(dir);
    const { line, epoch, completeAtUnixMs } = known ?? NOTHING_PUBLISHED;
    this.acknowledgedLine = line;
    this.epoch = epoch;
    this.published = completeAtUnixMs !== null;
    if (this.published) this.phase = AttemptPhase.ENDED;
  }

  /** `SWEEP/TRIAL#ATTEMPT`. */
  get name(): string {
    return attemptName(this.key);
  }

  get over(): boolean {
    return this.phase === AttemptPhase.ENDED;
  }

  /** The last runner that had it, as far as the spool has been read: the facts of an attempt are of that one. */
  get run(): RunRecord | null {
    const { run } = this.files;
    if (run !== null) this.#run ??= (readJsonSync(run) as RunRecord | undefined) ?? null;
    return this.#run;
  }

  /** The spool says that this runner has it. */
  givenTo(run: RunRecord): void {
    this.#run = run;
  }

  /**
   * Remembers that everything up to this spool line is in NATS: the end at once, the rest a moment later, together. A lost
   * memory makes duplicates, which are harmless.
   */
  acknowledge(line: number, complete: boolean): void {
    if (line <= this.acknowledgedLine) return;
    this.acknowledgedLine = line;
    this.published = complete;
    this.#isNoted = false;
    if (complete) this.noteAcknowledged();
    else this.#noting ??= setTimeout(() => this.noteAcknowledged(), NOTE_AFTER_MS).unref();
  }

  /** Writes what has been acknowledged, unless that stands there already. */
  noteAcknowledged(): void {
    if (this.#noting !== null) clearTimeout(this.#noting);
    this.#noting = null;
    if (this.#isNoted) return;
    try {
      if (this.published) this.#closeSpool();
      else this.#noteSoFar();
      this.#isNoted = true;
    } catch {
      // A full disk: the facts are published once more after a restart, which is harmless.
    }
  }

  #noteSoFar(): void {
    mkdirSync(this.dir, { recursive: true });
    writeJsonSync(this.files.published, { acknowledgedLine: this.acknowledgedLine, epoch: this.epoch });
  }

  /** Behind the end the spool is the service's: its last line spares a file. */
  #closeSpool(): void {
    const { spool } = this.files;
    const note: NoteLine = { type: 'acknowledged', upTo: this.acknowledgedLine, epoch: this.epoch };
    // An earlier service may have been cut off in this very line.
    if (this.known !== null) dropHalfLine(spool);
    try {
      appendFileSync(spool, noteLine(note));
    } catch (error) {
      dropHalfLine(spool);
      throw error;
    }
  }
}
