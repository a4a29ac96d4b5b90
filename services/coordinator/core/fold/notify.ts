/** The fold of messages to webhooks: what is told, what waits for an answer, what was answered. */
import type { EventOf } from '../events.js';
import { levelName, type FailedTrial, type Notification } from '../notify/notification.js';
import type { Limits } from '../spec.js';
import type { State, SweepState } from '../state.js';

/** Failed trials that one message names; the others are counted. */
const NAMED_TRIALS = 10;
const LONGEST_REASON = 1_000;

export function addNotification(state: State, sweep: SweepState, event: EventOf<'notification_due'>): void {
  const { type: _type, ...notification } = event;
  const { notify } = sweep.spec;
  if (notify === undefined) return;
  state.outbox.set(event.deliveryId, { ...notification, webhook: notify.webhook });
  markTold(sweep, notification);
}

function markTold({ notify }: SweepState, { level, failures, at }: Notification): void {
  notify.count += 1;
  // Whoever knows that all is spent need not be told of a part.
  if (level !== undefined)
    notify.toldLevels = [
      ...new Set([...notify.toldLevels, levelName(level), levelName({ ...level, percent: 80 })]),
    ];
  if (failures === undefined) return;
  notify.untold = { count: 0, trials: [] };
  notify.failureToldAt = at;
}

export function settleNotification(state: State, event: EventOf<'notification_settled'>): void {
  state.outbox.delete(event.deliveryId);
  // The sweep may be deleted by now.
  const notify = state.sweeps.get(event.sweepId)?.notify;
  if (notify === undefined) return;
  if (event.outcome === 'delivered') notify.delivered += 1;
  else {
    notify.givenUp += 1;
    notify.lastFault = event.message;
  }
}

/** Keeps a failure until a message tells it. */
export function noteFailure({ spec, notify }: SweepState, event: EventOf<'trial_ended'>): void {
  if (event.state !== 'failed' || spec.notify?.on.includes('failure') !== true) return;
  const { trialId, code, reason } = event;
  const failed: FailedTrial = { trialId, code, reason: reason.slice(0, LONGEST_REASON) };
  const { count, trials } = notify.untold;
  notify.untold = { count: count + 1, trials: trials.length < NAMED_TRIALS ? [...trials, failed] : trials };
}

/** Another budget has levels of its own. To be called before the limits change. */
export function forgetLevels({ limits, notify }: SweepState, next: Limits): void {
  const changed = [
    ...(limits.energyWh === next.energyWh ? [] : ['energy_wh']),
    ...(limits.hours === next.hours ? [] : ['hours']),
  ];
  notify.toldLevels = notify.toldLevels.filter((name) => !changed.some((limit) => name.startsWith(limit)));
}
