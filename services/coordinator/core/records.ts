/**
 * The words that the ledger's events are made of: how trials and attempts are named, what an epoch, a decision and a box
 * are. The shapes are a format, like the events themselves (`events.ts`): only add to them.
 */

/** Milliseconds since 1970, as the coordinator's clock read when the input arrived. */
export type UnixMs = number;

export interface TrialRef {
  readonly sweepId: string;
  readonly trialId: string;
}

export interface AttemptRef extends TrialRef {
  readonly attempt: number;
}

/**
 * An attempt as its trainer names it. Numbers are unique in one history of the ledger; with the id of the term that
 * assigned it an attempt is unique for ever, also where a restore has given the ledger a second history.
 */
export interface NamedAttempt extends AttemptRef {
  /** Absent or empty where the trainer, or the coordinator that assigned it, does not know it. */
  readonly termId?: string;
}

export type AttemptEndClass =
  'completed' | 'stopped' | 'diverged' | 'crashed' | 'out_of_memory' | 'refused' | 'preempted' | 'lost';

/**
 * Whose fault an end is: the trial's (its program, its parameters), the box's, or that of the two together (a box that
 * does not offer what the sweep runs).
 */
export type Fault = 'trial' | 'box' | 'pairing';

/** States in which a trial stays for good. */
export type TrialEndState = 'succeeded' | 'stopped' | 'diverged' | 'failed' | 'cancelled';

export type TrialState = 'queued' | 'starting' | 'running' | 'paused' | TrialEndState;

/** Energy of a stretch of time. `joules` null means that nothing read it; `absentReason` then says why. */
export interface Energy {
  readonly joules: number | null;
  readonly meanWatts: number | null;
  /** As `proto/energy.ts`; empty when nothing read it. */
  readonly method: string;
  readonly absentReason: string;
  /** Part of the stretch that was read, 0 to 1; absent: all of it, or it was not told. */
  readonly coverage?: number;
  /** Readings a second; of a whole attempt only. */
  readonly samplesPerSecond?: number;
  /** Difference between energy counter and integrated power, relative to the counter; absent unless both were there. */
  readonly disagreement?: number;
  /** Watts of the devices before the attempt, while nothing trained on them; of a whole attempt only. */
  readonly idleWatts?: number;
  /** Part of the devices' energy that is booked here, 0 to 1, where attempts shared them; absent: all of it. */
  readonly share?: number;
}

/** One accepted epoch. Metrics may be non-finite; unread quantities are null. */
export interface EpochRecord {
  readonly epoch: number;
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly trainSeconds: number | null;
  readonly evaluationSeconds: number | null;
  readonly dataWaitSeconds: number | null;
  readonly samplesPerSecond: number | null;
  readonly train: Energy;
  readonly evaluation: Energy;
  readonly gpuUtilization: number | null;
  /** The trainer's clock at the end of the epoch. */
  readonly at: UnixMs;
}

export type DecisionAction = 'continue' | 'stop' | 'pause' | 'promote' | 'succeed' | 'diverge';

/** What a rule said of one report, and why. */
export interface Decision {
  /** Name and version, e.g. `asha@1`. */
  readonly rule: string;
  readonly action: DecisionAction;
  readonly epoch: number;
  /** Epochs of the rung; null for rules without rungs. */
  readonly rung: number | null;
  /** The number that was compared. */
  readonly value: number | null;
  /** 1 is best. */
  readonly rank: number | null;
  /** Values compared, this one included. */
  readonly n: number | null;
  /** The number that it was compared with. */
  readonly threshold: number | null;
  readonly reason: string;
}

export interface SlotRecord {
  readonly slotId: string;
  readonly deviceKind: 'gpu' | 'cpu';
  readonly deviceModel: string;
  readonly deviceUuids: readonly string[];
  /** Bytes of device memory; null when they are not known. Absent in ledgers of versions that did not ask. */
  readonly memoryBytes?: number | null;
  /** Bytes that other programs of the box leave; null or absent when they are not known. */
  readonly freeMemoryBytes?: number | null;
  /** Slots of the box that share its devices, itself included; absent when it has them alone. */
  readonly sharedBy?: number;
  /** CPUs that an attempt is pinned to, `0-3,8`; absent when it may use all of the box. */
  readonly cpus?: string;
}

/** An attempt that a trainer runs and this ledger never heard of. */
export interface HeldRecord extends NamedAttempt {
  /** Ledger that started it. */
  readonly ledgerId: string;
  readonly slotIds: readonly string[];
}

/** What a trainer said of itself. */
export interface TrainerInfo {
  readonly trainerId: string;
  readonly instanceId: string;
  readonly address: string;
  readonly slots: readonly SlotRecord[];
  readonly recipes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly powerMethod: string;
  readonly draining: boolean;
  /** It names attempts with the id of their term. Absent: it does not. */
  readonly knowsTermIds?: true;
}

/** How the coordinator's operator set it up; recorded at each term, since decisions depend on it. */
export interface Settings {
  /** Retries of a trial by class of its attempts' ends. Absent ones: `DEFAULT_RETRIES`. */
  readonly retries: {
    readonly crashed: number;
    readonly lost: number;
    readonly preempted: number;
    readonly outOfMemory?: number;
    readonly refused?: number;
  };
  /** Different trials in a row that fail on a box until it is quarantined; 0 for never. @default 3 */
  readonly quarantineAfter?: number;
}

export type StopMode = 'stop' | 'pause' | 'cancel';
