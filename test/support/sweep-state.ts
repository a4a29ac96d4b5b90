/** Builds the state of a sweep as the ledger folds to it, from curves: for tests of what is made of such a state. */
import type { Energy, EpochRecord, SweepSpec, TrialState } from '../../services/coordinator/core/index.js';
import { newNotifyState } from '../../services/coordinator/core/notify/notification.js';
import type { Decision } from '../../services/coordinator/core/events.js';
import type { Parameters } from '../../services/coordinator/core/spec.js';
import type {
  AttemptState,
  SweepState,
  SweepStatus,
  TrialRecord,
} from '../../services/coordinator/core/state.js';
import { sweepSpec } from './core.js';

export const NO_METER: Energy = {
  joules: null,
  meanWatts: null,
  method: '',
  absentReason: 'no power meter found',
};

export interface TrialOutline {
  readonly parameters: Parameters;
  /** Objective after epochs 1, 2, ... */
  readonly values: readonly number[];
  /** Seconds of an epoch, evaluation included. @default 10 */
  readonly seconds?: number;
  /** Mean watts; null for no meter. @default null */
  readonly watts?: number | null;
  readonly method?: string;
  readonly gpuUtilization?: number | null;
  /** @default 'succeeded' */
  readonly state?: TrialState;
  readonly repeat?: number;
  readonly reason?: string;
  readonly code?: string;
  readonly decisions?: readonly Decision[];
  /** Models of the devices of its attempts, the last one's epochs counting; empty for a trial that never started. */
  readonly devices?: readonly string[];
}

export interface SweepOutline {
  readonly spec?: Partial<SweepSpec>;
  readonly trials: readonly TrialOutline[];
  /** @default 'completed' */
  readonly status?: SweepStatus;
  readonly reason?: string;
}

/** When the sweeps of these tests begin: 2026-01-02 03:04 UTC. */
export const BEGIN = Date.UTC(2026, 0, 2, 3, 4);

/** Nine tenths of an epoch train, one tenth evaluates. */
const TRAIN_SHARE = 0.9;

export function records(outline: TrialOutline, metric: string): EpochRecord[] {
  const { seconds = 10, watts = null, method = 'nvml-counter', gpuUtilization = null } = outline;
  const energy = (share: number): Energy =>
    watts === null
      ? NO_METER
      : { joules: watts * seconds * share, meanWatts: watts, method, absentReason: '' };
  return outline.values.map((value, i) => ({
    epoch: i + 1,
    step: (i + 1) * 100,
    metrics: { [metric]: value },
    trainSeconds: seconds * TRAIN_SHARE,
    evaluationSeconds: seconds * (1 - TRAIN_SHARE),
    dataWaitSeconds: 0,
    samplesPerSecond: 1000,
    train: energy(TRAIN_SHARE),
    evaluation: energy(1 - TRAIN_SHARE),
    gpuUtilization,
    at: BEGIN + (i + 1) * seconds * 1000,
  }));
}

function attempts(outline: TrialOutline, isOpen: boolean, maxEpochs: number): AttemptState[] {
  const { devices = ['GPU model A'], values, code = '', reason = '', state = 'succeeded' } = outline;
  const ends = { stopped: 'stopped', diverged: 'diverged', failed: 'crashed' } as const;
  return devices.map((deviceModel, i) => {
    const isLast = i === devices.length - 1;
    return {
      attempt: i + 1,
      trainerId: `box-${deviceModel.at(-1)?.toLowerCase() ?? ''}`,
      slotId: 'slot0',
      furtherSlotIds: [],
      slotModel: deviceModel,
      slotMemoryBytes: null,
      assignedAt: BEGIN,
      startedAt: BEGIN,
      endedAt: isOpen && isLast ? null : BEGIN + 60_000,
      deviceKind: 'gpu',
      deviceModel,
      engine: { name: 'tensorflow', version: '2.0.0', precision: 'float32' },
      trainableParameters: null,
      stepsPerEpoch: null,
      maxEpochs,
      term: 1,
      termId: '',
      mayLackReports: false,
      stopMode: null,
      end:
        isOpen && isLast
          ? null
          : {
              class: !isLast ? 'lost' : state in ends ? ends[state as keyof typeof ends] : 'completed',
              code,
              message: reason,
              seconds: 60,
              energy: NO_METER,
              fault: null,
            },
      lastEpoch: isLast ? values.length : 0,
      acceptedJoules: null,
      wastedJoules: null,
    };
  });
}

const OPEN: readonly TrialState[] = ['queued', 'starting', 'running', 'paused'];

export function sweepState({
  spec: over,
  trials: outlines,
  status = 'completed',
  reason = '',
}: SweepOutline): SweepState {
  const spec = sweepSpec({ name: 'study', ...over });
  const { metric } = spec.objective;
  const trials = outlines.map((outline, index): TrialRecord => {
    const { state = 'succeeded', repeat = 1 } = outline;
    const isOpen = OPEN.includes(state);
    const hash = JSON.stringify(outline.parameters);
    return {
      trialId: `t${index + 1}`,
      index,
      parameters: outline.parameters,
      pointHash: Buffer.from(hash).toString('hex'),
      repeat,
      seed: repeat,
      createdAt: BEGIN,
      termId: '',
      state,
      attempts: attempts(outline, isOpen, spec.maxEpochs),
      epochs: records(outline, metric),
      decisions: [...(outline.decisions ?? [])],
      endedAt: isOpen ? null : BEGIN + 60_000,
      notBefore: 0,
      memoryAboveBytes: null,
      avoid: null,
      waitsAtRung: null,
      earnedRepeats: 1,
      retriesFrom: 0,
      checkpointsFrom: 0,
      reason: outline.reason ?? '',
      code: outline.code ?? '',
    };
  });
  const hasEnded = status === 'completed' || status === 'stopped';
  return {
    sweepId: 'study-1',
    spec,
    source: '',
    requestId: '',
    submittedAt: BEGIN,
    status,
    reason,
    endedAt: hasEnded ? BEGIN + 3_600_000 : null,
    trials: new Map(trials.map((trial) => [trial.trialId, trial])),
    queue: new Set(),
    active: new Set(),
    points: new Set(trials.map((trial) => trial.pointHash)).size,
    exhaustedAt: null,
    nextIndex: trials.length,
    earnedRepeats: [],
    made: new Set(),
    openTrials: trials.filter((trial) => OPEN.includes(trial.state)).length,
    rule: {},
    best: null,
    spentJoules: null,
    firstAssignedAt: BEGIN,
    endedMs: 0,
    limits: { maxParallel: null, energyWh: null, hours: null, priority: 1 },
    tags: [],
    smoke: null,
    archived: false,
    deletes: false,
    hasEpoch: true,
    lastAssigned: 1,
    unfit: new Map(),
    notify: newNotifyState(),
  };
}

/** What a rule said when it stopped a trial. */
export const stopDecision = (over: Partial<Decision> = {}): Decision => ({
  rule: 'asha@1',
  action: 'stop',
  epoch: 4,
  rung: 4,
  value: 0.5,
  rank: 3,
  n: 3,
  threshold: 0.6,
  reason: 'rung 4: value 0.5 is rank 3 of 3; the best 1 (to 0.6) go on',
  ...over,
});
