/**
 * What the ledger holds: facts that were accepted and decisions that were made, each with its reason. Folding them
 * gives the state; nothing is computed a second time. The shapes are a format: only add to them.
 */
import type {
  UnixMs,
  TrialRef,
  AttemptRef,
  AttemptEndClass,
  Fault,
  TrialEndState,
  Energy,
  EpochRecord,
  Decision,
  HeldRecord,
  TrainerInfo,
  Settings,
  StopMode,
} from './records.js';
import type { Notification } from './notify/notification.js';
import type { Limits, Parameters, SweepSpec } from './spec.js';

export type * from './records.js';

/** What people change of a sweep after its submission. */
export type ChangeEvent =
  | {
      /** The sweep had ended, and has something to do again. */
      readonly type: 'sweep_reopened';
      readonly sweepId: string;
      readonly reason: string;
      readonly at: UnixMs;
    }
  | (TrialRef & {
      /** The trial had ended, and runs again; its retries are counted anew, a last epoch that is not finite is dropped. */
      readonly type: 'trial_reopened';
      readonly reason: string;
      /** Not from its checkpoint: from its first epoch. */
      readonly fromStart: boolean;
      readonly at: UnixMs;
    })
  | {
      /** More points, repeats or epochs. All that ran keeps its point; positions follow from the new number of points. */
      readonly type: 'sweep_extended';
      readonly sweepId: string;
      readonly spec: SweepSpec;
      readonly points: number;
      /** In words. */
      readonly change: string;
      readonly at: UnixMs;
    }
  | {
      readonly type: 'limits_changed';
      readonly sweepId: string;
      /** All of them, after the change. */
      readonly limits: Limits;
      /** In words. */
      readonly change: string;
      readonly at: UnixMs;
    }
  | {
      readonly type: 'sweep_tagged';
      readonly sweepId: string;
      /** All of them, after the change. */
      readonly tags: readonly string[];
      readonly at: UnixMs;
    }
  | {
      readonly type: 'sweep_archived';
      readonly sweepId: string;
      readonly archived: boolean;
      readonly at: UnixMs;
    }
  | {
      /** The state forgets the sweep; what the log tells of it stays. */
      readonly type: 'sweep_deleted';
      readonly sweepId: string;
      readonly at: UnixMs;
    };

export type LedgerEvent =
  | {
      readonly type: 'term_started';
      readonly ledgerId: string;
      readonly term: number;
      /** Drawn at random by who began it. Absent in ledgers of versions that had none. */
      readonly termId?: string;
      readonly coordinatorId: string;
      readonly settings: Settings;
      /** In the middle of a term: a trainer remembers this one, so that the ledger must be an older copy. */
      readonly above?: number;
      /** A person had this ledger begun although NATS has had another: what showed that. */
      readonly insteadOf?: string;
      readonly at: UnixMs;
    }
  | {
      /** Reports were removed before the ledger had taken them. */
      readonly type: 'reports_lost';
      /** Sequences on REPORTS; the last is null when the stream was made anew. */
      readonly fromSeq: number;
      readonly toSeq: number | null;
      readonly at: UnixMs;
    }
  | {
      readonly type: 'sweep_submitted';
      readonly sweepId: string;
      readonly spec: SweepSpec;
      /** The file, as written, for people. */
      readonly source: string;
      /** Makes a repeated submit harmless. */
      readonly requestId: string;
      /** Size of the search: points without repeats. */
      readonly points: number;
      /** Absent in ledgers of versions that had none. */
      readonly tags?: readonly string[];
      readonly at: UnixMs;
    }
  | {
      readonly type: 'sweep_paused';
      readonly sweepId: string;
      /** Absent when a person has paused it. */
      readonly reason?: string;
      readonly at: UnixMs;
    }
  | {
      /** All points of the smoke test have run an epoch, or ended without one. */
      readonly type: 'smoke_ended';
      readonly sweepId: string;
      readonly passed: boolean;
      /** In words. */
      readonly message: string;
      readonly at: UnixMs;
    }
  | { readonly type: 'sweep_resumed'; readonly sweepId: string; readonly at: UnixMs }
  | {
      /** No new trials or epochs; running attempts are being ended. */
      readonly type: 'sweep_stopping';
      readonly sweepId: string;
      readonly reason: string;
      /** Present when the sweep is deleted as soon as it has ended. */
      readonly deletes?: true;
      readonly at: UnixMs;
    }
  | {
      readonly type: 'sweep_ended';
      readonly sweepId: string;
      readonly state: 'completed' | 'stopped';
      readonly reason: string;
      readonly at: UnixMs;
    }
  | ChangeEvent
  | (Notification & {
      /** A message to the sweep's webhook is due; it is sent until it is settled. */
      readonly type: 'notification_due';
    })
  | {
      readonly type: 'notification_settled';
      readonly sweepId: string;
      readonly deliveryId: string;
      readonly outcome: 'delivered' | 'given_up';
      /** By the coordinator that settled it. */
      readonly attempts: number;
      /** The last answer, or why there was none, in words. */
      readonly message: string;
      readonly at: UnixMs;
    }
  | (TrialRef & {
      readonly type: 'trial_created';
      /** Position in the search's order. */
      readonly index: number;
      readonly parameters: Parameters;
      readonly pointHash: string;
      /** 1-based. */
      readonly repeat: number;
      readonly seed: number;
      readonly at: UnixMs;
    })
  | {
      /** The search found no point at this position, and there will be none behind it. */
      readonly type: 'search_exhausted';
      readonly sweepId: string;
      /** Position of a point, from 0 on. */
      readonly position: number;
      readonly at: UnixMs;
    }
  | (AttemptRef & {
      readonly type: 'attempt_assigned';
      readonly trainerId: string;
      readonly slotId: string;
      /** Slots of the same box that it holds beside `slotId`; absent for none. */
      readonly furtherSlotIds?: readonly string[];
      /** `ATTEMPT/EPOCH` of the checkpoint to go on from, or empty. */
      readonly resumeFrom: string;
      readonly at: UnixMs;
    })
  | (AttemptRef & {
      readonly type: 'attempt_started';
      readonly deviceKind: string;
      readonly deviceModel: string;
      readonly engine: Readonly<Record<string, string>>;
      readonly trainableParameters: number | null;
      readonly stepsPerEpoch: number | null;
      readonly resumedEpoch: number;
      readonly at: UnixMs;
    })
  | (AttemptRef & { readonly type: 'epoch_accepted'; readonly record: EpochRecord; readonly at: UnixMs })
  | (AttemptRef & {
      /** An epoch that the trial had already: only its joules count, as wasted. */
      readonly type: 'epoch_repeated';
      readonly epoch: number;
      readonly joules: number | null;
      readonly at: UnixMs;
    })
  | (TrialRef & { readonly type: 'decision_made'; readonly decision: Decision; readonly at: UnixMs })
  | (AttemptRef & {
      readonly type: 'stop_requested';
      readonly mode: StopMode;
      readonly reason: string;
      readonly at: UnixMs;
    })
  | (AttemptRef & {
      readonly type: 'attempt_ended';
      readonly class: AttemptEndClass;
      readonly code: string;
      readonly message: string;
      readonly seconds: number | null;
      readonly energy: Energy;
      /** The slot takes nothing before this moment (its box said that it was busy); null when it is free at once. */
      readonly slotRetryAt: UnixMs | null;
      /** Absent when nobody is to blame, and in ledgers of versions that did not tell. */
      readonly fault?: Fault;
      readonly at: UnixMs;
    })
  | (TrialRef & {
      /** The trial waits for another attempt. */
      readonly type: 'trial_requeued';
      readonly reason: string;
      /** Not before this moment: back-off after a failure. */
      readonly notBefore: UnixMs;
      /** Goes only where a device has more memory than this, in bytes; absent for anywhere. */
      readonly memoryAboveBytes?: number;
      /** Takes another box while one may come free until that moment. */
      readonly avoid?: { readonly trainerId: string; readonly until: UnixMs };
      readonly at: UnixMs;
    })
  | (TrialRef & { readonly type: 'trial_paused'; readonly at: UnixMs })
  | (TrialRef & {
      readonly type: 'trial_ended';
      readonly state: TrialEndState;
      readonly reason: string;
      /** Error code of a failed trial, else empty. */
      readonly code: string;
      readonly at: UnixMs;
    })
  | { readonly type: 'trainer_joined'; readonly trainer: TrainerInfo; readonly at: UnixMs }
  | { readonly type: 'trainer_suspected'; readonly trainerId: string; readonly at: UnixMs }
  | { readonly type: 'trainer_lost'; readonly trainerId: string; readonly at: UnixMs }
  | {
      /** Nothing is placed there until a person releases it. */
      readonly type: 'trainer_quarantined';
      readonly trainerId: string;
      /** Null for the whole box. */
      readonly slotId: string | null;
      readonly reason: string;
      readonly at: UnixMs;
    }
  | { readonly type: 'trainer_released'; readonly trainerId: string; readonly at: UnixMs }
  | { readonly type: 'trainer_drained'; readonly trainerId: string; readonly at: UnixMs }
  | { readonly type: 'trainer_undrained'; readonly trainerId: string; readonly at: UnixMs }
  | {
      /** A lost one, which a person does not expect back. If it comes all the same, it joins as a new one. */
      readonly type: 'trainer_forgotten';
      readonly trainerId: string;
      readonly at: UnixMs;
    }
  | {
      /** All that the trainer holds of other ledgers, or of a part of this one that is gone; empty when nothing is left. */
      readonly type: 'attempts_held';
      readonly trainerId: string;
      readonly held: readonly HeldRecord[];
      readonly at: UnixMs;
    }
  | {
      /** A person ends an attempt that is held. */
      readonly type: 'held_stop_requested';
      readonly trainerId: string;
      readonly held: HeldRecord;
      readonly at: UnixMs;
    };

export type LedgerEventType = LedgerEvent['type'];

/** The event of that name. */
export type EventOf<T extends LedgerEvent['type']> = Extract<LedgerEvent, { type: T }>;
