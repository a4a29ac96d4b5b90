/** One attempt as the service knows it: what was accepted, where it stands, and how far its facts have been published. */
import { existsSync } from 'node:fs';
import type { AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { attemptFiles } from '../layout.js';
import type { StopMode } from '../protocol/runner.js';
import { attemptId, attemptName, type AcceptedAttempt, type RunRecord } from './record.js';

/** published.json */
interface PublishedRecord {
  readonly acknowledgedLine: number;
  /** Last epoch by then. */
  readonly epoch: number;
  /** The end is acknowledged, too. */
  readonly complete: boolean;
}

/** Short, because what a killed service has not noted is published again. */
const NOTE_AFTER_MS = 20;

export class Attempt {
  readonly id: string;
  readonly key: AttemptKey;
  readonly files: ReturnType<typeof attemptFiles>;
  phase = AttemptPhase.STARTING;
  /** How this service has asked it to end; null when it has not. */
  stopMode: StopMode | null = null;
  /** Last epoch reported; 0 before the first. */
  epoch = 0;
  /** Last spool line that NATS has acknowledged; 0 for none. */
  acknowledgedLine: number;
  #run: RunRecord | null = null;
  #noting: NodeJS.Timeout | null = null;
  #isNoted = true;

  constructor(
    readonly dir: string,
    public accepted: AcceptedAttempt,
  ) {
    const { sweepId, trialId, attempt, termId = '' } = accepted.spec.key;
    this.key = { sweepId, trialId, attempt, termId };
    this.id = attemptId(accepted.ledgerId, accepted.spec.key);
    this.files = attemptFiles(dir);
    const published = readJsonSync(this.files.published) as Partial<PublishedRecord> | undefined;
    this.acknowledgedLine = published?.acknowledgedLine ?? 0;
    this.epoch = published?.epoch ?? 0;
    this.published = published?.complete === true;
    if (this.published) this.phase = AttemptPhase.ENDED;
  }

  /** True when the attempt is over and its last fact is acknowledged. */
  published: boolean;

  /** `SWEEP/TRIAL#ATTEMPT`. */
  get name(): string {
    return attemptName(this.key);
  }

  get over(): boolean {
    return this.phase === AttemptPhase.ENDED;
  }

  /** The supervisor has written how it ended. */
  get hasExited(): boolean {
    return existsSync(this.files.exit);
  }

  /** A runner has been started for it. */
  get begun(): boolean {
    return existsSync(this.files.run) || existsSync(this.files.spool);
  }

  /** Kept once it is known: the facts of an attempt are of its last runner. */
  get run(): RunRecord | null {
    this.#run ??= (readJsonSync(this.files.run) as RunRecord | undefined) ?? null;
    return this.#run;
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
    const { acknowledgedLine, epoch, published: complete } = this;
    const record: PublishedRecord = { acknowledgedLine, epoch, complete };
    try {
      writeJsonSync(this.files.published, record);
      this.#isNoted = true;
    } catch {
      // A full disk: the facts are published once more after a restart, which is harmless.
    }
  }
}
