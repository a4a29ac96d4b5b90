/**
 * The state of everything: the fold of the ledger. Owned by one fold at a time, which changes it in place (so that an
 * epoch costs the same with ten trials as with a hundred thousand); everybody else reads.
 */
import type {
  AttemptEndClass,
  AttemptRef,
  Decision,
  Energy,
  EpochRecord,
  Fault,
  HeldRecord,
  Settings,
  StopMode,
  TrainerInfo,
  TrialRef,
  TrialState,
  UnixMs,
} from './events.js';
import type { NotifyState, PendingNotification } from './notify/notification.js';
import type { Limits, Parameters, SweepSpec } from './spec.js';
import type { RuleState } from './stopping/rule.js';

export interface AttemptState {
  /** 1-based. */
  readonly attempt: number;
  readonly trainerId: string;
  readonly slotId: string;
  /** Slots that it holds beside `slotId`. */
  readonly furtherSlotIds: readonly string[];
  /** Model and memory (bytes, of one device; null when not known) of the slot, as its trainer said at the assignment. */
  readonly slotModel: string;
  readonly slotMemoryBytes: number | null;
  readonly assignedAt: UnixMs;
  startedAt: UnixMs | null;
  endedAt: UnixMs | null;
  deviceKind: string;
  deviceModel: string;
  engine: Readonly<Record<string, string>>;
  trainableParameters: number | null;
  stepsPerEpoch: number | null;
  /** Epochs at which it ends by itself: the sweep's when it was assigned. */
  readonly maxEpochs: number;
  /** Term in which it was assigned. */
  readonly term: number;
  /** Id of that term, with which its trainer names it; empty where trainer or ledger do not know it. */
  readonly termId: string;
  /** Reports are gone among which its own may have been. */
  mayLackReports: boolean;
  /** Set once the attempt was told to end. */
  stopMode: StopMode | null;
  end: {
    readonly class: AttemptEndClass;
    readonly code: string;
    readonly message: string;
    readonly seconds: number | null;
    readonly energy: Energy;
    /** Null when nobody is to blame, or it was not told. */
    readonly fault: Fault | null;
  } | null;
  /** Last epoch that this attempt reported; 0 before the first. */
  lastEpoch: number;
  /** Joules of this attempt's accepted epochs; null when none was read. */
  acceptedJoules: number | null;
  /** Joules that gave no accepted epoch: trained again, or lost at the end; null when they were not read. */
  wastedJoules: number | null;
}

export interface TrialRecord {
  readonly trialId: string;
  /** Position, as `SweepState.nextIndex` counts. */
  index: number;
  readonly parameters: Parameters;
  readonly pointHash: string;
  readonly repeat: number;
  readonly seed: number;
  readonly createdAt: UnixMs;
  /** Id of the term that made it; empty in ledgers of versions that had none. */
  readonly termId: string;
  state: TrialState;
  /** Attempts, in order; the last one is the current one. */
  readonly attempts: AttemptState[];
  /** Accepted epochs, rising; a program may leave some out. */
  readonly epochs: EpochRecord[];
  readonly decisions: Decision[];
  endedAt: UnixMs | null;
  /** While it waits: no attempt before this moment. */
  notBefore: UnixMs;
  /** Goes only where a device has more bytes of memory than this; null for anywhere. */
  memoryAboveBytes: number | null;
  /** Takes another box than this one until that moment; null for any. */
  avoid: { readonly trainerId: string; readonly until: UnixMs } | null;
  /** Epochs of the rung at which the stopping rule lets it wait for its promotion; null when it does not. */
  waitsAtRung: number | null;
  /** Repeats of its point that are made or due because of it, the first run included. */
  earnedRepeats: number;
  /** Attempts before this index are no longer counted as retries: a person has let the trial run again. */
  retriesFrom: number;
  /** Checkpoints of attempts before this index are not gone on from. */
  checkpointsFrom: number;
  reason: string;
  code: string;
}

export type SweepStatus = 'running' | 'paused' | 'stopping' | 'completed' | 'stopped';

export interface SweepState {
  readonly sweepId: string;
  spec: SweepSpec;
  readonly source: string;
  readonly requestId: string;
  readonly submittedAt: UnixMs;
  status: SweepStatus;
  reason: string;
  endedAt: UnixMs | null;
  readonly trials: Map<string, TrialRecord>;
  /** Trials that wait for a slot, oldest first. */
  readonly queue: Set<string>;
  /** Trials that hold a slot. */
  readonly active: Set<string>;
  /** Size of the search: points without repeats. */
  points: number;
  /** The search has no point from this position on; null while it has. */
  exhaustedAt: number | null;
  /** Position of the next trial to propose. A trial's position is `(repeat - 1) * points + position of its point`. */
  nextIndex: number;
  /** Positions of repeats whose first trial has earned them, oldest first. */
  earnedRepeats: number[];
  /** Positions from `nextIndex` on that have their trial already: an extension has put new ones before them. */
  made: Set<number>;
  /** Trials that have not ended. */
  openTrials: number;
  /** What the stopping rule remembers. */
  rule: RuleState;
  /** Best finite objective so far; null before the first. */
  best: { readonly trialId: string; readonly value: number; readonly epoch: number } | null;
  /** Joules of all epochs and attempts so far, retrained ones included; null while nothing was read. */
  spentJoules: number | null;
  firstAssignedAt: UnixMs | null;
  /** Milliseconds between ends and reopenings. */
  endedMs: number;
  limits: Limits;
  /** Null without a smoke test. */
  smoke: { readonly points: number; isOpen: boolean; message: string } | null;
  /** In the order of their adding, each once. */
  tags: readonly string[];
  /** Left out of lists. */
  archived: boolean;
  /** Is deleted as soon as it has ended. */
  deletes: boolean;
  /** An epoch has been accepted: what it runs can run. */
  hasEpoch: boolean;
  /** Number of the assignment, among those of all sweeps, that was this sweep's last; 0 before the first. */
  lastAssigned: number;
  /** Boxes that refused what the sweep runs, as they were then. */
  readonly unfit: Map<string, { readonly instanceId: string; readonly message: string }>;
  readonly notify: NotifyState;
}

export interface HeldAttempt extends HeldRecord {
  readonly since: UnixMs;
  stopRequested: boolean;
}

/** Names a held attempt among those of its trainer. */
export const heldKey = ({
  ledgerId,
  sweepId,
  trialId,
  attempt,
  termId = '',
}: Pick<HeldRecord, 'ledgerId' | 'sweepId' | 'trialId' | 'attempt' | 'termId'>): string =>
  `${ledgerId}/${sweepId}/${trialId}#${attempt}${termId === '' ? '' : `.${termId}`}`;

/** An attempt that failed on a box. */
export interface Failure extends TrialRef {
  readonly slotId: string;
  readonly fault: 'box' | 'trial';
  readonly code: string;
  readonly message: string;
  /** Counts for its slot only: another slot of the box has done well since. */
  slotOnly: boolean;
}

export interface Quarantine {
  readonly reason: string;
  readonly since: UnixMs;
}

export interface TrainerState {
  info: TrainerInfo;
  status: 'alive' | 'suspect' | 'lost';
  /** Holder by slot; a free slot has no entry. */
  readonly holders: Map<string, AttemptRef>;
  /** Slots that take nothing before a moment. */
  readonly blockedUntil: Map<string, UnixMs>;
  /** Drained by a person, here; the box's own draining stands in its record. */
  drained: boolean;
  quarantine: Quarantine | null;
  readonly slotQuarantines: Map<string, Quarantine>;
  /** Failures since the last success, oldest first. */
  readonly failures: Failure[];
  /** Attempts of other ledgers, by ledger and name. They keep their slots. */
  readonly held: Map<string, HeldAttempt>;
}

/** A trainer that has just joined. */
export const newTrainer = (info: TrainerInfo): TrainerState => ({
  info,
  status: 'alive',
  holders: new Map(),
  blockedUntil: new Map(),
  drained: false,
  quarantine: null,
  slotQuarantines: new Map(),
  failures: [],
  held: new Map(),
});

/** Something that an operator must know of, and that no sweep is to blame for. */
export interface Notice {
  readonly text: string;
  readonly at: UnixMs;
}

export interface State {
  ledgerId: string;
  term: number;
  /** Drawn when the coordinator that leads began; empty in ledgers of versions that had none. */
  termId: string;
  /** How often this ledger was found to be an older copy of what trainers remember. */
  copies: number;
  /** The newest, oldest first. */
  notices: readonly Notice[];
  settings: Settings;
  /** Attempts that were ever given to a slot. */
  assignments: number;
  readonly sweeps: Map<string, SweepState>;
  /**
   * Sweeps that a person has deleted, with the ids of the requests that submitted them: what a box still runs of them is
   * stopped, and a request that arrives again brings none back.
   */
  readonly deleted: Map<string, string>;
  readonly trainers: Map<string, TrainerState>;
  /** Messages to webhooks that are not settled, by delivery id, oldest first. Also of sweeps that are deleted. */
  readonly outbox: Map<string, PendingNotification>;
}

/**
 * Attempts of a restored ledger are numbered from here on for trainers that know no term ids: what was lost with its end
 * never had so many.
 */
export const ATTEMPTS_A_COPY = 1_000;

export const initialState = (): State => ({
  ledgerId: '',
  term: 0,
  termId: '',
  copies: 0,
  notices: [],
  settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
  assignments: 0,
  sweeps: new Map(),
  deleted: new Map(),
  trainers: new Map(),
  outbox: new Map(),
});
