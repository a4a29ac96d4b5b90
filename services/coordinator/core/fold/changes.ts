/** The fold of what people change of a sweep after its submission, and of the positions that follow from it. */
import { forgetContenders, noteContender } from '../lookups/contenders.js';
import type { ChangeEvent, EventOf } from '../events.js';
import { forgetLevels } from './notify.js';
import { addJoules } from '../joules.js';
import { observationOf, ruleOf, sweepOf, trialOf } from '../find.js';
import { enqueue } from '../lookups/lanes.js';
import { noteSweep } from '../lookups/openings.js';
import type { State, SweepState, TrialRecord } from '../state.js';

export function foldChange(state: State, event: ChangeEvent): void {
  switch (event.type) {
    case 'sweep_reopened':
      reopenSweep(sweepOf(state, event.sweepId), event);
      noteSweep(state, sweepOf(state, event.sweepId));
      return;
    case 'trial_reopened':
      reopenTrial(sweepOf(state, event.sweepId), trialOf(state, event), event);
      return;
    case 'sweep_extended':
      extendSweep(sweepOf(state, event.sweepId), event);
      return;
    case 'limits_changed':
      forgetLevels(sweepOf(state, event.sweepId), event.limits);
      sweepOf(state, event.sweepId).limits = event.limits;
      return;
    case 'sweep_tagged':
      sweepOf(state, event.sweepId).tags = event.tags;
      return;
    case 'sweep_archived':
      sweepOf(state, event.sweepId).archived = event.archived;
      return;
    case 'sweep_deleted':
      state.deleted.set(event.sweepId, sweepOf(state, event.sweepId).requestId);
      state.sweeps.delete(event.sweepId);
      return;
  }
}

function reopenSweep(sweep: SweepState, { at }: EventOf<'sweep_reopened'>): void {
  sweep.endedMs += Math.max(0, at - (sweep.endedAt ?? at));
  sweep.endedAt = null;
  sweep.status = 'running';
  sweep.reason = '';
}

function reopenTrial(sweep: SweepState, trial: TrialRecord, { fromStart }: EventOf<'trial_reopened'>): void {
  dropDivergedEpoch(sweep, trial);
  trial.state = 'queued';
  trial.endedAt = null;
  trial.notBefore = 0;
  trial.memoryAboveBytes = null;
  trial.avoid = null;
  trial.waitsAtRung = null;
  trial.reason = '';
  trial.code = '';
  trial.retriesFrom = trial.attempts.length;
  if (fromStart) trial.checkpointsFrom = trial.attempts.length;
  sweep.openTrials++;
  // While its last attempt still holds a slot, the trial waits for the end of it.
  if (!sweep.active.has(trial.trialId)) enqueue(sweep, trial);
  noteContender(sweep, trial);
}

/** No rule ever saw an epoch that is not finite, so it can be trained anew and then count once. */
function dropDivergedEpoch(sweep: SweepState, trial: TrialRecord): void {
  const last = trial.epochs.at(-1);
  if (last === undefined || Number.isFinite(last.metrics[sweep.spec.objective.metric] ?? NaN)) return;
  trial.epochs.pop();
  const attempt = trial.attempts.findLast(({ lastEpoch }) => lastEpoch === last.epoch);
  const joules = addJoules(last.train.joules, last.evaluation.joules);
  if (attempt === undefined || joules === null) return;
  attempt.acceptedJoules = (attempt.acceptedJoules ?? joules) - joules;
  attempt.wastedJoules = addJoules(attempt.wastedJoules, joules);
}

function extendSweep(sweep: SweepState, { spec, points }: EventOf<'sweep_extended'>): void {
  const before = { points: sweep.points, maxEpochs: sweep.spec.maxEpochs };
  const moved = (index: number): number =>
    Math.floor(index / before.points) * points + (index % before.points);
  forgetContenders(sweep);
  sweep.spec = spec;
  sweep.points = points;
  if (points !== before.points) {
    sweep.exhaustedAt = null;
    for (const trial of sweep.trials.values()) trial.index = moved(trial.index);
    sweep.earnedRepeats = sweep.earnedRepeats.map(moved);
  }
  const positions = spec.stopping.rule === 'none' ? points * spec.repeats : points;
  const indices = [...sweep.trials.values()].map(({ index }) => index);
  sweep.made = new Set(indices.filter((index) => index < positions));
  moveOn(sweep, 0);
  for (const trial of sweep.trials.values()) if (trial.state === 'succeeded') earnRepeats(sweep, trial);
  if (spec.maxEpochs !== before.maxEpochs) relearn(sweep);
}

/** Rungs may lie now where there were none: the rule is told of every epoch anew. */
function relearn(sweep: SweepState): void {
  const rule = ruleOf(sweep);
  sweep.rule = rule.init();
  for (const trial of sweep.trials.values()) {
    for (const position of trial.epochs.keys()) {
      const observation = observationOf(sweep, trial, position);
      if (Number.isFinite(observation.value)) rule.absorb(sweep.rule, observation);
    }
  }
}

/** The search's next position is this one, or the first behind it that has no trial yet. */
export function moveOn(sweep: SweepState, position: number): void {
  sweep.nextIndex = position;
  while (sweep.made.delete(sweep.nextIndex)) sweep.nextIndex++;
}

/** Under a rule, repeats are due only of points whose first run came through; each of them once. */
export function earnRepeats(sweep: SweepState, trial: TrialRecord): void {
  const { spec, points, earnedRepeats } = sweep;
  if (trial.state !== 'succeeded' || trial.repeat > 1 || spec.stopping.rule === 'none') return;
  while (trial.earnedRepeats < spec.repeats) {
    earnedRepeats.push(trial.earnedRepeats * points + trial.index);
    trial.earnedRepeats++;
  }
}
