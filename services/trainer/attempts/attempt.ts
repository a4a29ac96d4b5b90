/** One attempt as the service knows it: what was accepted, where it stands, and how far its facts have been published. */
import { existsSync } from 'node:fs';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { attemptFiles } from '../layout.js';
import type { AttemptKey } from '../protocol/runner.js';
import { attemptId, attemptName, type AcceptedAttempt, type RunRecord } from './record.js';

/** published.json */
interface PublishedRecord {
  readonly acknowledgedLine: number;
  /** Last epoch by then. */
  readonly epoch: number;
  /** The end is acknowledged, too. */
  readonly complete: boolean;
}

export class Attempt {
  readonly id: string;
  readonly key: AttemptKey;
  readonly files: ReturnType<typeof attemptFiles>;
  phase = AttemptPhase.STARTING;
  /** Last epoch reported; 0 before the first. */
  epoch = 0;
  /** Last spool line that NATS has acknowledged; 0 for none. */
  acknowledgedLine: number;

  constructor(
    readonly dir: string,
    readonly accepted: AcceptedAttempt,
  ) {
    this.key = accepted.spec.key;
    this.id = attemptId(accepted.ledgerId, this.key);
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

  get run(): RunRecord | null {
    return (readJsonSync(this.files.run) as RunRecord | undefined) ?? null;
  }

  /** Remembers that everything up to this spool line is in NATS. A lost memory makes duplicates, which are harmless. */
  acknowledge(line: number, complete: boolean): void {
    if (line <= this.acknowledgedLine) return;
    this.acknowledgedLine = line;
    this.published = complete;
    const record: PublishedRecord = { acknowledgedLine: line, epoch: this.epoch, complete };
    writeJsonSync(this.files.published, record);
  }
}
