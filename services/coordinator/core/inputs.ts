/**
 * What reaches the core from outside: requests of people, words of trainers, the passing of time. Each carries the
 * moment of its arrival. And what the core asks of the outside: actions.
 */
import type {
  AttemptEndClass,
  AttemptRef,
  NamedAttempt,
  Energy,
  EpochRecord,
  Settings,
  StopMode,
  TrainerInfo,
  UnixMs,
} from './events.js';
import type { ProgramSetup } from './program.js';
import type { Limits, Parameters, SweepSpec } from './spec.js';

/** A fact about an attempt, as the trainer reported it; not yet accepted. */
export type ReportInput =
  | (NamedAttempt & {
      readonly kind: 'started';
      readonly deviceKind: string;
      readonly deviceModel: string;
      readonly engine: Readonly<Record<string, string>>;
      readonly trainableParameters: number | null;
      readonly stepsPerEpoch: number | null;
      readonly resumedEpoch: number;
    })
  | (NamedAttempt & { readonly kind: 'epoch'; readonly record: EpochRecord })
  | (NamedAttempt & {
      readonly kind: 'ended';
      readonly class: AttemptEndClass;
      readonly code: string;
      readonly message: string;
      readonly seconds: number | null;
      readonly energy: Energy;
    });

/** Where an attempt stands on its box, as `ListAttempts` says. */
export interface ListedAttempt extends NamedAttempt {
  readonly phase: 'starting' | 'running' | 'stopping' | 'ended';
  readonly ledgerId: string;
  /** Absent where it is not told. */
  readonly slotIds?: readonly string[];
}

/** Which trials run again, beside the failed ones. */
export interface RerunSelection {
  /** Trials by name, whatever they ended as but succeeded; null for all that the other fields select. */
  readonly trialIds: readonly string[] | null;
  /** Those that ended with the sweep, too: by a person, or by its budget. */
  readonly cancelled: boolean;
  readonly diverged: boolean;
}

/** What people ask of a sweep after its submission. */
export type ChangeInput = { readonly sweepId: string; readonly at: UnixMs } & (
  | { readonly type: 'rerun'; readonly selection: RerunSelection }
  | {
      readonly type: 'extend';
      /** The sweep's own with more points, repeats or epochs. */
      readonly spec: SweepSpec;
      /** In words. */
      readonly change: string;
    }
  | { readonly type: 'set_limits'; readonly changes: Partial<Limits> }
  | { readonly type: 'tag'; readonly add: readonly string[]; readonly remove: readonly string[] }
  | { readonly type: 'archive'; readonly archived: boolean }
  /** Only with `force` while it runs: it is then stopped, and deleted once its last attempt has ended. */
  | { readonly type: 'delete'; readonly force: boolean }
);

export type Input =
  | ChangeInput
  | {
      /** First input of a leader. */
      readonly type: 'lead';
      readonly ledgerId: string;
      /** Of the term that begins: a token, drawn at random, so that no other history of the ledger has one like it. */
      readonly termId: string;
      readonly coordinatorId: string;
      readonly settings: Settings;
      /** The ledger is begun although NATS has had another: what shows that. Absent: nothing does. */
      readonly insteadOf?: string;
      readonly at: UnixMs;
    }
  | {
      readonly type: 'submit';
      readonly sweepId: string;
      readonly spec: SweepSpec;
      readonly source: string;
      /** Makes a repeated submit harmless; empty for none. */
      readonly requestId: string;
      /** @default none */
      readonly tags?: readonly string[];
      readonly at: UnixMs;
    }
  | {
      readonly type: 'control';
      readonly sweepId: string;
      readonly control: 'stop' | 'pause' | 'resume';
      readonly at: UnixMs;
    }
  | { readonly type: 'trainer_seen'; readonly trainer: TrainerInfo; readonly at: UnixMs }
  | { readonly type: 'trainer_silent'; readonly trainerId: string; readonly at: UnixMs }
  | { readonly type: 'trainer_gone'; readonly trainerId: string; readonly at: UnixMs }
  | {
      readonly type: 'attempts_listed';
      readonly trainerId: string;
      /** What the box holds, and what it cannot know of yet. Which that is no clock tells: clocks jump. */
      readonly attempts: readonly ListedAttempt[];
      readonly at: UnixMs;
    }
  | {
      readonly type: 'reported';
      readonly trainerId: string;
      readonly report: ReportInput;
      readonly at: UnixMs;
    }
  | (AttemptRef & {
      /** The trainer refused StartAttempt; `retryable` when another slot, or the same later, may take it. */
      readonly type: 'start_refused';
      readonly retryable: boolean;
      readonly code: string;
      readonly message: string;
      readonly at: UnixMs;
    })
  | {
      /** An operator takes a box out of service, or back. */
      readonly type: 'control_trainer';
      readonly trainerId: string;
      readonly control: 'drain' | 'undrain' | 'release' | 'forget';
      /** With `drain`: its attempts checkpoint and go on elsewhere. */
      readonly stopRunning: boolean;
      readonly at: UnixMs;
    }
  | (NamedAttempt & {
      /** A box has told the end of this attempt, and its word is no longer on REPORTS. */
      readonly type: 'end_unheard';
      readonly trainerId: string;
      readonly at: UnixMs;
    })
  | (NamedAttempt & {
      /** An operator ends an attempt that this ledger never heard of. */
      readonly type: 'stop_held';
      readonly trainerId: string;
      readonly ledgerId: string;
      readonly at: UnixMs;
    })
  | {
      /** A trainer remembers a later term, and the ledger has no such one: it was restored from an older copy. */
      readonly type: 'term_outgrown';
      /** The term that the trainer remembers. */
      readonly above: number;
      readonly trainerId: string;
      readonly coordinatorId: string;
      readonly at: UnixMs;
    }
  | {
      /** Reports are gone that this ledger has not taken. */
      readonly type: 'reports_missing';
      /** Sequences on REPORTS; the last is null when the stream was made anew. */
      readonly fromSeq: number;
      readonly toSeq: number | null;
      readonly at: UnixMs;
    }
  | {
      /** A message to a webhook was answered, or is given up. */
      readonly type: 'notification_settled';
      readonly deliveryId: string;
      readonly outcome: 'delivered' | 'given_up';
      readonly attempts: number;
      /** In words; without the URL. */
      readonly message: string;
      readonly at: UnixMs;
    }
  | { readonly type: 'tick'; readonly at: UnixMs };

/** A command to a trainer. Sent only after the events of the same decision are in the ledger. */
export type Action =
  | (NamedAttempt & {
      readonly type: 'start_attempt';
      readonly trainerId: string;
      readonly slotId: string;
      /** Slots that it holds beside `slotId`; absent for none. */
      readonly furtherSlotIds?: readonly string[];
      readonly recipe: string;
      readonly command: readonly string[];
      readonly parameters: Parameters;
      /** What surrounds the command; absent for nothing. */
      readonly setup?: ProgramSetup;
      /** SHA-256 of the packed folder that the program needs; absent for none. */
      readonly codeSha256?: string;
      readonly maxEpochs: number;
      readonly seed: number;
      /** Which repeat of its setting the trial is, from 1. */
      readonly repeat: number;
      readonly objectiveMetric: string;
      readonly resumeFrom: string;
      /** Id of the term that made the trial; empty where the trainer or the ledger does not know it. */
      readonly trialTermId: string;
    })
  | (NamedAttempt & {
      readonly type: 'stop_attempt';
      readonly trainerId: string;
      readonly mode: StopMode;
      readonly reason: string;
      /** Ledger that started it, when it is another than this one. */
      readonly ledgerId?: string;
    })
  /** Ask the trainer what it holds, then feed `attempts_listed`. */
  | { readonly type: 'list_attempts'; readonly trainerId: string };
