/** What a webhook is sent; documented in docs/operating.md. Fields are added, never renamed. */
import { JOULES_PER_WH, type Notification } from '../core/index.js';

const BODY_VERSION = 1;

interface NotificationBody {
  readonly version: typeof BODY_VERSION;
  readonly deliveryId: string;
  readonly kind: Notification['kind'];
  /** In a sentence, for people. */
  readonly text: string;
  /** ISO 8601: when it became due. */
  readonly time: string;
  readonly sweep: {
    readonly sweepId: string;
    readonly name: string;
    readonly state: Notification['state'];
    readonly reason: string;
  };
  readonly progress: {
    readonly trialsTotal: number | null;
    readonly trialsByState: Readonly<Record<string, number>>;
  };
  readonly best: Notification['best'];
  readonly spent: { readonly energyWh: number | null; readonly hours: number | null };
  readonly budget: Notification['budget'];
  /** Null but of the kind `budget`. */
  readonly level: Notification['level'] | null;
  /** Null but of the kind `failure`. */
  readonly failures: Notification['failures'] | null;
}

export function bodyOf(notification: Notification): NotificationBody {
  const { sweepId, deliveryId, kind, name, state, reason, spent, budget, best, at } = notification;
  const { trialsTotal, trialsByState, level = null, failures = null } = notification;
  const energyWh = spent.joules === null ? null : spent.joules / JOULES_PER_WH;
  return {
    version: BODY_VERSION,
    deliveryId,
    kind,
    text: textOf(notification),
    time: new Date(at).toISOString(),
    sweep: { sweepId, name, state, reason },
    progress: { trialsTotal, trialsByState },
    best,
    spent: { energyWh, hours: spent.hours },
    budget,
    level,
    failures,
  };
}

function textOf({ sweepId, state, reason, level, failures, best }: Notification): string {
  if (level !== undefined) {
    const budget = `budget.${level.limit}`;
    return level.percent === 100
      ? `${sweepId}: ${budget} is spent`
      : `${sweepId}: ${level.percent} % of ${budget} are spent`;
  }
  if (failures !== undefined) {
    const { count, trials } = failures;
    const first = trials.map(({ trialId, code, reason: why }) =>
      `${trialId} ${code === '' ? '' : `(${code}) `}${why}`.trim(),
    );
    const more = count > trials.length ? [`and ${count - trials.length} more`] : [];
    return `${sweepId}: ${count} ${count === 1 ? 'trial' : 'trials'} failed: ${[...first, ...more].join('; ')}`;
  }
  const result = best === null ? 'no result' : `best ${best.value} of ${best.trialId}`;
  return `${sweepId} has ended (${state}${reason === '' ? '' : `, ${reason}`}): ${result}`;
}
