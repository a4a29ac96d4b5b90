/**
 * From what trainers say (protobuf) to what the core takes: absent becomes null, enums become words. What makes no sense
 * becomes null as a whole: a trainer that lies must not stop the coordinator.
 */
import { AttemptEndClass, type AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { Energy as EnergyMessage, EpochReport, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, TrainerRecord, type AttemptStatus } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isToken } from '../../../proto/subjects.js';
import type {
  AttemptEndClass as EndClass,
  AttemptRef,
  Energy,
  EpochRecord,
  ListedAttempt,
  ReportInput,
  TrainerInfo,
} from '../core/index.js';

const UNREAD: Energy = {
  joules: null,
  meanWatts: null,
  method: '',
  absentReason: 'the trainer said nothing',
};

/** A reading that is not a finite number is no reading. */
const reading = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) || value < 0 ? null : value;

/** Methods and reasons are few and come with every epoch: each is kept once, so that a million epochs do not hold it. */
const words = new Map<string, string>();
const MAX_WORDS = 1_000;

function kept(word: string): string {
  const known = words.get(word);
  if (known !== undefined) return known;
  if (words.size < MAX_WORDS) words.set(word, word);
  return word;
}

const energyOf = (energy: EnergyMessage | undefined): Energy =>
  energy === undefined
    ? UNREAD
    : {
        joules: reading(energy.joules),
        meanWatts: reading(energy.meanWatts),
        method: kept(energy.method),
        absentReason: kept(energy.absentReason),
      };

function refOf(key: AttemptKey | undefined): AttemptRef | null {
  if (key === undefined || key.attempt < 1 || key.sweepId === '' || key.trialId === '') return null;
  return { sweepId: key.sweepId, trialId: key.trialId, attempt: key.attempt };
}

const END_CLASSES: Readonly<Record<AttemptEndClass, EndClass>> = {
  [AttemptEndClass.COMPLETED]: 'completed',
  [AttemptEndClass.STOPPED]: 'stopped',
  [AttemptEndClass.DIVERGED]: 'diverged',
  [AttemptEndClass.CRASHED]: 'crashed',
  [AttemptEndClass.OUT_OF_MEMORY]: 'out_of_memory',
  [AttemptEndClass.REFUSED]: 'refused',
  [AttemptEndClass.PREEMPTED]: 'preempted',
  [AttemptEndClass.LOST]: 'lost',
  // A newer trainer's word, or a broken one: the attempt is over in any case.
  [AttemptEndClass.UNSPECIFIED]: 'crashed',
  [AttemptEndClass.UNRECOGNIZED]: 'crashed',
};

const epochRecord = (report: EpochReport): EpochRecord => ({
  epoch: report.epoch,
  step: report.step,
  metrics: report.metrics,
  trainSeconds: reading(report.trainSeconds),
  evaluationSeconds: reading(report.evaluationSeconds),
  dataWaitSeconds: reading(report.dataWaitSeconds),
  samplesPerSecond: reading(report.samplesPerSecond),
  train: energyOf(report.trainEnergy),
  evaluation: energyOf(report.evaluationEnergy),
  gpuUtilization: reading(report.gpuUtilization),
  at: report.atUnixMs,
});

/** The report as the core takes it; null when it names no attempt or holds no fact. */
export function toReportInput({ fact }: Report): ReportInput | null {
  const ref = refOf(fact?.value.key);
  if (fact === undefined || ref === null) return null;
  switch (fact.$case) {
    case 'started': {
      const { deviceKind, deviceModel, engine, trainableParameters, stepsPerEpoch, resumedEpoch } =
        fact.value;
      return {
        kind: 'started',
        ...ref,
        deviceKind,
        deviceModel,
        engine,
        trainableParameters: reading(trainableParameters),
        stepsPerEpoch: reading(stepsPerEpoch),
        resumedEpoch,
      };
    }
    case 'epoch':
      return fact.value.epoch < 1 ? null : { kind: 'epoch', ...ref, record: epochRecord(fact.value) };
    case 'ended': {
      const { code, message, seconds, energy } = fact.value;
      return {
        kind: 'ended',
        ...ref,
        class: END_CLASSES[fact.value.class],
        code,
        message,
        seconds: reading(seconds),
        energy: energyOf(energy),
      };
    }
  }
}

const PHASES: Readonly<Record<AttemptPhase, ListedAttempt['phase']>> = {
  [AttemptPhase.STARTING]: 'starting',
  [AttemptPhase.RUNNING]: 'running',
  [AttemptPhase.STOPPING]: 'stopping',
  [AttemptPhase.ENDED]: 'ended',
  [AttemptPhase.UNSPECIFIED]: 'running',
  [AttemptPhase.UNRECOGNIZED]: 'running',
};

export function toListedAttempt(status: AttemptStatus): ListedAttempt | null {
  const { key, phase, ledgerId, slotId, furtherSlotIds } = status;
  const ref = refOf(key);
  return ref === null
    ? null
    : { ...ref, phase: PHASES[phase], ledgerId, slotIds: [slotId, ...furtherSlotIds] };
}

/** The record of the KV bucket under `key`; null when it is none. */
export function toTrainerInfo(key: string, value: Uint8Array): TrainerInfo | null {
  let record: TrainerRecord;
  try {
    record = TrainerRecord.fromJSON(JSON.parse(Buffer.from(value).toString('utf8')));
  } catch {
    return null;
  }
  if (record.trainerId !== key || !isToken(key) || record.address === '') return null;
  return {
    trainerId: record.trainerId,
    instanceId: record.instanceId,
    address: record.address,
    slots: record.slots.map((slot) => ({
      slotId: slot.slotId,
      deviceKind: slot.deviceKind === 'gpu' ? 'gpu' : 'cpu',
      deviceModel: slot.deviceModel,
      deviceUuids: slot.deviceUuids,
      memoryBytes: reading(slot.memoryBytes),
      freeMemoryBytes: reading(slot.freeMemoryBytes),
    })),
    recipes: record.recipes,
    labels: record.labels,
    powerMethod: record.powerMethod,
    draining: record.draining,
  };
}
