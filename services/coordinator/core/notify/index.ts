/**
 * When a sweep's webhook is told something: at its end, when trials fail, when 80 % of a budget are spent and when all
 * is. That it is due is recorded with the whole message, so it is due once, whatever is replayed; sending it is the
 * shell's.
 */
import { JOULES_PER_WH } from '../joules.js';
import { spentHours } from '../sweeps/budget.js';
import type { LedgerEvent, UnixMs } from '../events.js';
import type { Input } from '../inputs.js';
import { levelName, type BudgetLevel, type Notification, type NotificationKind } from './notification.js';
import { openSweeps } from '../lookups/openings.js';
import type { SweepState } from '../state.js';
import type { Step } from '../step.js';

/** Failures after the first are collected for so long. */
const FAILURES_EVERY_MS = 60_000;

/** Tells what the step gave rise to; to be called at its end. At a tick, also what only time makes due. */
export function settleNotifications(step: Step, isTick: boolean): void {
  if (isTick) for (const sweep of openSweeps(step.state)) tellOpen(step, sweep);
  // What this adds makes nothing else due.
  const events: readonly LedgerEvent[] = step.events.slice();
  for (const event of events) {
    const sweep = 'sweepId' in event ? step.state.sweeps.get(event.sweepId) : undefined;
    if (sweep !== undefined) tellOpen(step, sweep);
  }
}

function tellOpen(step: Step, sweep: SweepState): void {
  if (sweep.spec.notify === undefined || sweep.endedAt !== null) return;
  tellBudget(step, sweep);
  const { failureToldAt } = sweep.notify;
  const sinceMs = failureToldAt === null ? Infinity : step.at - failureToldAt;
  // A clock that was set back must not silence it.
  if (sinceMs >= FAILURES_EVERY_MS || sinceMs < 0) tellFailures(step, sweep);
}

/** Tells what is left to tell of a sweep that is about to end. */
export function tellRest(step: Step, sweep: SweepState): void {
  if (sweep.spec.notify === undefined) return;
  tellBudget(step, sweep);
  tellFailures(step, sweep);
}

/** Tells that the sweep has ended. */
export function tellEnd(step: Step, sweep: SweepState): void {
  if (wants(sweep, 'end')) emit(step, sweep, 'end', 'end', {});
}

/** An answer, or the lack of one, is recorded once. */
export function onNotificationSettled(
  step: Step,
  { deliveryId, outcome, attempts, message, at }: Extract<Input, { type: 'notification_settled' }>,
): void {
  const pending = step.state.outbox.get(deliveryId);
  if (pending === undefined) return;
  const { sweepId } = pending;
  step.emit({ type: 'notification_settled', sweepId, deliveryId, outcome, attempts, message, at });
}

const wants = ({ spec }: SweepState, kind: NotificationKind): boolean =>
  spec.notify?.on.includes(kind) === true;

function tellFailures(step: Step, sweep: SweepState): void {
  const { untold } = sweep.notify;
  if (untold.count > 0) emit(step, sweep, 'failure', 'failure', { failures: untold });
}

function tellBudget(step: Step, sweep: SweepState): void {
  if (!wants(sweep, 'budget')) return;
  const { energyWh, hours } = sweep.limits;
  const spentWh = sweep.spentJoules === null ? null : sweep.spentJoules / JOULES_PER_WH;
  for (const [limit, spent, most] of [
    ['energy_wh', spentWh, energyWh],
    ['hours', spentHours(sweep, step.at), hours],
  ] as const) {
    const percent = spent === null || most === null ? null : levelOf(spent, most);
    if (percent === null) continue;
    const level: BudgetLevel = { limit, percent };
    const name = levelName(level);
    if (!sweep.notify.toldLevels.includes(name)) emit(step, sweep, 'budget', name, { level });
  }
}

function levelOf(spent: number, most: number): BudgetLevel['percent'] | null {
  if (spent >= most) return 100;
  return spent >= 0.8 * most ? 80 : null;
}

function emit(
  step: Step,
  sweep: SweepState,
  kind: NotificationKind,
  what: string,
  more: Pick<Notification, 'level' | 'failures'>,
): void {
  const { sweepId, notify } = sweep;
  const deliveryId = `${sweepId}/${what}/${notify.count + 1}`;
  step.emit({ type: 'notification_due', sweepId, deliveryId, kind, ...factsOf(sweep, step.at), ...more });
}

function factsOf(sweep: SweepState, at: UnixMs): Omit<Notification, 'sweepId' | 'deliveryId' | 'kind'> {
  const { spec, status, reason, trials, points, best, spentJoules, limits } = sweep;
  const trialsByState: Record<string, number> = {};
  for (const { state } of trials.values()) trialsByState[state] = (trialsByState[state] ?? 0) + 1;
  // Under a stopping rule only points that do well earn their repeats.
  const isKnown = Number.isFinite(points) && (spec.repeats === 1 || spec.stopping.rule === 'none');
  return {
    name: spec.name,
    state: status,
    reason,
    trialsTotal: isKnown ? points * spec.repeats : null,
    trialsByState,
    best,
    spent: { joules: spentJoules, hours: spentHours(sweep, at) },
    budget: { energyWh: limits.energyWh, hours: limits.hours },
    at,
  };
}
