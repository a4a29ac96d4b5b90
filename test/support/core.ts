/** Small builders for tests of the core: a sweep, a fleet, reports; and a world that feeds the core. */
import {
  decide,
  initialState,
  type Action,
  type AttemptRef,
  type Energy,
  type EpochRecord,
  type Input,
  type LedgerEvent,
  type NamedAttempt,
  type State,
  type SweepSpec,
  type TrainerInfo,
} from '../../services/coordinator/core/index.js';

export const NO_READING: Energy = { joules: null, meanWatts: null, method: '', absentReason: 'no meter' };

export const joules = (value: number): Energy => ({
  joules: value,
  meanWatts: value,
  method: 'nvml-counter',
  absentReason: '',
});

export const sweepSpec = (over: Partial<SweepSpec> = {}): SweepSpec => ({
  name: 'test',
  recipe: 'resnet-cifar10',
  command: [],
  objective: { metric: 'val_accuracy', goal: 'maximize', target: null, holdEpochs: 5, holdTolerance: 0.002 },
  levels: [],
  maxEpochs: 4,
  fixed: {},
  sweep: [{ name: 'batch_size', domain: { kind: 'list', values: [32, 64, 128] } }],
  cases: [[]],
  search: { method: 'grid' },
  stopping: { rule: 'none' },
  repeats: 1,
  seed: 1,
  budget: { energyWh: null, hours: null },
  resources: { gpus: null, device: null },
  maxParallel: null,
  ...over,
});

/** The input that submits {@link sweepSpec} under that id and name. */
export const submit = (sweepId: string): Input => ({
  type: 'submit',
  sweepId,
  spec: sweepSpec({ name: sweepId }),
  source: '',
  requestId: sweepId,
  at: 2,
});

export const trainer = (trainerId: string, slots = 1, over: Partial<TrainerInfo> = {}): TrainerInfo => ({
  trainerId,
  instanceId: `${trainerId}-1`,
  address: '127.0.0.1:1',
  slots: Array.from({ length: slots }, (_, i) => ({
    slotId: `slot${i}`,
    deviceKind: 'cpu' as const,
    deviceModel: 'cpu',
    deviceUuids: [],
  })),
  recipes: ['resnet-cifar10'],
  labels: {},
  powerMethod: '',
  draining: false,
  ...over,
});

export const epochRecord = (epoch: number, value: number, over: Partial<EpochRecord> = {}): EpochRecord => ({
  epoch,
  step: epoch * 10,
  metrics: { val_accuracy: value },
  trainSeconds: 1,
  evaluationSeconds: 0.1,
  dataWaitSeconds: 0,
  samplesPerSecond: 100,
  train: NO_READING,
  evaluation: NO_READING,
  gpuUtilization: null,
  at: 0,
  ...over,
});

type StartAction = Extract<Action, { type: 'start_attempt' }>;

/** Feeds a core, keeps its log and its commands, and moves the clock by one second an input. */
export class World {
  readonly state: State = initialState();
  readonly log: LedgerEvent[] = [];
  readonly actions: Action[] = [];
  now = 1_000_000;

  constructor() {
    this.feed({
      type: 'lead',
      ledgerId: 'ledger',
      termId: 'term1',
      coordinatorId: 'c1',
      settings: { retries: { crashed: 2, lost: 5, preempted: 10 } },
      at: this.now,
    });
  }

  feed(input: Input): readonly LedgerEvent[] {
    this.now = Math.max(this.now, input.at) + 1_000;
    const { events, actions } = decide(this.state, input);
    this.log.push(...events);
    this.actions.push(...actions);
    return events;
  }

  join(...trainers: TrainerInfo[]): void {
    for (const info of trainers) this.feed({ type: 'trainer_seen', trainer: info, at: this.now });
  }

  submit(spec: SweepSpec, sweepId = 's'): void {
    this.feed({ type: 'submit', sweepId, spec, source: '', requestId: '', at: this.now });
  }

  /** Attempts that were started and have not been seen to end, oldest first. */
  running(): StartAction[] {
    const started = this.actions.filter((action): action is StartAction => action.type === 'start_attempt');
    // A command may be given again: the last one stands for all.
    const last = new Map(
      started.map((start) => [`${start.sweepId}/${start.trialId}#${start.attempt}`, start]),
    );
    return [...last.values()].filter(
      ({ sweepId, trialId, attempt }) =>
        this.state.sweeps
          .get(sweepId)
          ?.trials.get(trialId)
          ?.attempts.find((known) => known.attempt === attempt)?.end === null,
    );
  }

  epoch(
    ref: { sweepId: string; trialId: string; attempt: number },
    record: EpochRecord,
  ): readonly LedgerEvent[] {
    const name = this.named(ref);
    return this.feed({
      type: 'reported',
      trainerId: this.trainerOf(ref),
      report: { kind: 'epoch', ...name, record },
      at: this.now,
    });
  }

  started(ref: { sweepId: string; trialId: string; attempt: number }): void {
    const name = this.named(ref);
    this.feed({
      type: 'reported',
      trainerId: this.trainerOf(ref),
      report: {
        kind: 'started',
        ...name,
        deviceKind: 'cpu',
        deviceModel: 'cpu',
        engine: {},
        trainableParameters: null,
        stepsPerEpoch: null,
        resumedEpoch: 0,
      },
      at: this.now,
    });
  }

  end(
    ref: { sweepId: string; trialId: string; attempt: number },
    endClass: Extract<LedgerEvent, { type: 'attempt_ended' }>['class'] = 'completed',
    energy: Energy = NO_READING,
  ): readonly LedgerEvent[] {
    const name = this.named(ref);
    return this.feed({
      type: 'reported',
      trainerId: this.trainerOf(ref),
      report: {
        kind: 'ended',
        ...name,
        class: endClass,
        code: '',
        message: endClass,
        seconds: 1,
        energy,
      },
      at: this.now,
    });
  }

  /** As its trainer names it. */
  named({ sweepId, trialId, attempt }: AttemptRef): NamedAttempt {
    const { attempts = [] } = this.state.sweeps.get(sweepId)?.trials.get(trialId) ?? {};
    const termId = attempts.find((known) => known.attempt === attempt)?.termId ?? '';
    return { sweepId, trialId, attempt, ...(termId === '' ? {} : { termId }) };
  }

  /** The box that has the attempt: only its words count. */
  trainerOf({ sweepId, trialId, attempt }: { sweepId: string; trialId: string; attempt: number }): string {
    const trial = this.state.sweeps.get(sweepId)?.trials.get(trialId);
    return trial?.attempts.find((known) => known.attempt === attempt)?.trainerId ?? 'any';
  }

  trial(trialId: string, sweepId = 's') {
    const trial = this.state.sweeps.get(sweepId)?.trials.get(trialId);
    if (trial === undefined) throw new Error(`no trial ${trialId}`);
    return trial;
  }
}

/** The whole state as one string: equal strings mean equal states, byte for byte. */
export const freeze = (state: State): string =>
  JSON.stringify(state, (_key, value: unknown) => {
    if (value instanceof Map) return { map: [...(value as Map<string, unknown>)] };
    if (value instanceof Set) return { set: [...(value as Set<string>)] };
    if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
    return value;
  });
