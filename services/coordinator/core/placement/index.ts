/**
 * Placement: gives free slots to trials, waiting ones before new ones, and the sweep that uses the fewest slots by its
 * priority first; among equals the one whose last turn is longest ago. A new trial is made only when a slot is free for
 * it, so a grid of a million points costs nothing in advance. What a trial needs: `resources.ts`; which slots are free:
 * `free-slots.ts`; blocked sweeps: `blocks.ts`.
 */
import { allows, blockSize, isBlocked, mayBegin, pointInBlock, sitesOf, type Sites } from './blocks.js';
import type { LedgerEventType, UnixMs } from '../events.js';
import { ruleOf, trialTermIdOf } from '../find.js';
import { FreeSlots, isOver, type Place } from './free-slots.js';
import type { Action } from '../inputs.js';
import { firstWaiting, someWaiting } from '../lookups/lanes.js';
import { endSweepWhenDone, named, nextPosition, pauseSweep } from '../sweeps/lifecycle.js';
import { ModuleFault } from '../own-modules.js';
import { endHopeless, nextPromotion, promote } from './promotion.js';
import { openSweeps } from '../lookups/openings.js';
import { slotsInUse } from './resources.js';
import { searchResults } from '../sweeps/results.js';
import { endBarred } from '../sweeps/retries.js';
import { pointAt, pointHash, repeatSeed, searchLearns } from '../search/index.js';
import type { Parameters } from '../spec.js';
import { ATTEMPTS_A_COPY, type AttemptState, type SweepState, type TrialRecord } from '../state.js';
import type { Step } from '../step.js';
import { programOf } from '../variants.js';

/** The sweep may have another attempt. */
const isTaking = (sweep: SweepState): boolean =>
  sweep.status === 'running' && sweep.active.size < (sweep.limits.maxParallel ?? Infinity);

/** Whether the sweep would take a slot, if one suits it; a fleet in use is not looked through for nothing. */
const wantsSlot = (sweep: SweepState, at: UnixMs): boolean =>
  isTaking(sweep) &&
  (nextPosition(sweep) !== null ||
    someWaiting(sweep, (trial) => isOver(trial.notBefore, at)) ||
    nextPromotion(sweep) !== null);

/** Assigns until no free slot has a trial that suits it. */
export function placeTrials(step: Step): void {
  const waiting = [...openSweeps(step.state)].filter((sweep) => wantsSlot(sweep, step.at));
  if (waiting.length === 0) return;
  const round = new Round(step);
  while (waiting.length > 0) {
    const index = fairest(waiting);
    const sweep = waiting[index];
    if (sweep !== undefined && isTaking(sweep) && round.place(sweep)) continue;
    if (sweep !== undefined && isTaking(sweep)) round.free.reserve(sweep);
    waiting.splice(index, 1);
  }
}

/** Slots in use by weight. */
const shareOf = (sweep: SweepState): number => slotsInUse(sweep) / sweep.limits.priority;

/** Fair share: slots in proportion to priorities for all sweeps that want them, in turns among equals. */
function fairest(sweeps: readonly SweepState[]): number {
  let best = 0;
  for (const [index, sweep] of sweeps.entries()) {
    const other = sweeps[best];
    if (other === undefined) break;
    const difference = shareOf(sweep) - shareOf(other) || sweep.lastAssigned - other.lastAssigned;
    if (difference < 0) best = index;
  }
  return best;
}

/** Trials that a blocked sweep makes at most to find one that a slot may take. */
const LOOK_AHEAD = 64;

/** One round of placing: the fleet is looked at once. */
class Round {
  readonly free: FreeSlots;
  readonly #sites = new Map<SweepState, Sites>();

  constructor(private readonly step: Step) {
    this.free = new FreeSlots(step.state, step.at);
  }

  /** Gives one attempt of the sweep its slots; false when nothing of it can be placed. */
  place(sweep: SweepState): boolean {
    let first: Place | null = null;
    for (const place of this.free.places(sweep)) {
      first ??= place;
      const trial = isBlocked(sweep.spec) ? this.#ofBlock(sweep, place) : this.#waiting(sweep, place);
      if (trial === null) {
        // Nobody waits: all places are alike.
        if (sweep.queue.size === 0) break;
        continue;
      }
      this.#assign(sweep, trial, place);
      return true;
    }
    if (first === null || isBlocked(sweep.spec)) return false;
    const trial = promote(this.step, sweep) ?? createTrial(this.step, sweep);
    if (trial === null) return false;
    // A trial that was paused may need more memory than the first place has.
    const place = [...this.free.places(sweep)].find((one) => this.#takes(trial, one));
    if (place === undefined) return false;
    this.#assign(sweep, trial, place);
    return true;
  }

  #waiting(
    sweep: SweepState,
    place: Place,
    accepts: (trial: TrialRecord) => boolean = () => true,
  ): TrialRecord | null {
    return firstWaiting(
      sweep,
      place.slots[0].memoryBytes ?? null,
      (trial) => this.#takes(trial, place) && accepts(trial),
    );
  }

  #takes({ notBefore, avoid, memoryAboveBytes }: TrialRecord, { trainer, slots }: Place): boolean {
    const { at } = this.step;
    if (!isOver(notBefore, at)) return false;
    if (memoryAboveBytes !== null && (slots[0].memoryBytes ?? 0) <= memoryAboveBytes) return false;
    return avoid?.trainerId !== trainer.info.trainerId || isAvoidanceOver(avoid.until, at);
  }

  /** Of a blocked sweep: one that is due on this box, a new one of the block, or any that the model may take. */
  #ofBlock(sweep: SweepState, place: Place): TrialRecord | null {
    const sites = this.#sitesOf(sweep);
    const at = { model: place.slots[0].deviceModel, trainerId: place.trainer.info.trainerId };
    const isDue = (trial: TrialRecord): boolean => {
      const allowed = allows(sweep, trial, sites, at);
      return allowed.model && allowed.box;
    };
    const due = this.#waiting(sweep, place, isDue);
    if (due !== null) return due;
    for (let made = 0; made < LOOK_AHEAD; made += 1) {
      const trial = createTrial(this.step, sweep);
      if (trial === null) break;
      if (isDue(trial)) return trial;
    }
    return this.#waiting(sweep, place, (trial) => allows(sweep, trial, sites, at).model);
  }

  #sitesOf(sweep: SweepState): Sites {
    let sites = this.#sites.get(sweep);
    if (sites === undefined) this.#sites.set(sweep, (sites = sitesOf(this.step.state, sweep)));
    return sites;
  }

  #assign(sweep: SweepState, trial: TrialRecord, place: Place): void {
    this.free.take(place);
    const [first, ...further] = place.slots;
    const { step } = this;
    const { trainerId, knowsTermIds } = place.trainer.info;
    const before = knowsTermIds === true ? 0 : step.state.copies * ATTEMPTS_A_COPY;
    step.emit({
      type: 'attempt_assigned',
      sweepId: sweep.sweepId,
      trialId: trial.trialId,
      attempt: Math.max(trial.attempts.at(-1)?.attempt ?? 0, before) + 1,
      trainerId,
      slotId: first.slotId,
      ...(further.length === 0 ? {} : { furtherSlotIds: further.map(({ slotId }) => slotId) }),
      resumeFrom: checkpointOf(trial),
      at: step.at,
    });
    step.act(startAction(sweep, trial));
  }
}

/** Longer than any avoidance that is ever set: it was set by a clock that has been put back since. */
const LONGEST_AVOIDANCE_MS = 120_000;
const isAvoidanceOver = (until: UnixMs, at: UnixMs): boolean =>
  until <= at || until - at > LONGEST_AVOIDANCE_MS;

/** Makes the next trial that the search proposes, or a repeat that its point has earned; null when there is none. */
function createTrial(step: Step, sweep: SweepState): TrialRecord | null {
  const { spec, points, sweepId } = sweep;
  if (isBlocked(spec) && sweep.exhaustedAt === null && blockSize(sweep) < points)
    step.emit({ type: 'search_exhausted', sweepId, position: blockSize(sweep), at: step.at });
  const index = nextPosition(sweep);
  if (index === null || (isBlocked(spec) && !mayBegin(sweep, index))) return null;
  const repeat = Math.floor(index / points) + 1;
  const position = isBlocked(spec) ? pointInBlock(sweep, index % points, repeat) : index % points;
  let parameters: Parameters | null;
  try {
    parameters = parametersAt(sweep, position, repeat);
  } catch (error) {
    if (!(error instanceof ModuleFault) || spec.search.method !== 'module') throw error;
    pauseSweep(step, sweep, `the search ${spec.search.ref.module} failed: ${error.message}`);
    return null;
  }
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

/**
 * `ATTEMPT/EPOCH` of the newest epoch of the trial, whose checkpoint the next attempt goes on from; empty for none. That
 * need not be the last attempt's: one that found no checkpoint began anew, and may have ended before it was as far.
 */
function checkpointOf(trial: TrialRecord): string {
  let newest: AttemptState | null = null;
  for (const attempt of trial.attempts.slice(trial.checkpointsFrom))
    if (attempt.lastEpoch > 0 && attempt.lastEpoch >= (newest?.lastEpoch ?? 0)) newest = attempt;
  return newest === null ? '' : `${newest.attempt}/${newest.lastEpoch}`;
}

/** The command that starts the trial's current attempt. */
function startAction(sweep: SweepState, trial: TrialRecord): Action {
  const attempt = trial.attempts.at(-1);
  if (attempt === undefined) throw new Error(`trial ${trial.trialId} has no attempt`);
  const previous = { ...trial, attempts: trial.attempts.slice(0, -1) };
  const { code } = sweep.spec;
  const program = programOf(sweep.spec, trial.parameters);
  return {
    type: 'start_attempt',
    ...named({ sweep, trial, attempt }),
    trainerId: attempt.trainerId,
    slotId: attempt.slotId,
    ...(attempt.furtherSlotIds.length === 0 ? {} : { furtherSlotIds: attempt.furtherSlotIds }),
    ...program,
    ...(code === undefined || program.command.length === 0 ? {} : { codeSha256: code.sha256 }),
    maxEpochs: attempt.maxEpochs,
    seed: trial.seed,
    repeat: trial.repeat,
    objectiveMetric: sweep.spec.objective.metric,
    resumeFrom: checkpointOf(previous),
    trialTermId: trialTermIdOf(trial, attempt),
  };
}

/** What none of these follows from gives no slot and no trial that waits. */
const QUIET: ReadonlySet<LedgerEventType> = new Set([
  'epoch_accepted',
  'epoch_repeated',
  'attempt_started',
  'decision_made',
  'stop_requested',
]);

/** Whether what has just happened may let something be placed. Promotions hang on values, too. */
function mayPlace({ events, state }: Step): boolean {
  return (
    events.some(({ type }) => !QUIET.has(type)) ||
    (events.length > 0 && [...openSweeps(state)].some((sweep) => ruleOf(sweep).promotions !== undefined))
  );
}

/**
 * After any input: fill free slots, then end what is done (a sweep may have run out of proposals). Trials that wait in
 * vain end, too; where one did, the next rung may be complete or the next block begin, and others take the slots.
 *
 * @param isTick time has passed: pauses may be over
 */
export function settle(step: Step, isTick: boolean): void {
  if (!isTick && !mayPlace(step)) return;
  const sweeps = openSweeps(step.state);
  do placeTrials(step);
  while ([...sweeps].filter((sweep) => endHopeless(step, sweep) || endBarred(step, sweep)).length > 0);
  for (const sweep of [...sweeps]) endSweepWhenDone(step, sweep);
}
