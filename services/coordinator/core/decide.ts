/**
 * The core's one entry: an input in, events and actions out. Pure: no clock, no random source, no I/O; the moment, the
 * seeds and the names arrive in the input. The events must be in the ledger before an action is carried out.
 */
import { onChange } from './sweeps/changes.js';
import type { LedgerEvent } from './events.js';
import {
  onAttemptsListed,
  onControlTrainer,
  onEndUnheard,
  onStartRefused,
  onTrainerGone,
  onTrainerSeen,
  onTrainerSilent,
} from './fleet/index.js';
import { onStopHeld } from './fleet/held.js';
import type { Action, Input } from './inputs.js';
import { pauseSweep, stopSweep } from './sweeps/lifecycle.js';
import { onNotificationSettled, settleNotifications } from './notify/index.js';
import { settle } from './placement/index.js';
import { checkBudget, onReport } from './sweeps/reports.js';
import { withWarmStart } from './sweeps/results.js';
import { searchSize } from './search/index.js';
import { openSweeps } from './lookups/openings.js';
import { settleSmoke } from './sweeps/smoke.js';
import type { State } from './state.js';
import { onReportsMissing, onTermOutgrown } from './fleet/restored.js';
import { Step } from './step.js';

export interface Decided {
  /** To be appended to the ledger, in order; `state` has them already. */
  readonly events: readonly LedgerEvent[];
  /** To be carried out after that. Idempotent. */
  readonly actions: readonly Action[];
}

/** Takes `input` into `state` (in place) and says what it gives rise to. */
export function decide(state: State, input: Input): Decided {
  const step = new Step(state, input.at);
  take(step, input);
  for (const sweep of openSweeps(state)) settleSmoke(step, sweep);
  settle(step, input.type === 'tick');
  settleNotifications(step, input.type === 'tick');
  return { events: step.events, actions: step.actions };
}

function take(step: Step, input: Input): void {
  switch (input.type) {
    case 'lead': {
      const { type: _type, at, ...facts } = input;
      step.emit({ type: 'term_started', ...facts, term: step.state.term + 1, at });
      for (const trainer of step.state.trainers.values())
        if (trainer.status !== 'lost') step.act({ type: 'list_attempts', trainerId: trainer.info.trainerId });
      return;
    }
    case 'submit': {
      const { sweepId, source, requestId, at } = input;
      // Also one that was deleted meanwhile: a submission that is sent again does not bring it back.
      if (step.state.sweeps.has(sweepId) || step.state.deleted.has(sweepId)) return;
      if (isRepeatedSubmit(step.state, requestId)) return;
      const spec = withWarmStart(input.spec, step.state.sweeps);
      const { tags = [] } = input;
      const points = searchSize(spec);
      step.emit({ type: 'sweep_submitted', sweepId, spec, source, requestId, points, tags, at });
      return;
    }
    case 'control':
      onControl(step, input);
      return;
    case 'trainer_seen':
      onTrainerSeen(step, input);
      return;
    case 'trainer_silent':
      onTrainerSilent(step, input);
      return;
    case 'trainer_gone':
      onTrainerGone(step, input);
      return;
    case 'attempts_listed':
      onAttemptsListed(step, input);
      return;
    case 'reported':
      onReport(step, input);
      return;
    case 'start_refused':
      onStartRefused(step, input);
      return;
    case 'rerun':
    case 'extend':
    case 'set_limits':
    case 'tag':
    case 'archive':
    case 'delete':
      onChange(step, input);
      return;
    case 'control_trainer':
      onControlTrainer(step, input);
      return;
    case 'end_unheard':
      onEndUnheard(step, input);
      return;
    case 'stop_held':
      onStopHeld(step, input);
      return;
    case 'term_outgrown':
      onTermOutgrown(step, input);
      return;
    case 'reports_missing':
      onReportsMissing(step, input);
      return;
    case 'notification_settled':
      onNotificationSettled(step, input);
      return;
    case 'tick':
      for (const sweep of step.state.sweeps.values()) checkBudget(step, sweep);
      return;
  }
}

function isRepeatedSubmit(state: State, requestId: string): boolean {
  if (requestId === '') return false;
  return (
    [...state.sweeps.values()].some((sweep) => sweep.requestId === requestId) ||
    [...state.deleted.values()].includes(requestId)
  );
}

/** A person steers a sweep. A request that does not fit the sweep's status changes nothing. */
function onControl(step: Step, { sweepId, control, at }: Extract<Input, { type: 'control' }>): void {
  const sweep = step.state.sweeps.get(sweepId);
  if (sweep === undefined) return;
  switch (control) {
    case 'stop':
      if (sweep.status === 'running' || sweep.status === 'paused')
        stopSweep(step, sweep, 'cancelled', 'stopped by a person');
      return;
    case 'pause':
      pauseSweep(step, sweep, null);
      return;
    case 'resume':
      if (sweep.status !== 'paused') return;
      step.emit({ type: 'sweep_resumed', sweepId, at });
      // Before anything is placed: it may have been spent during the pause.
      checkBudget(step, sweep);
      return;
  }
}
