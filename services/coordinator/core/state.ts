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
  Settings,
  StopMode,
  TrainerInfo,
  TrialState,
  UnixMs,
} from './events.js';
import type { Parameters, SweepSpec } from './spec.js';
import type { RuleState } from './stopping/rule.js';

export interface AttemptState {
  /** 1-based. */
  readonly attempt: number;
  readonly trainerId: string;
  readonly slotId: string;
  readonly assignedAt: UnixMs;
  startedAt: UnixMs | null;
  endedAt: UnixMs | null;
  deviceKind: string;
  deviceModel: string;
  engine: Readonly<Record<string, string>>;
  trainableParameters: number | null;
  stepsPerEpoch: number | null;
  /** Set once the attempt was told to end. */
  stopMode: StopMode | null;
  end: {
    readonly class: AttemptEndClass;
    readonly code: string;
    readonly message: string;
    readonly seconds: number | null;
    readonly energy: Energy;
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
  readonly index: number;
  readonly parameters: Parameters;
  readonly pointHash: string;
  readonly repeat: number;
  readonly seed: number;
  readonly createdAt: UnixMs;
  state: TrialState;
  /** Attempts, in order; the last one is the current one. */
  readonly attempts: AttemptState[];
  /** Accepted epochs, rising; a program may leave some out. */
  readonly epochs: EpochRecord[];
  readonly decisions: Decision[];
  endedAt: UnixMs | null;
  /** While it waits: no attempt before this moment. */
  notBefore: UnixMs;
  /** Epochs of the rung at which the stopping rule lets it wait for its promotion; null when it does not. */
  waitsAtRung: number | null;
  reason: string;
  code: string;
}

export type SweepStatus = 'running' | 'paused' | 'stopping' | 'completed' | 'stopped';

export interface SweepState {
  readonly sweepId: string;
  readonly spec: SweepSpec;
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
  readonly points: number;
  /** The search has no point from this position on; null while it has. */
  exhaustedAt: number | null;
  /** Position of the next trial to propose. A trial's position is `(repeat - 1) * points + position of its point`. */
  nextIndex: number;
  /** Positions of repeats whose first trial has earned them, oldest first. */
  readonly earnedRepeats: number[];
  /** Trials that have not ended. */
  openTrials: number;
  /** What the stopping rule remembers. */
  rule: RuleState;
  /** Joules of all epochs and attempts so far, retrained ones included; null while nothing was read. */
  spentJoules: number | null;
  firstAssignedAt: UnixMs | null;
}

export interface TrainerState {
  info: TrainerInfo;
  status: 'alive' | 'suspect' | 'lost';
  /** Holder by slot; a free slot has no entry. */
  readonly holders: Map<string, AttemptRef>;
  /** Slots that take nothing before a moment. */
  readonly blockedUntil: Map<string, UnixMs>;
}

export interface State {
  ledgerId: string;
  term: number;
  settings: Settings;
  readonly sweeps: Map<string, SweepState>;
  readonly trainers: Map<string, TrainerState>;
}

export const initialState = (): State => ({
  ledgerId: '',
  term: 0,
  settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
  sweeps: new Map(),
  trainers: new Map(),
});
