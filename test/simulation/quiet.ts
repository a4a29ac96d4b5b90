/**
 * What a run without faults would have decided of the same arrivals, in three ways: the program's own replay; a log of
 * which every failure, retry and moment is left out; and, where nothing but reports moves a sweep, a core that has a
 * slot for every trial and hears the accepted epochs only.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  decide,
  fold,
  initialState,
  Replay,
  type Decision,
  type LedgerEvent,
  type State,
  type SweepSpec,
  type SweepState,
  type TrialRecord,
} from '../../services/coordinator/core/index.js';
import { isBlocked, pointInBlock } from '../../services/coordinator/core/placement/blocks.js';
import { judgeNewest } from '../../services/coordinator/core/sweeps/judge.js';
import { nextPosition } from '../../services/coordinator/core/sweeps/lifecycle.js';
import { nextPromotion } from '../../services/coordinator/core/placement/promotion.js';
import { searchResults } from '../../services/coordinator/core/sweeps/results.js';
import { pointAt } from '../../services/coordinator/core/search/index.js';
import { trainer } from '../support/core.js';

type Blame = (text: string) => void;

export function checkDecisions(state: State, events: readonly LedgerEvent[], blame: Blame): void {
  for (const sweepId of state.sweeps.keys()) {
    const replay = new Replay(sweepId);
    for (const event of events) replay.take(event);
    const difference = replay.finish();
    if (difference !== null) blame(`${sweepId}/${difference.trialId}: replay differs: ${difference.message}`);
  }
  const bare = new BareLog(blame);
  for (const event of events) bare.take(event);
  checkAllAtOnce(state, events, blame);
}

/** Joules of retrained epochs count against this limit, so that it depends on failures. */
const dependsOnFailures = ({ rule }: Decision): boolean => rule === 'max_energy@1';

/** Facts that a run without faults has just as they are. */
const PLAIN: ReadonlySet<LedgerEvent['type']> = new Set([
  'sweep_submitted',
  'sweep_paused',
  'sweep_resumed',
  'sweep_stopping',
  'search_exhausted',
  'trial_ended',
  'trial_paused',
  'sweep_reopened',
  'trial_reopened',
  'sweep_extended',
  'limits_changed',
]);

/** Behind one of these more than reports moves a sweep. */
const MOVES: ReadonlySet<LedgerEvent['type']> = new Set([
  'sweep_stopping',
  'sweep_reopened',
  'trial_reopened',
  'sweep_extended',
]);

/** The fold without attempts, boxes and moments: a trial begins once and its accepted epochs arrive. */
class BareLog {
  readonly #state = initialState();

  constructor(private readonly blame: Blame) {}

  take(event: LedgerEvent): void {
    const { type } = event;
    if (PLAIN.has(type)) fold(this.#state, { ...event, at: 1 });
    else if (type === 'trial_created') this.#created(event);
    else if (type === 'trial_requeued') fold(this.#state, { ...event, notBefore: 0, at: 1 });
    else if (type === 'attempt_assigned') this.#assigned(event);
    else if (type === 'epoch_accepted') fold(this.#state, { ...event, attempt: 1, at: 1 });
    else if (type === 'decision_made') this.#decided(event);
  }

  #created(event: Extract<LedgerEvent, { type: 'trial_created' }>): void {
    const sweep = this.#sweep(event.sweepId);
    const place = event.index % sweep.points;
    const position = isBlocked(sweep.spec) ? pointInBlock(sweep, place, event.repeat) : place;
    const earlier = [...sweep.trials.values()].find(({ index }) => index === place);
    const expected =
      event.repeat > 1 && sweep.spec.search.method === 'tpe' && earlier !== undefined
        ? earlier.parameters
        : pointAt(sweep.spec, position, () => searchResults(sweep));
    if (event.index !== nextPosition(sweep) || !isDeepStrictEqual(event.parameters, expected))
      this.blame(`${event.sweepId}/${event.trialId} is another point than without faults`);
    fold(this.#state, { ...event, at: 1 });
  }

  #assigned(event: Extract<LedgerEvent, { type: 'attempt_assigned' }>): void {
    const trial = this.#sweep(event.sweepId).trials.get(event.trialId);
    if (trial?.attempts.length === 0) fold(this.#state, { ...event, attempt: 1, at: 1 });
    else if (trial !== undefined) trial.state = 'starting';
  }

  #decided(event: Extract<LedgerEvent, { type: 'decision_made' }>): void {
    const { sweepId, trialId, decision } = event;
    const sweep = this.#sweep(sweepId);
    const trial = sweep.trials.get(trialId);
    if (trial === undefined || dependsOnFailures(decision)) return;
    const isPromotion = decision.action === 'promote';
    const promotion = isPromotion ? nextPromotion(sweep) : null;
    const made = isPromotion ? [promotion?.decision] : judgeNewest(sweep, trial).decisions;
    const isSame = made.some((other) => isDeepStrictEqual(other, decision));
    if (!isSame || (isPromotion && promotion?.trialId !== trialId))
      this.blame(`${sweepId}/${trialId} was decided otherwise than without faults: ${decision.reason}`);
    fold(this.#state, { ...event, at: 1 });
  }

  #sweep(sweepId: string): SweepState {
    const sweep = this.#state.sweeps.get(sweepId);
    if (sweep === undefined) throw new Error(`the log has no sweep ${sweepId}`);
    return sweep;
  }
}

/** Whether its trials' decisions follow from the order of reports alone, however many run at a time. */
function movesByReportsAlone({ spec, status }: SweepState): boolean {
  const { stopping, search, trialLimits } = spec;
  const pauses = stopping.rule === 'hyperband' || (stopping.rule === 'asha' && stopping.mode === 'promote');
  const learns = search.method === 'tpe';
  return (
    status === 'completed' &&
    !isBlocked(spec) &&
    !pauses &&
    !learns &&
    (trialLimits?.maxEnergyWh ?? null) === null
  );
}

/** As many at a time as there are slots, and nothing ends it: what is new is made in the same order. */
const unbound = (spec: SweepSpec): SweepSpec => ({
  ...spec,
  maxParallel: null,
  budget: { energyWh: null, hours: null },
  resources: { gpus: null, device: null },
});

function checkAllAtOnce(state: State, events: readonly LedgerEvent[], blame: Blame): void {
  const quiet = initialState();
  const at = 1;
  const settings = { retries: { crashed: 0, lost: 0, preempted: 0 } };
  const moved = new Set(
    events.flatMap((event) => (MOVES.has(event.type) && 'sweepId' in event ? [event.sweepId] : [])),
  );
  const sweeps = [...state.sweeps.values()].filter(
    (sweep) => movesByReportsAlone(sweep) && !moved.has(sweep.sweepId),
  );
  const trials = sweeps.reduce((sum, { points, spec }) => sum + points * spec.repeats, 0);
  decide(quiet, {
    type: 'lead',
    ledgerId: 'quiet',
    termId: 'quiet-term',
    coordinatorId: 'quiet',
    settings,
    at,
  });
  decide(quiet, { type: 'trainer_seen', trainer: trainer('all', trials), at });
  for (const { sweepId, spec } of sweeps)
    decide(quiet, { type: 'submit', sweepId, spec: unbound(spec), source: '', requestId: '', at });
  for (const event of events) {
    if (event.type !== 'epoch_accepted' || !quiet.sweeps.has(event.sweepId)) continue;
    const { sweepId, record } = event;
    const ours = state.sweeps.get(sweepId)?.trials.get(event.trialId);
    const trialId = ours === undefined ? event.trialId : (sameTrial(quiet, sweepId, ours)?.trialId ?? '');
    const report = { kind: 'epoch' as const, sweepId, trialId, attempt: 1, record };
    decide(quiet, { type: 'reported', trainerId: 'all', report, at });
  }
  for (const { sweepId, trials: ours } of sweeps)
    for (const trial of ours.values()) compare(sweepId, trial, sameTrial(quiet, sweepId, trial), blame);
}

/** A repeat may have been earned at another moment, and then has another number. */
function sameTrial(state: State, sweepId: string, { index }: TrialRecord): TrialRecord | undefined {
  return [...(state.sweeps.get(sweepId)?.trials.values() ?? [])].find((trial) => trial.index === index);
}

function compare(sweepId: string, trial: TrialRecord, other: TrialRecord | undefined, blame: Blame): void {
  const name = `${sweepId}/${trial.trialId}`;
  const isDecided = trial.state === 'succeeded' || trial.state === 'stopped' || trial.code === 'NON_FINITE';
  if (other === undefined || !isDeepStrictEqual(other.parameters, trial.parameters))
    blame(`${name} has other parameters than in a run without faults`);
  else if (!isDeepStrictEqual(other.decisions, trial.decisions))
    blame(`${name} was decided otherwise than in a run without faults`);
  else if (isDecided && (other.state !== trial.state || other.reason !== trial.reason))
    blame(`${name} is ${trial.state}, in a run without faults ${other.state}`);
}
