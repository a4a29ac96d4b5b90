/**
 * This room holds look-ups beside the state, one a file. The fold tells each of what changes; nobody reads the state
 * from them that they could not have read from it, only slower.
 *
 * Which trainers have a slot that nobody holds, in the order of their joining, and which sweeps have not ended: an input
 * costs the same with two trainers as with two thousand, and with two old sweeps as with two thousand. From any state
 * they are made anew.
 */
import type { State, SweepState, TrainerState } from '../state.js';

interface Openings {
  /** Position of a trainer in the order of joining. */
  readonly order: Map<string, number>;
  readonly open: Set<string>;
  /** Position of the next one that joins. */
  next: number;
}

const known = new WeakMap<State, Openings>();

/** To be told after each change of a trainer's slots or holders. */
export function noteTrainer(state: State, trainer: TrainerState): void {
  const openings = known.get(state);
  if (openings !== undefined) note(openings, trainer);
}

/** To be told when a trainer is no longer of the fleet. */
export function forgetTrainer(state: State, trainerId: string): void {
  const openings = known.get(state);
  openings?.order.delete(trainerId);
  openings?.open.delete(trainerId);
}

function note(openings: Openings, { info, holders }: TrainerState): void {
  const { order, open } = openings;
  const { trainerId, slots } = info;
  if (!order.has(trainerId)) order.set(trainerId, openings.next++);
  if (holders.size < slots.length) open.add(trainerId);
  else open.delete(trainerId);
}

/** Trainers with a slot that nobody holds; whether it may be used is another question. */
export function openTrainers(state: State): TrainerState[] {
  let openings = known.get(state);
  if (openings === undefined) {
    openings = { order: new Map(), open: new Set(), next: 0 };
    for (const trainer of state.trainers.values()) note(openings, trainer);
    known.set(state, openings);
  }
  const { order, open } = openings;
  return [...open]
    .sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
    .flatMap((trainerId) => state.trainers.get(trainerId) ?? []);
}

const unended = new WeakMap<State, Set<SweepState>>();

/** To be told when a sweep is there, and when it has ended. */
export function noteSweep(state: State, sweep: SweepState): void {
  const sweeps = unended.get(state);
  if (sweep.endedAt === null) sweeps?.add(sweep);
  else sweeps?.delete(sweep);
}

/** Sweeps that have not ended, in the order of their submission. */
export function openSweeps(state: State): ReadonlySet<SweepState> {
  let sweeps = unended.get(state);
  if (sweeps === undefined) {
    sweeps = new Set([...state.sweeps.values()].filter(({ endedAt }) => endedAt === null));
    unended.set(state, sweeps);
  }
  return sweeps;
}
