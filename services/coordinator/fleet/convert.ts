/**
 * From what trainers say (protobuf) to what the core takes: absent becomes null, enums become words. What makes no sense
 * becomes null as a whole, what cannot be is no reading (`plausible.ts`): a trainer that lies must not stop the coordinator.
 */
import { AttemptEndClass, type AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { Energy as EnergyMessage, EpochReport, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, TrainerRecord, type AttemptStatus } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isToken } from '../../../proto/subjects.js';
import type {
  AttemptEndClass as EndClass,
  NamedAttempt,
  Energy,
  EpochRecord,
  ListedAttempt,
  ReportInput,
  TrainerInfo,
} from '../core/index.js';
import { bounded, cut, LONGEST, reading, type Doubt } from './plausible.js';

const UNREAD: Energy = {
  joules: null,
  meanWatts: null,
  method: '',
  absentReason: 'the trainer said nothing',
};

const nobody: Doubt = () => undefined;

/** Methods and reasons are few and come with every epoch: each is kept once, so that a million epochs do not hold it. */
const words = new Map<string, string>();
const MAX_WORDS = 1_000;

function kept(word: string): string {
  const known = words.get(word);
  if (known !== undefined) return known;
  if (words.size < MAX_WORDS) words.set(word, word);
  return word;
}

/** Texts that come with every epoch; longer ones are not kept. */
const word = (text: string, longest: number, what: string, doubt: Doubt): string =>
  kept(cut(text, longest, what, doubt));

function energyOf(energy: EnergyMessage | undefined, doubt: Doubt): Energy {
  if (energy === undefined) return UNREAD;
  const joules = reading(energy.joules, 'joules', 'energy', doubt);
  const absentReason = word(energy.absentReason, LONGEST.sentence, 'the reason for no energy', doubt);
  const isDoubted = joules === null && energy.joules !== undefined && absentReason === '';
  const read: Energy = {
    joules,
    meanWatts: joules === null ? null : reading(energy.meanWatts, 'watts', 'power', doubt),
    method: word(energy.method, LONGEST.name, 'the method of energy', doubt),
    absentReason: isDoubted ? `the trainer said ${String(energy.joules)} J` : absentReason,
  };
  return hasQuality(energy) ? { ...read, ...qualityOf(energy, doubt) } : read;
}

/** Most epochs carry none of it: an object put together from parts is slower and larger than a plain one. */
const hasQuality = ({ coverage, samplesPerSecond, disagreement, idleWatts, share }: EnergyMessage): boolean =>
  share !== undefined ||
  coverage !== undefined ||
  samplesPerSecond !== undefined ||
  disagreement !== undefined ||
  idleWatts !== undefined;

function qualityOf(energy: EnergyMessage, doubt: Doubt): Partial<Energy> {
  const coverage = reading(energy.coverage, 'ratio', 'the coverage of energy', doubt);
  const samplesPerSecond = reading(energy.samplesPerSecond, 'perSecond', 'the sampling rate of power', doubt);
  const disagreement = reading(energy.disagreement, 'ratio', 'the disagreement of counter and power', doubt);
  const idleWatts = reading(energy.idleWatts, 'watts', 'idle power', doubt);
  const share = reading(energy.share, 'ratio', 'the share of energy', doubt);
  return {
    ...(coverage === null ? {} : { coverage }),
    ...(samplesPerSecond === null ? {} : { samplesPerSecond }),
    ...(disagreement === null ? {} : { disagreement }),
    ...(idleWatts === null ? {} : { idleWatts }),
    ...(share === null ? {} : { share }),
  };
}

function refOf(key: AttemptKey | undefined): NamedAttempt | null {
  if (key === undefined || key.attempt < 1 || key.sweepId === '' || key.trialId === '') return null;
  if (key.sweepId.length > LONGEST.name || key.trialId.length > LONGEST.name) return null;
  const { sweepId, trialId, attempt, termId } = key;
  if (termId.length > LONGEST.name) return null;
  return termId === '' ? { sweepId, trialId, attempt } : { sweepId, trialId, attempt, termId: kept(termId) };
}

/** Names an attempt to its trainer. */
export const toKey = ({ sweepId, trialId, attempt, termId = '' }: NamedAttempt): AttemptKey => ({
  sweepId,
  trialId,
  attempt,
  termId,
});

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

function epochRecord(report: EpochReport, tell: Doubt): EpochRecord {
  const doubt = (sentence: string): void => tell(`epoch ${report.epoch}: ${sentence}`);
  return {
    epoch: report.epoch,
    step: report.step,
    metrics: bounded(report.metrics, 'metrics', doubt),
    trainSeconds: reading(report.trainSeconds, 'seconds', 'training seconds', doubt),
    evaluationSeconds: reading(report.evaluationSeconds, 'seconds', 'evaluation seconds', doubt),
    dataWaitSeconds: reading(report.dataWaitSeconds, 'seconds', 'data wait seconds', doubt),
    samplesPerSecond: reading(report.samplesPerSecond, 'perSecond', 'samples a second', doubt),
    train: energyOf(report.trainEnergy, doubt),
    evaluation: energyOf(report.evaluationEnergy, doubt),
    gpuUtilization: reading(report.gpuUtilization, 'ratio', 'utilisation', doubt),
    at: report.atUnixMs,
  };
}

/**
 * The report as the core takes it; null when it names no attempt or holds no fact.
 *
 * @param doubt told of what cannot be, and is left out
 */
export function toReportInput({ fact }: Report, doubt: Doubt = nobody): ReportInput | null {
  const ref = refOf(fact?.value.key);
  if (fact === undefined || ref === null) return null;
  switch (fact.$case) {
    case 'started': {
      const { deviceKind, deviceModel, engine, trainableParameters, stepsPerEpoch, resumedEpoch } =
        fact.value;
      const name = (text: string, what: string): string => cut(text, LONGEST.name, what, doubt);
      return {
        kind: 'started',
        ...ref,
        deviceKind: name(deviceKind, 'the kind of device'),
        deviceModel: name(deviceModel, 'the model of the device'),
        engine: Object.fromEntries(
          Object.entries(bounded(engine, 'facts of the engine', doubt)).map(([key, text]) => [
            key,
            name(text, `the engine's ${key}`),
          ]),
        ),
        trainableParameters: reading(trainableParameters, 'count', 'the number of parameters', doubt),
        stepsPerEpoch: reading(stepsPerEpoch, 'count', 'the number of steps', doubt),
        resumedEpoch,
      };
    }
    case 'epoch':
      return fact.value.epoch < 1 ? null : { kind: 'epoch', ...ref, record: epochRecord(fact.value, doubt) };
    case 'ended': {
      const { code, message, seconds, energy } = fact.value;
      return {
        kind: 'ended',
        ...ref,
        class: END_CLASSES[fact.value.class],
        code: cut(code, LONGEST.name, 'the code of the end', doubt),
        message: cut(message, LONGEST.sentence, 'the message of the end', doubt),
        seconds: reading(seconds, 'seconds', 'the seconds of the attempt', doubt),
        energy: energyOf(energy, doubt),
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

/** Slots that a box may have. */
const MOST_SLOTS = 1_000;

/** The record of the KV bucket under `key`; null when it is none. What cannot be in it is told to `doubt` and left out. */
export function toTrainerInfo(key: string, value: Uint8Array, doubt: Doubt = nobody): TrainerInfo | null {
  let record: TrainerRecord;
  try {
    record = TrainerRecord.fromJSON(JSON.parse(Buffer.from(value).toString('utf8')));
  } catch {
    return null;
  }
  if (record.trainerId !== key || !isToken(key) || record.address === '') return null;
  const name = (text: string, what: string): string => cut(text, LONGEST.name, what, doubt);
  const bytes = (count: number | undefined, what: string): number | null =>
    reading(count, 'bytes', what, doubt);
  const slots = record.slots
    .filter(({ slotId }, i, all) => slotId !== '' && all.findIndex((one) => one.slotId === slotId) === i)
    .slice(0, MOST_SLOTS);
  if (slots.length < record.slots.length)
    doubt(`${record.slots.length - slots.length} slots have no name of their own, or are too many`);
  return {
    trainerId: record.trainerId,
    instanceId: name(record.instanceId, 'the instance'),
    address: name(record.address, 'the address'),
    slots: slots.map((slot) => ({
      slotId: name(slot.slotId, 'a slot'),
      deviceKind: slot.deviceKind === 'gpu' ? 'gpu' : 'cpu',
      deviceModel: name(slot.deviceModel, 'the model of a device'),
      deviceUuids: slot.deviceUuids.slice(0, MOST_SLOTS),
      memoryBytes: bytes(slot.memoryBytes, 'the memory of a device'),
      freeMemoryBytes: bytes(slot.freeMemoryBytes, 'the free memory of a device'),
      ...(slot.sharedBy === undefined || slot.sharedBy < 2 ? {} : { sharedBy: slot.sharedBy }),
      ...(slot.cpus === undefined ? {} : { cpus: name(slot.cpus, 'the CPUs of a slot') }),
    })),
    recipes: record.recipes.slice(0, MOST_SLOTS),
    labels: bounded(record.labels, 'labels', doubt),
    powerMethod: name(record.powerMethod, 'the power method'),
    draining: record.draining,
    ...(record.knowsTermIds ? { knowsTermIds: true as const } : {}),
  };
}
