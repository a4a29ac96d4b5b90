/**
 * Folds the ledger beside the coordinators, entry by entry, and notes at the moment when it happens what may never
 * stand there: an attempt beside a live one, a slot given twice, an epoch twice, a trial that ends twice.
 */
import {
  fold,
  hasEnded,
  initialState,
  type AttemptRef,
  type EventOf,
  type LedgerEvent,
  type State,
  type SweepState,
} from '../../services/coordinator/core/index.js';
import { keyText } from './trainer.js';

type Text = Pick<AttemptRef, 'sweepId' | 'trialId' | 'attempt'>;
const textOf = ({ sweepId, trialId, attempt }: Text): string => `${sweepId}/${trialId}#${attempt}`;

const WH = 3_600;

export class LedgerWatch {
  readonly state: State = initialState();
  readonly events: LedgerEvent[] = [];
  /** Trainer by attempt, as it is named to trainers. */
  readonly assigned = new Map<string, string>();
  readonly stoppable = new Set<string>();
  readonly #lastEpoch = new Map<string, number>();
  readonly #points = new Set<string>();

  constructor(private readonly blame: (text: string) => void) {}

  /** One entry. @param after called once each event of it is folded */
  take(events: readonly LedgerEvent[], after: () => void = () => undefined): void {
    for (const event of events) {
      this.#judge(event);
      fold(this.state, event);
      if (event.type === 'trial_reopened') this.#forgetDropped(event);
      this.events.push(event);
      after();
    }
    for (const sweep of this.state.sweeps.values()) this.#checkShape(sweep);
    this.#checkHolders();
  }

  /** What the event says must be possible in the state before it. */
  #judge(event: LedgerEvent): void {
    const { type } = event;
    if (type === 'trial_created') this.#isNewPoint(event);
    else if (type === 'attempt_assigned') this.#mayBeAssigned(event);
    else if (type === 'attempt_started' || type === 'epoch_repeated') this.#acts(event);
    else if (type === 'epoch_accepted') this.#rises(event);
    else if (type === 'stop_requested' || type === 'attempt_ended') {
      this.#acts(event);
      this.stoppable.add(this.#named(event));
    } else if (type === 'trial_ended') {
      const trial = this.state.sweeps.get(event.sweepId)?.trials.get(event.trialId);
      if (trial === undefined || hasEnded(trial)) this.blame(`${event.sweepId}/${event.trialId} ends twice`);
    }
  }

  #isNewPoint({ sweepId, trialId, pointHash, repeat }: EventOf<'trial_created'>): void {
    const point = `${sweepId} ${pointHash} ${repeat}`;
    if (this.#points.has(point)) this.blame(`${sweepId}/${trialId} has a point that was issued before`);
    this.#points.add(point);
  }

  #mayBeAssigned(event: EventOf<'attempt_assigned'>): void {
    const { sweepId, trialId, trainerId, slotId } = event;
    const what = textOf(event);
    const sweep = this.state.sweeps.get(sweepId);
    const trial = sweep?.trials.get(trialId);
    const trainer = this.state.trainers.get(trainerId);
    if (sweep === undefined || trial === undefined || trainer === undefined) {
      this.blame(`${what} is assigned, and its sweep, trial or trainer is unknown`);
      return;
    }
    if (trial.attempts.some(({ end }) => end === null)) this.blame(`${what} assigned beside a live attempt`);
    if (hasEnded(trial)) this.blame(`${what} assigned after its trial ended`);
    if (sweep.status !== 'running') this.blame(`${what} assigned while its sweep is ${sweep.status}`);
    if (trainer.status !== 'alive' || trainer.info.draining)
      this.blame(`${what} assigned to ${trainerId}, which is ${trainer.status} or draining`);
    for (const taken of [slotId, ...(event.furtherSlotIds ?? [])]) {
      if (trainer.holders.has(taken)) this.blame(`${what} takes a slot of ${trainerId} that is held`);
      if (!trainer.info.slots.some((slot) => slot.slotId === taken))
        this.blame(`${what} takes a slot that ${trainerId} does not have`);
    }
    if (sweep.active.size >= (sweep.limits.maxParallel ?? Infinity))
      this.blame(`${what} is more than max_parallel allows`);
    const { energyWh } = sweep.limits;
    if (energyWh !== null && (sweep.spentJoules ?? 0) >= energyWh * WH)
      this.blame(`${what} assigned when the energy budget was spent`);
    const termId = trainer.info.knowsTermIds === true ? this.state.termId : '';
    this.assigned.set(keyText({ ...event, termId }), trainerId);
  }

  #named(event: Text): string {
    const trial = this.state.sweeps.get(event.sweepId)?.trials.get(event.trialId);
    const attempt = trial?.attempts.find((one) => one.attempt === event.attempt);
    return keyText({ ...event, termId: attempt?.termId ?? '' });
  }

  #rises(event: EventOf<'epoch_accepted'>): void {
    this.#acts(event);
    const { sweepId, trialId, record } = event;
    const key = `${sweepId}/${trialId}`;
    const sweep = this.state.sweeps.get(sweepId);
    const trial = sweep?.trials.get(trialId);
    if (trial !== undefined && hasEnded(trial))
      this.blame(`${textOf(event)} has an epoch after its trial ended`);
    const last = this.#lastEpoch.get(key) ?? 0;
    if (record.epoch <= last) this.blame(`${textOf(event)}: epoch ${record.epoch} after ${last}`);
    if (record.epoch > (sweep?.spec.maxEpochs ?? 0)) this.blame(`${textOf(event)}: epoch ${record.epoch}`);
    this.#lastEpoch.set(key, record.epoch);
  }

  /** A last epoch that was not finite may be trained anew. */
  #forgetDropped({ sweepId, trialId }: EventOf<'trial_reopened'>): void {
    const epochs = this.state.sweeps.get(sweepId)?.trials.get(trialId)?.epochs;
    this.#lastEpoch.set(`${sweepId}/${trialId}`, epochs?.at(-1)?.epoch ?? 0);
  }

  #acts(event: Text & { readonly type: string }): void {
    const attempts = this.state.sweeps.get(event.sweepId)?.trials.get(event.trialId)?.attempts ?? [];
    const current = attempts.at(-1);
    if (current?.attempt !== event.attempt || current.end !== null)
      this.blame(`${event.type} of ${textOf(event)}, which is not the live attempt`);
  }

  /** What the sweep remembers of its trials follows from the trials. */
  #checkShape({ sweepId, trials, active, queue, openTrials }: SweepState): void {
    let open = 0;
    for (const trial of trials.values()) {
      if (!hasEnded(trial)) open += 1;
      const live = trial.attempts.filter(({ end }) => end === null).length;
      if (live > 1) this.blame(`${sweepId}/${trial.trialId} has ${live} live attempts`);
      if (active.has(trial.trialId) !== (live === 1))
        this.blame(`${sweepId}/${trial.trialId} has ${live} live attempts; active: ${live !== 1}`);
      // One that was let run again while its last attempt still ends waits for that end first.
      if (queue.has(trial.trialId) !== (trial.state === 'queued' && live === 0))
        this.blame(
          `${sweepId}/${trial.trialId} is ${trial.state} and ${queue.has(trial.trialId) ? '' : 'not '}queued`,
        );
      if ((trial.state === 'starting' || trial.state === 'running') && live === 0)
        this.blame(`${sweepId}/${trial.trialId} is ${trial.state} without an attempt`);
    }
    if (open !== openTrials) this.blame(`${sweepId} counts ${openTrials} open trials of ${open}`);
  }

  /** Every held slot belongs to a live attempt, and every live attempt on a known trainer holds its slot. */
  #checkHolders(): void {
    for (const { info, holders } of this.state.trainers.values()) {
      for (const [slotId, holder] of holders) {
        const attempt = this.state.sweeps
          .get(holder.sweepId)
          ?.trials.get(holder.trialId)
          ?.attempts.find((one) => one.attempt === holder.attempt);
        if (
          attempt?.end !== null ||
          attempt.trainerId !== info.trainerId ||
          ![attempt.slotId, ...attempt.furtherSlotIds].includes(slotId)
        )
          this.blame(`${slotId} of ${info.trainerId} is held by ${textOf(holder)}, which is not there`);
      }
    }
    for (const { sweepId, trials, active } of this.state.sweeps.values())
      for (const trialId of active) {
        const attempt = trials.get(trialId)?.attempts.at(-1);
        const holders = this.state.trainers.get(attempt?.trainerId ?? '')?.holders;
        for (const slotId of attempt === undefined ? [] : [attempt.slotId, ...attempt.furtherSlotIds]) {
          const holder = holders?.get(slotId);
          if (
            holder?.sweepId !== sweepId ||
            holder.trialId !== trialId ||
            holder.attempt !== attempt?.attempt
          )
            this.blame(`${sweepId}/${trialId} runs and does not hold ${slotId}`);
        }
      }
  }
}
