/**
 * Placement: gives free slots to trials, waiting ones before new ones, and the sweep with the fewest running attempts
 * by its priority first. A new trial is made only when a slot is free for it, so a grid of a million points costs nothing in advance.
 */
import type { SlotRecord, UnixMs } from './events.js';
import type { Action } from './inputs.js';
import { endSweepWhenDone, LONGEST_PAUSE_MS, nextPosition } from './lifecycle.js';
import { endHopeless, nextPromotion, promote } from './promotion.js';
import { openTrainers } from './openings.js';
import { searchResults } from './results.js';
import { pointAt, pointHash, repeatSeed, searchLearns } from './search/index.js';
import type { Parameters, ResourcesSpec } from './spec.js';
import type { State, SweepState, TrainerState, TrialRecord } from './state.js';
import type { Step } from './step.js';

const fits = (slot: SlotRecord, { gpus, device }: ResourcesSpec): boolean =>
  (gpus === null || (gpus === 0 ? slot.deviceKind === 'cpu' : slot.deviceKind === 'gpu')) &&
  (device === null || slot.deviceModel.toLowerCase().includes(device.toLowerCase()));

/** Whether this trainer's slot may ever take attempts of the sweep. */
export const suits = (trainer: TrainerState, slot: SlotRecord, { spec }: Pick<SweepState, 'spec'>): boolean =>
  trainer.info.recipes.includes(spec.recipe) && fits(slot, spec.resources);

interface FreeSlot {
  readonly trainer: TrainerState;
  readonly slot: SlotRecord;
}

/** A pause longer than any that is ever set was set by a clock that has been put back since: it is over. */
const isOver = (until: UnixMs, at: UnixMs): boolean => until <= at || until - at > LONGEST_PAUSE_MS;

/** Whether the sweep would take a slot, if one suits it; a fleet in use is not looked through for nothing. */
function wantsSlot(sweep: SweepState, at: UnixMs): boolean {
  if (sweep.status !== 'running' || sweep.active.size >= (sweep.limits.maxParallel ?? Infinity)) return false;
  return nextPosition(sweep) !== null || waitingTrial(sweep, at) !== null || nextPromotion(sweep) !== null;
}

/** Slots in use by weight: the sweep that has the least takes the next slot; among equals, the one submitted first. */
const shareOf = ({ active, limits }: SweepState): number => active.size / limits.priority;

function freeSlots(state: State, at: UnixMs): FreeSlot[] {
  const free: FreeSlot[] = [];
  for (const trainer of openTrainers(state)) {
    const { slots, draining } = trainer.info;
    if (trainer.status !== 'alive' || draining) continue;
    for (const slot of slots) {
      const blocked = !isOver(trainer.blockedUntil.get(slot.slotId) ?? 0, at);
      if (!blocked && !trainer.holders.has(slot.slotId)) free.push({ trainer, slot });
    }
  }
  return free;
}

/** Assigns until no free slot has a trial that suits it. */
export function placeTrials(step: Step): void {
  if (![...step.state.sweeps.values()].some((sweep) => wantsSlot(sweep, step.at))) return;
  for (const free of freeSlots(step.state, step.at)) {
    const next = nextTrial(step, free);
    if (next !== null) assign(step, next.sweep, next.trial, free);
  }
}

function nextTrial(
  step: Step,
  { trainer, slot }: FreeSlot,
): { sweep: SweepState; trial: TrialRecord } | null {
  const candidates = [...step.state.sweeps.values()]
    .filter((sweep) => sweep.status === 'running' && suits(trainer, slot, sweep))
    .filter((sweep) => sweep.active.size < (sweep.limits.maxParallel ?? Infinity))
    .sort((a, b) => shareOf(a) - shareOf(b));
  for (const sweep of candidates) {
    const trial = waitingTrial(sweep, step.at) ?? promote(step, sweep) ?? createTrial(step, sweep);
    if (trial !== null) return { sweep, trial };
  }
  return null;
}

function waitingTrial(sweep: SweepState, at: UnixMs): TrialRecord | null {
  for (const trialId of sweep.queue) {
    const trial = sweep.trials.get(trialId);
    if (trial !== undefined && isOver(trial.notBefore, at)) return trial;
  }
  return null;
}

/** Makes the next trial that the search proposes, or a repeat that its point has earned; null when there is none. */
function createTrial(step: Step, sweep: SweepState): TrialRecord | null {
  const index = nextPosition(sweep);
  if (index === null) return null;
  const { spec, points, sweepId } = sweep;
  const repeat = Math.floor(index / points) + 1;
  const parameters = parametersAt(sweep, index % points, repeat);
  if (parameters === null) {
    step.emit({ type: 'search_exhausted', sweepId, position: index % points, at: step.at });
    return createTrial(step, sweep);
  }
  const trialId = `t${String(sweep.trials.size + 1).padStart(4, '0')}`;
  step.emit({
    type: 'trial_created',
    sweepId,
    trialId,
    index,
    parameters,
    pointHash: pointHash(spec, parameters),
    repeat,
    seed: repeatSeed(spec.seed, repeat),
    at: step.at,
  });
  return sweep.trials.get(trialId) ?? null;
}

/** The point at a position of the search; null when it has no more. A repeat of a learned point is looked up. */
function parametersAt(sweep: SweepState, position: number, repeat: number): Parameters | null {
  const { spec, trials } = sweep;
  if (repeat > 1 && searchLearns(spec)) {
    for (const trial of trials.values()) if (trial.index === position) return trial.parameters;
  }
  return pointAt(spec, position, () => searchResults(sweep));
}

function assign(step: Step, sweep: SweepState, trial: TrialRecord, { trainer, slot }: FreeSlot): void {
  const attempt = trial.attempts.length + 1;
  const ref = { sweepId: sweep.sweepId, trialId: trial.trialId, attempt };
  const { trainerId } = trainer.info;
  const resumeFrom = checkpointOf(trial);
  step.emit({ type: 'attempt_assigned', ...ref, trainerId, slotId: slot.slotId, resumeFrom, at: step.at });
  step.act(startAction(sweep, trial));
}

/** `ATTEMPT/EPOCH` of the newest epoch of the trial, whose checkpoint the next attempt goes on from; empty for none. */
function checkpointOf(trial: TrialRecord): string {
  const attempt = trial.attempts
    .slice(trial.checkpointsFrom)
    .findLast((candidate) => candidate.lastEpoch > 0);
  return attempt === undefined ? '' : `${attempt.attempt}/${attempt.lastEpoch}`;
}

/** The command that starts the trial's current attempt; the same whenever it is made. */
export function startAction(sweep: SweepState, trial: TrialRecord): Action {
  const attempt = trial.attempts.at(-1);
  if (attempt === undefined) throw new Error(`trial ${trial.trialId} has no attempt`);
  const previous = { ...trial, attempts: trial.attempts.slice(0, -1) };
  return {
    type: 'start_attempt',
    sweepId: sweep.sweepId,
    trialId: trial.trialId,
    attempt: attempt.attempt,
    trainerId: attempt.trainerId,
    slotId: attempt.slotId,
    recipe: sweep.spec.recipe,
    command: sweep.spec.command,
    parameters: trial.parameters,
    maxEpochs: attempt.maxEpochs,
    seed: trial.seed,
    repeat: trial.repeat,
    objectiveMetric: sweep.spec.objective.metric,
    resumeFrom: checkpointOf(previous),
  };
}

/**
 * After any input: fill free slots, then end what is done (a sweep may have run out of proposals). Trials that wait in
 * vain end, too; where one did, the next rung may be complete, and others take the slots.
 */
export function settle(step: Step): void {
  const { sweeps } = step.state;
  do placeTrials(step);
  while ([...sweeps.values()].filter((sweep) => endHopeless(step, sweep)).length > 0);
  for (const sweep of sweeps.values()) if (sweep.endedAt === null) endSweepWhenDone(step, sweep);
}
