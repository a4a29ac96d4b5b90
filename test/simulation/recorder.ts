/**
 * Watches a run from outside: every entry that the ledger takes, every trim of REPORTS, every command that a box obeys.
 * What may never happen is noted at the moment when it does.
 */
import type { AttemptKey } from '../../proto/gen/wattsweep/v1/attempt.js';
import { LEDGER_STREAM } from '../../proto/subjects.js';
import type { AttemptRef, LedgerEvent } from '../../services/coordinator/core/index.js';
import { decodeBatch } from '../../services/coordinator/ledger/codec.js';
import type { StreamMessage } from '../../services/coordinator/nats/index.js';
import type { Witness } from './trainer.js';

type Text = Pick<AttemptRef, 'sweepId' | 'trialId' | 'attempt'>;
const textOf = ({ sweepId, trialId, attempt }: Text): string => `${sweepId}/${trialId}#${attempt}`;

interface Current {
  readonly attempt: number;
  over: boolean;
}

export class Recorder implements Witness {
  readonly violations: string[] = [];
  readonly events: LedgerEvent[] = [];
  terms = 0;
  #term = 0;
  #reportsSeq = 0;
  readonly #assigned = new Map<string, string>();
  readonly #stoppable = new Set<string>();
  readonly #current = new Map<string, Current>();
  readonly #endedTrials = new Set<string>();
  readonly #lastEpoch = new Map<string, number>();

  blame(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  stored(stream: string, { seq, data }: StreamMessage): void {
    if (stream !== LEDGER_STREAM) return;
    const batch = decodeBatch(data, seq);
    const begins = batch.events.find((event) => event.type === 'term_started');
    if (begins !== undefined) {
      if (begins.term !== this.#term + 1) this.blame(`term ${begins.term} follows term ${this.#term}`);
      this.#term = begins.term;
      this.terms += 1;
    }
    if (batch.term !== this.#term) this.blame(`entry ${seq} is of term ${batch.term} in term ${this.#term}`);
    if (batch.reportsSeq < this.#reportsSeq) this.blame(`entry ${seq} takes the mark on REPORTS back`);
    this.#reportsSeq = batch.reportsSeq;
    for (const event of batch.events) this.#take(event);
  }

  purged(_stream: string, belowSeq: number): void {
    if (belowSeq - 1 > this.#reportsSeq)
      this.blame(`REPORTS trimmed below ${belowSeq}; taken up to ${this.#reportsSeq}`);
  }

  started(trainerId: string, key: AttemptKey): void {
    const where = this.#assigned.get(textOf(key));
    if (where !== trainerId)
      this.blame(`${trainerId} starts ${textOf(key)}, which the ledger gives to ${String(where)}`);
  }

  stopping(trainerId: string, key: AttemptKey): void {
    if (!this.#stoppable.has(textOf(key)))
      this.blame(`${trainerId} stops ${textOf(key)}, which the ledger wants to go on`);
  }

  #take(event: LedgerEvent): void {
    this.events.push(event);
    switch (event.type) {
      case 'attempt_assigned': {
        const trial = `${event.sweepId}/${event.trialId}`;
        if (this.#current.get(trial)?.over === false)
          this.blame(`${textOf(event)} assigned beside a live attempt`);
        if (this.#endedTrials.has(trial)) this.blame(`${textOf(event)} assigned after its trial ended`);
        this.#current.set(trial, { attempt: event.attempt, over: false });
        this.#assigned.set(textOf(event), event.trainerId);
        return;
      }
      case 'attempt_started':
      case 'epoch_repeated':
        this.#acts(event);
        return;
      case 'epoch_accepted': {
        this.#acts(event);
        const trial = `${event.sweepId}/${event.trialId}`;
        if (this.#endedTrials.has(trial)) this.blame(`${textOf(event)} has an epoch after its trial ended`);
        const last = this.#lastEpoch.get(trial) ?? 0;
        if (event.record.epoch <= last)
          this.blame(`${textOf(event)}: epoch ${event.record.epoch} after ${last}`);
        this.#lastEpoch.set(trial, event.record.epoch);
        return;
      }
      case 'stop_requested':
        this.#acts(event);
        this.#stoppable.add(textOf(event));
        return;
      case 'attempt_ended': {
        this.#acts(event);
        this.#stoppable.add(textOf(event));
        const current = this.#current.get(`${event.sweepId}/${event.trialId}`);
        if (current !== undefined) current.over = true;
        return;
      }
      case 'trial_ended': {
        const trial = `${event.sweepId}/${event.trialId}`;
        if (this.#endedTrials.has(trial)) this.blame(`${trial} ends twice`);
        this.#endedTrials.add(trial);
        return;
      }
      case 'term_started':
      case 'sweep_submitted':
      case 'sweep_paused':
      case 'sweep_resumed':
      case 'sweep_stopping':
      case 'sweep_ended':
      case 'trial_created':
      case 'search_exhausted':
      case 'decision_made':
      case 'trial_requeued':
      case 'trial_paused':
      case 'trainer_joined':
      case 'trainer_suspected':
      case 'trainer_lost':
        return;
    }
  }

  #acts(event: Text & { readonly type: string }): void {
    const current = this.#current.get(`${event.sweepId}/${event.trialId}`);
    if (current?.attempt !== event.attempt || current.over)
      this.blame(`${event.type} of ${textOf(event)}, which is not the live attempt`);
  }
}
