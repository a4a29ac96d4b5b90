/** Slots that take something now, and what they have been promised to: one look at the fleet for one round of placing. */
import type { SlotRecord, UnixMs } from '../events.js';
import { LONGEST_PAUSE_MS } from '../fleet/faults.js';
import { heldSlots } from '../fleet/held.js';
import { openTrainers } from '../lookups/openings.js';
import { apart, capacity, isFit, isOpen, isUnfit, offers, slotsNeeded } from './resources.js';
import type { State, SweepState, TrainerState } from '../state.js';

/** A pause longer than any that is ever set was set by a clock that has been put back since: it is over. */
export const isOver = (until: UnixMs, at: UnixMs): boolean => until <= at || until - at > LONGEST_PAUSE_MS;

/** Slots of one box that an attempt may hold together; the first one's supervisor runs it. */
export interface Place {
  readonly trainer: TrainerState;
  readonly slots: readonly [SlotRecord, ...SlotRecord[]];
}

export class FreeSlots {
  /** In the order of the boxes' joining. */
  readonly #boxes: readonly TrainerState[];
  readonly #free = new Map<TrainerState, SlotRecord[]>();

  constructor(
    state: State,
    private readonly at: UnixMs,
  ) {
    this.#boxes = openTrainers(state).filter(isOpen);
  }

  /** Where an attempt of the sweep would find its slots. */
  *places(sweep: SweepState): Generator<Place> {
    const needed = slotsNeeded(sweep);
    for (const trainer of this.#boxes) {
      if (!offers(trainer, sweep) || isUnfit(trainer, sweep)) continue;
      const fit = this.#freeOf(trainer).filter((slot) => isFit(slot, sweep.spec.resources));
      if (fit.length < needed) continue;
      if (needed === 1) {
        for (const slot of fit) yield { trainer, slots: [slot] };
        continue;
      }
      for (const model of new Set(fit.map(({ deviceModel }) => deviceModel))) {
        const same = apart(fit.filter(({ deviceModel }) => deviceModel === model));
        const [first, ...rest] = same.slice(0, needed);
        if (first !== undefined && rest.length === needed - 1) yield { trainer, slots: [first, ...rest] };
      }
    }
  }

  take({ trainer, slots }: Place): void {
    const rest = this.#freeOf(trainer).filter((slot) => !slots.includes(slot));
    this.#free.set(trainer, rest);
  }

  /**
   * Keeps the free slots of the box that comes nearest to what the sweep needs for it, until there are enough: small
   * attempts would otherwise take each slot that comes free, and a large one would wait for ever.
   */
  reserve(sweep: SweepState): void {
    const needed = slotsNeeded(sweep);
    if (needed === 1) return;
    let best: { readonly trainer: TrainerState; readonly slots: readonly SlotRecord[] } | null = null;
    for (const trainer of this.#boxes) {
      if (isUnfit(trainer, sweep) || capacity(trainer, sweep) < needed) continue;
      const slots = this.#freeOf(trainer).filter((slot) => isFit(slot, sweep.spec.resources));
      if (slots.length > (best?.slots.length ?? 0)) best = { trainer, slots };
    }
    if (best === null) return;
    const { trainer, slots } = best;
    this.#free.set(
      trainer,
      this.#freeOf(trainer).filter((slot) => !slots.includes(slot)),
    );
  }

  #freeOf(trainer: TrainerState): SlotRecord[] {
    let free = this.#free.get(trainer);
    if (free !== undefined) return free;
    const held = heldSlots(trainer);
    free = trainer.info.slots.filter(
      ({ slotId }) =>
        !trainer.holders.has(slotId) &&
        !held.has(slotId) &&
        !trainer.slotQuarantines.has(slotId) &&
        isOver(trainer.blockedUntil.get(slotId) ?? 0, this.at),
    );
    this.#free.set(trainer, free);
    return free;
  }
}
