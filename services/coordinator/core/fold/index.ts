/**
 * The fold: what each event of the ledger does to the state. It decides nothing, so a log of any age gives the state
 * that it gave when it was written. Events name things that earlier events made; a log in which they are missing is
 * broken, and that is said.
 */
import { noteContender } from '../lookups/contenders.js';
import type { EventOf, LedgerEvent } from '../events.js';
import { attemptOf, ruleOf, sweepOf, trainerOf, trialOf } from '../find.js';
import { earnRepeats, foldChange, moveOn } from './changes.js';
import { acceptEpoch, assignAttempt, endAttempt } from './attempts.js';
import { steerTrainer } from './fleet.js';
import { addJoules } from '../joules.js';
import { addNotification, noteFailure, settleNotification } from './notify.js';
import { dequeue, enqueue } from '../lookups/lanes.js';
import { noteSweep, noteTrainer } from '../lookups/openings.js';
import { newNotifyState } from '../notify/notification.js';
import type { Limits, SweepSpec } from '../spec.js';
import { loseReports, restoreLedger, noticeLoss } from './restored.js';
import { newTrainer, type State, type SweepState, type TrialRecord } from '../state.js';

const limitsOf = ({ budget, maxParallel, priority }: SweepSpec): Limits => ({
  maxParallel,
  energyWh: budget.energyWh,
  hours: budget.hours,
  priority: priority ?? 1,
});

const watchers = new WeakMap<State, (event: LedgerEvent) => void>();

/**
 * Calls back before each event that changes `state`: for whoever copies it piece by piece while it changes. One at a
 * time. Returns the function that ends it.
 */
export function beforeFold(state: State, watcher: (event: LedgerEvent) => void): () => void {
  watchers.set(state, watcher);
  return () => {
    if (watchers.get(state) === watcher) watchers.delete(state);
  };
}

/** Changes `state` by one event of the log. */
export function fold(state: State, event: LedgerEvent): void {
  watchers.get(state)?.(event);
  switch (event.type) {
    case 'term_started':
      state.ledgerId = event.ledgerId;
      state.term = event.term;
      state.termId = event.termId ?? '';
      state.settings = event.settings;
      if (event.above !== undefined) restoreLedger(state, event);
      if (event.insteadOf !== undefined) noticeLoss(state, event.insteadOf, event.at);
      return;
    case 'reports_lost':
      loseReports(state, event);
      return;
    case 'sweep_submitted': {
      const sweep: SweepState = {
        sweepId: event.sweepId,
        spec: event.spec,
        source: event.source,
        requestId: event.requestId,
        submittedAt: event.at,
        status: 'running',
        reason: '',
        endedAt: null,
        trials: new Map(),
        queue: new Set(),
        active: new Set(),
        points: event.points,
        exhaustedAt: null,
        nextIndex: 0,
        earnedRepeats: [],
        made: new Set(),
        openTrials: 0,
        rule: {},
        best: null,
        spentJoules: null,
        firstAssignedAt: null,
        endedMs: 0,
        limits: limitsOf(event.spec),
        smoke: smokeOf(event.spec),
        tags: event.tags ?? [],
        archived: false,
        deletes: false,
        hasEpoch: false,
        lastAssigned: 0,
        unfit: new Map(),
        notify: newNotifyState(),
      };
      sweep.rule = ruleOf(sweep).init();
      state.sweeps.set(event.sweepId, sweep);
      noteSweep(state, sweep);
      return;
    }
    case 'sweep_paused': {
      const sweep = sweepOf(state, event.sweepId);
      sweep.status = 'paused';
      sweep.reason = event.reason ?? '';
      return;
    }
    case 'sweep_resumed':
      resumeSweep(sweepOf(state, event.sweepId));
      return;
    case 'sweep_stopping': {
      const sweep = sweepOf(state, event.sweepId);
      sweep.status = 'stopping';
      sweep.reason = event.reason;
      if (event.deletes === true) sweep.deletes = true;
      return;
    }
    case 'sweep_ended': {
      const sweep = sweepOf(state, event.sweepId);
      sweep.status = event.state;
      sweep.reason = event.reason;
      sweep.endedAt = event.at;
      noteSweep(state, sweep);
      return;
    }
    case 'trial_created':
      createTrial(state, event);
      return;
    case 'search_exhausted':
      sweepOf(state, event.sweepId).exhaustedAt = event.position;
      return;
    case 'trial_requeued': {
      const trial = trialOf(state, event);
      trial.state = 'queued';
      trial.notBefore = event.notBefore;
      const sweep = sweepOf(state, event.sweepId);
      trial.memoryAboveBytes = event.memoryAboveBytes ?? trial.memoryAboveBytes;
      trial.avoid = event.avoid ?? null;
      enqueue(sweep, trial);
      noteContender(sweep, trial);
      return;
    }
    case 'trial_paused': {
      const trial = trialOf(state, event);
      trial.state = 'paused';
      noteContender(sweepOf(state, event.sweepId), trial);
      return;
    }
    case 'trial_ended':
      endTrial(sweepOf(state, event.sweepId), trialOf(state, event), event);
      return;
    case 'decision_made': {
      const trial = trialOf(state, event);
      const { action, rung } = event.decision;
      trial.decisions.push(event.decision);
      if (action === 'pause') trial.waitsAtRung = rung;
      else if (action === 'promote') trial.waitsAtRung = null;
      else return;
      noteContender(sweepOf(state, event.sweepId), trial);
      return;
    }
    case 'attempt_assigned':
      assignAttempt(state, event);
      return;
    case 'attempt_started': {
      const attempt = attemptOf(state, event);
      attempt.startedAt = event.at;
      attempt.deviceKind = event.deviceKind;
      attempt.deviceModel = event.deviceModel;
      attempt.engine = event.engine;
      attempt.trainableParameters = event.trainableParameters;
      attempt.stepsPerEpoch = event.stepsPerEpoch;
      const trial = trialOf(state, event);
      if (trial.state === 'starting') trial.state = 'running';
      return;
    }
    case 'epoch_accepted':
      acceptEpoch(state, event);
      return;
    case 'epoch_repeated': {
      const attempt = attemptOf(state, event);
      attempt.lastEpoch = event.epoch;
      attempt.mayLackReports = false;
      attempt.wastedJoules = addJoules(attempt.wastedJoules, event.joules);
      const sweep = sweepOf(state, event.sweepId);
      sweep.spentJoules = addJoules(sweep.spentJoules, event.joules);
      return;
    }
    case 'stop_requested':
      attemptOf(state, event).stopMode = event.mode;
      return;
    case 'attempt_ended':
      endAttempt(state, event);
      return;
    case 'trainer_joined':
      joinTrainer(state, event);
      return;
    case 'trainer_suspected':
    case 'trainer_lost': {
      const trainer = trainerOf(state, event.trainerId);
      trainer.status = event.type === 'trainer_lost' ? 'lost' : 'suspect';
      return;
    }
    case 'smoke_ended':
      endSmoke(sweepOf(state, event.sweepId), event);
      return;
    case 'sweep_reopened':
    case 'trial_reopened':
    case 'sweep_extended':
    case 'limits_changed':
    case 'sweep_tagged':
    case 'sweep_archived':
    case 'sweep_deleted':
      foldChange(state, event);
      return;
    case 'notification_due':
      addNotification(state, sweepOf(state, event.sweepId), event);
      return;
    case 'notification_settled':
      settleNotification(state, event);
      return;
    case 'trainer_quarantined':
    case 'trainer_released':
    case 'trainer_drained':
    case 'trainer_undrained':
    case 'trainer_forgotten':
    case 'attempts_held':
    case 'held_stop_requested':
      steerTrainer(state, event);
      return;
  }
}

const smokeOf = ({ smoke }: SweepSpec): SweepState['smoke'] =>
  smoke === undefined ? null : { points: smoke, isOpen: true, message: '' };

function endSmoke(sweep: SweepState, { passed, message }: EventOf<'smoke_ended'>): void {
  if (sweep.smoke !== null) sweep.smoke = { ...sweep.smoke, isOpen: false, message };
  if (passed) requeuePaused(sweep);
}

function resumeSweep(sweep: SweepState): void {
  sweep.status = 'running';
  sweep.reason = '';
  requeuePaused(sweep);
}

function requeuePaused(sweep: SweepState): void {
  for (const trial of sweep.trials.values()) {
    if (trial.state !== 'paused' || trial.waitsAtRung !== null) continue;
    trial.state = 'queued';
    enqueue(sweep, trial);
  }
}

function createTrial(state: State, event: EventOf<'trial_created'>): void {
  const sweep = sweepOf(state, event.sweepId);
  const trial: TrialRecord = {
    trialId: event.trialId,
    index: event.index,
    parameters: event.parameters,
    pointHash: event.pointHash,
    repeat: event.repeat,
    seed: event.seed,
    createdAt: event.at,
    termId: state.termId,
    state: 'queued',
    attempts: [],
    epochs: [],
    decisions: [],
    endedAt: null,
    notBefore: 0,
    memoryAboveBytes: null,
    avoid: null,
    waitsAtRung: null,
    earnedRepeats: 1,
    retriesFrom: 0,
    checkpointsFrom: 0,
    reason: '',
    code: '',
  };
  sweep.trials.set(event.trialId, trial);
  noteContender(sweep, trial);
  if (sweep.earnedRepeats[0] === event.index) sweep.earnedRepeats.shift();
  else moveOn(sweep, event.index + 1);
  sweep.openTrials++;
  enqueue(sweep, trial);
}

function endTrial(sweep: SweepState, trial: TrialRecord, event: EventOf<'trial_ended'>): void {
  trial.state = event.state;
  trial.endedAt = event.at;
  trial.reason = event.reason;
  trial.code = event.code;
  dequeue(sweep, trial);
  sweep.openTrials--;
  noteContender(sweep, trial);
  earnRepeats(sweep, trial);
  noteFailure(sweep, event);
}

function joinTrainer(state: State, event: EventOf<'trainer_joined'>): void {
  const trainer = state.trainers.get(event.trainer.trainerId);
  if (trainer === undefined) {
    const joined = newTrainer(event.trainer);
    state.trainers.set(event.trainer.trainerId, joined);
    noteTrainer(state, joined);
    return;
  }
  trainer.info = event.trainer;
  trainer.status = 'alive';
  trainer.blockedUntil.clear();
  noteTrainer(state, trainer);
}
