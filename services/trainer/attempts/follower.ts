/**
 * Follows an attempt's spool from its first line to its end: keeps the attempt's state, gives new facts to the
 * publisher and steps to telemetry. Facts that NATS has acknowledged before are read again, but not given.
 */
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Report, StepProgress } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { bootId } from '../host/process.js';
import type { MeteredDevice, PowerMeter } from '../power/meter.js';
import { statedEnergyOf, type StatedDevices, type StatedEnergy } from '../power/stated.js';
import type { Attempt } from './attempt.js';
import { addStated, ended, epoch, started, step, type FactContext } from './facts.js';
import type { AttemptEndClass, RunnerLine } from '../protocol/runner.js';
import { SpoolReader, type NumberedRecord } from './spool-reader.js';

export interface WrittenCheckpoint {
  readonly epoch: number;
  readonly path: string;
  /** The path is the folder of all of the trial's checkpoints. */
  readonly isWhole: boolean;
  /** Line of the spool that told of the epoch. */
  readonly epochLine: number;
}

export interface FollowerEvents {
  readonly onReport: (report: Report) => void;
  readonly onStep: (step: StepProgress) => void;
  /** A checkpoint stands on the disk, or what a program keeps may have changed. */
  readonly onCheckpoint: (checkpoint: WrittenCheckpoint) => void;
  /** Every process is gone. The end is taken, and told, when it resolves. */
  readonly onGone: () => Promise<void>;
  /** The end line has been read. Called before the end's report is given. */
  readonly onEnd: (endClass: AttemptEndClass) => void;
}

export class AttemptFollower {
  readonly #reader: SpoolReader;
  #previousMonotonicMs: number | null = null;
  #epochLine = 0;
  #reading: Promise<void> = Promise.resolve();
  #pending = false;
  #closed = false;
  #stated: StatedEnergy | null;

  constructor(
    private readonly attempt: Attempt,
    private readonly metered: readonly MeteredDevice[],
    private readonly meter: PowerMeter,
    private readonly statedDevices: StatedDevices,
    private readonly events: FollowerEvents,
  ) {
    this.#reader = new SpoolReader(attempt.files.spool);
    this.#stated = statedEnergyOf(attempt.accepted.spec.recipe);
  }

  /** The spool may have grown. Resolves when what it held by now has been read. */
  notify(): Promise<void> {
    if (this.#closed) return this.#reading;
    if (!this.#pending) {
      this.#pending = true;
      // A failed reading is told to who asked for it; the next one tries again.
      this.#reading = this.#reading
        .catch(() => undefined)
        .then(async () => {
          this.#pending = false;
          await this.#takeAll();
          // A long spool is read in pieces: others have a turn between them.
          while (this.#reader.hasMore && !this.#closed) {
            await setImmediate();
            await this.#takeAll();
          }
          if (this.attempt.over) this.close();
        });
    }
    return this.#reading;
  }

  async #takeAll(): Promise<void> {
    for (const record of this.#reader.read()) {
      if (record.record?.line.type === 'end' && !this.attempt.over) await this.events.onGone();
      this.#take(record);
    }
  }

  #take({ number, record }: NumberedRecord): void {
    if (record === null || this.attempt.over) return;
    const { attempt, meter, metered } = this;
    const known = number <= attempt.acknowledgedLine;
    const { line } = record;
    if (line.type !== 'accepted') attempt.begun = true;
    const context = (): FactContext => ({
      key: attempt.key,
      metered,
      meter,
      sameBoot: attempt.accepted.bootId === bootId(),
      startedMonotonicMs: attempt.run?.startedMonotonicMs ?? null,
      previousMonotonicMs: this.#previousMonotonicMs,
      idleWatts: attempt.accepted.idleWatts ?? null,
      stated: this.#stated,
    });
    const give = (fact: Report['fact']): void => this.events.onReport({ spoolLine: number, fact });
    switch (line.type) {
      case 'run':
        attempt.givenTo({
          ...line,
          startedAtUnixMs: record.atUnixMs,
          startedMonotonicMs: record.monotonicMs,
        });
        break;
      case 'started':
        if (attempt.phase === AttemptPhase.STARTING) attempt.phase = AttemptPhase.RUNNING;
        this.#beginStated(line);
        if (!known) give(started(line, record, context()));
        this.#previousMonotonicMs = record.monotonicMs;
        break;
      case 'step':
        if (!known) this.events.onStep(step(line, attempt.key));
        break;
      case 'epoch':
        this.#takeEpoch(epoch(line, record, context()), known ? () => undefined : give);
        this.#previousMonotonicMs = record.monotonicMs;
        this.#epochLine = number;
        this.#offerWhole();
        break;
      case 'checkpoint':
        this.#offer(line);
        break;
      case 'end': {
        const fact = known ? null : ended(line, record, context());
        this.#offerWhole();
        attempt.phase = AttemptPhase.ENDED;
        if (this.#stated !== null) this.statedDevices.end(attempt.accepted.slotId);
        this.events.onEnd(line.class);
        if (fact !== null) give(fact);
        break;
      }
      case 'accepted':
      case 'acknowledged':
    }
  }

  #offer({ epoch, path }: Extract<RunnerLine, { type: 'checkpoint' }>): void {
    const isInPlace = typeof path === 'string' && dirname(path) === this.attempt.accepted.spec.checkpointDir;
    if (!isInPlace || !Number.isSafeInteger(epoch) || epoch < 1) return;
    this.events.onCheckpoint({ epoch, path, isWhole: false, epochLine: this.#epochLine });
  }

  /** A program of the command recipe does not say when it has written something. */
  #offerWhole(): void {
    const { epoch, accepted } = this.attempt;
    if (accepted.spec.recipe !== 'command' || epoch === 0) return;
    const path = accepted.spec.checkpointDir;
    this.events.onCheckpoint({ epoch, path, isWhole: true, epochLine: this.#epochLine });
  }

  #takeEpoch(fact: ReturnType<typeof epoch>, give: (fact: Report['fact']) => void): void {
    if (fact === null) return;
    this.attempt.epoch = fact.value.epoch;
    if (this.#stated !== null) {
      const before = this.#stated.joules ?? 0;
      this.#stated = addStated(this.#stated, fact);
      this.statedDevices.add(this.attempt.accepted.slotId, (this.#stated.joules ?? before) - before);
    }
    give(fact);
  }

  #beginStated({ device, watts }: Extract<RunnerLine, { type: 'started' }>): void {
    if (this.#stated === null) return;
    const { key, accepted } = this.attempt;
    this.statedDevices.begin(accepted.slotId, {
      key,
      method: this.#stated.method,
      model: device.name,
      watts: watts ?? null,
    });
  }

  close(): void {
    this.#closed = true;
    this.#reader.close();
  }
}
