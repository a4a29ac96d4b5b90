/**
 * What a sweep tells its webhook: when (`NotifySpec`), and what exactly (`Notification`), as it stands in the ledger.
 * Here are only shapes and words; when one is due says `index.ts`, what recording it does `../fold/notify.ts`.
 */
export const notificationKinds = ['end', 'failure', 'budget'] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/** `notify` of a sweep file. */
export interface NotifySpec {
  /** An http or https URL. It may hold a secret: only its host is ever shown. */
  readonly webhook: string;
  readonly on: readonly NotificationKind[];
}

/** A level of a budget: 80 % of it is spent, or all. */
export interface BudgetLevel {
  readonly limit: 'energy_wh' | 'hours';
  readonly percent: 80 | 100;
}

export interface FailedTrial {
  readonly trialId: string;
  /** Of the registry of errors, or empty. */
  readonly code: string;
  readonly reason: string;
}

/** Failures that are told together. */
export interface Failures {
  readonly count: number;
  /** The first of them. */
  readonly trials: readonly FailedTrial[];
}

/** One message to a webhook, with the sweep as it was when the message became due. */
export interface Notification {
  readonly sweepId: string;
  /** Stays the same however often it is sent: receivers tell repeated ones by it. */
  readonly deliveryId: string;
  readonly kind: NotificationKind;
  readonly name: string;
  readonly state: 'running' | 'paused' | 'stopping' | 'completed' | 'stopped';
  readonly reason: string;
  /** Null when it is not known how many trials there can be. */
  readonly trialsTotal: number | null;
  readonly trialsByState: Readonly<Record<string, number>>;
  readonly best: { readonly trialId: string; readonly value: number; readonly epoch: number } | null;
  /** Joules null: nothing was read. Hours null: nothing has begun. */
  readonly spent: { readonly joules: number | null; readonly hours: number | null };
  readonly budget: { readonly energyWh: number | null; readonly hours: number | null };
  /** Of the kind `budget`. */
  readonly level?: BudgetLevel;
  /** Of the kind `failure`. */
  readonly failures?: Failures;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A message of which no answer is recorded yet. */
export interface PendingNotification extends Notification {
  readonly webhook: string;
}

/** What a sweep has told so far. */
export interface NotifyState {
  /** Numbers the messages. */
  count: number;
  delivered: number;
  givenUp: number;
  /** Why the last one was given up; empty when none was. */
  lastFault: string;
  /** Levels of the present budget that are told, as `levelName`. */
  toldLevels: string[];
  /** Failures that no message tells yet. */
  untold: { readonly count: number; readonly trials: readonly FailedTrial[] };
  /** Milliseconds since 1970. */
  failureToldAt: number | null;
}

export const newNotifyState = (): NotifyState => ({
  count: 0,
  delivered: 0,
  givenUp: 0,
  lastFault: '',
  toldLevels: [],
  untold: { count: 0, trials: [] },
  failureToldAt: null,
});

export const levelName = ({ limit, percent }: BudgetLevel): string => `${limit}-${percent}`;

/** Host and port of a webhook: what of it may be shown. */
export function webhookHost(webhook: string): string {
  try {
    return new URL(webhook).host;
  } catch {
    return 'a host that cannot be read';
  }
}
