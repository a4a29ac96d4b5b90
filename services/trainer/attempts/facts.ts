/**
 * Turns spool records into the facts that NATS carries. The runner's words are checked field by field: a program may
 * say anything, and what it says wrongly is left out. Energy comes from the meter, over the windows that the runner named;
 * only where the recipe declares a method of its own, from the runner.
 */
import type { PowerMethod } from '../../../proto/energy.js';
import { AttemptEndClass, type AttemptKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { Energy, EpochReport, Report, StepProgress } from '../../../proto/gen/wattsweep/v1/facts.js';
import type { MeteredDevice, PowerMeter } from '../power/meter.js';
import { CPU_DEVICE } from '../power/source.js';
import { decodeNumber, type RunnerLine, type TimeWindow } from '../protocol/runner.js';
import type { StatedEnergy } from '../power/stated.js';
import type { SpoolRecord } from './record.js';

type Line<T extends RunnerLine['type']> = Extract<RunnerLine, { type: T }>;
type EpochFact = Extract<Report['fact'], { $case: 'epoch' }>;
type Fields = Readonly<Record<string, unknown>>;

/** What the facts of an attempt are made with. */
export interface FactContext {
  readonly key: AttemptKey;
  readonly metered: readonly MeteredDevice[];
  readonly meter: PowerMeter;
  /** False when the box was restarted since: its monotonic clock began anew, and no window means anything. */
  readonly sameBoot: boolean;
  /** When the runner was started; null when nobody wrote it down. */
  readonly startedMonotonicMs: number | null;
  /** End of the previous epoch, or the word that the attempt had begun. */
  readonly previousMonotonicMs: number | null;
  /** Watts of its devices before it began, while nothing trained on them; null when they are not known. */
  readonly idleWatts: number | null;
  /** What a recipe that states its energy has stated in the epochs before; null where the meter reads. */
  readonly stated: StatedEnergy | null;
}

export const END_CLASSES: Readonly<Record<string, AttemptEndClass>> = {
  completed: AttemptEndClass.COMPLETED,
  stopped: AttemptEndClass.STOPPED,
  diverged: AttemptEndClass.DIVERGED,
  crashed: AttemptEndClass.CRASHED,
  out_of_memory: AttemptEndClass.OUT_OF_MEMORY,
  refused: AttemptEndClass.REFUSED,
  preempted: AttemptEndClass.PREEMPTED,
};

const NOT_APART = 'the program does not tell evaluation from training';

/** A sentence for a person; what it is taken from stands in output.log. */
const MESSAGE_LENGTH = 2_000;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const finite = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const joules = (value: unknown): number | null => {
  const number = finite(value);
  return number !== undefined && number >= 0 ? number : null;
};
/** A non-negative integer of 32 bits, else 0. */
const count = (value: unknown): number => {
  const number = finite(value);
  return number !== undefined && Number.isInteger(number) && number >= 0 && number < 2 ** 32 ? number : 0;
};

function window(value: unknown): TimeWindow | null {
  if (typeof value !== 'object' || value === null) return null;
  const { beginMonotonicMs, endMonotonicMs } = value as Fields;
  const begin = finite(beginMonotonicMs);
  const end = finite(endMonotonicMs);
  return begin !== undefined && end !== undefined && end > begin
    ? { beginMonotonicMs: begin, endMonotonicMs: end }
    : null;
}

function metrics(value: unknown): Record<string, number> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, metric]) => {
      const number = decodeNumber(metric);
      return number === undefined ? [] : [[name, number]];
    }),
  );
}

const noEnergy = (reason: string): Energy => ({
  joules: undefined,
  meanWatts: undefined,
  method: '',
  absentReason: reason,
});

/** Energy in the words of a recipe that states it. */
function statedEnergy(joules: number | null, seconds: number | null, method: PowerMethod): Energy {
  if (joules === null) return noEnergy('the recipe stated none');
  const meanWatts = seconds !== null && seconds > 0 ? joules / seconds : undefined;
  return { joules, meanWatts, method, absentReason: '' };
}

/** A smaller difference between counter and integral is not told of every epoch. */
const NOTABLE_DISAGREEMENT = 0.1;

/** What is told of each epoch of how it was read: only what is out of the ordinary. */
function ofEpoch({ samplesPerSecond: _rate, disagreement, ...energy }: Energy): Energy {
  const isNotable = disagreement !== undefined && disagreement > NOTABLE_DISAGREEMENT;
  return isNotable ? { ...energy, disagreement } : energy;
}

/** Energy of a stretch that ended just now, or a while ago. */
function energyOf(context: FactContext, stretch: TimeWindow): Energy {
  if (!context.sameBoot) return noEnergy('the box was restarted since');
  context.meter.sampleAfter(stretch.endMonotonicMs);
  return context.meter.energyBetween(context.metered, stretch);
}

export const started = (line: Line<'started'>, record: SpoolRecord, context: FactContext): Report['fact'] => {
  const device = (line.device as unknown as Fields | undefined) ?? {};
  return {
    $case: 'started',
    value: {
      key: context.key,
      deviceKind: text(device.kind),
      deviceModel: text(device.name),
      engine: Object.fromEntries(
        Object.entries((line.engine as unknown as Fields | undefined) ?? {}).map(([name, value]) => [
          name,
          text(value),
        ]),
      ),
      trainableParameters: finite(line.trainableParameters),
      stepsPerEpoch: finite(line.stepsPerEpoch),
      resumedEpoch: count(line.resumedEpoch),
      atUnixMs: record.atUnixMs,
    },
  };
};

/** The epoch with its energy; null when it says no epoch from 1 on. */
export function epoch(line: Line<'epoch'>, record: SpoolRecord, context: FactContext): EpochFact | null {
  const number = count(line.epoch);
  if (number === 0) return null;
  const { stated } = context;
  const named = { train: window(line.trainWindow), evaluation: window(line.evaluationWindow) };
  // A program that names no windows: all since its last word was training, as far as one can tell.
  const since = context.previousMonotonicMs ?? context.startedMonotonicMs;
  const train =
    named.train ??
    (named.evaluation === null && since !== null
      ? { beginMonotonicMs: since, endMonotonicMs: record.monotonicMs }
      : null);
  const evaluation = named.evaluation;
  const whole: TimeWindow | null =
    train === null
      ? evaluation
      : {
          beginMonotonicMs: train.beginMonotonicMs,
          endMonotonicMs: evaluation?.endMonotonicMs ?? train.endMonotonicMs,
        };
  const value: EpochReport = {
    key: context.key,
    epoch: number,
    step: count(line.step),
    metrics: metrics(line.metrics),
    trainSeconds: finite(line.trainSeconds),
    evaluationSeconds: finite(line.evaluationSeconds),
    dataWaitSeconds: finite(line.dataWaitSeconds),
    samplesPerSecond: finite(line.samplesPerSecond),
    ...(stated === null
      ? {
          trainEnergy:
            train === null
              ? noEnergy('the program named no time of training')
              : ofEpoch(energyOf(context, train)),
          evaluationEnergy:
            evaluation === null ? noEnergy(NOT_APART) : ofEpoch(energyOf(context, evaluation)),
          gpuUtilization: whole === null ? undefined : (gpuUtilization(context, whole) ?? undefined),
        }
      : {
          trainEnergy: statedEnergy(
            joules(line.trainJoules),
            finite(line.trainSeconds) ?? null,
            stated.method,
          ),
          evaluationEnergy:
            line.evaluationJoules === undefined
              ? noEnergy(NOT_APART)
              : statedEnergy(
                  joules(line.evaluationJoules),
                  finite(line.evaluationSeconds) ?? null,
                  stated.method,
                ),
          gpuUtilization: undefined,
        }),
    atUnixMs: record.atUnixMs,
  };
  return { $case: 'epoch', value };
}

const gpuUtilization = (context: FactContext, whole: TimeWindow): number | null =>
  context.sameBoot && context.metered.every(({ id }) => id !== CPU_DEVICE)
    ? context.meter.utilizationBetween(context.metered, whole)
    : null;

/** What the recipe has stated, with this epoch. */
export function addStated(stated: StatedEnergy, { value }: EpochFact): StatedEnergy {
  const parts = [
    value.trainEnergy,
    ...(value.evaluationSeconds === undefined ? [] : [value.evaluationEnergy]),
  ];
  const sum = parts.reduce<number | null>((all, part) => {
    const joules = part?.joules;
    return all === null || joules === undefined ? null : all + joules;
  }, stated.joules);
  const seconds = (value.trainSeconds ?? 0) + (value.evaluationSeconds ?? 0);
  return { ...stated, joules: sum, seconds: stated.seconds + seconds };
}

/** With the idle watts of its part of the devices. */
const withIdle = (energy: Energy, { idleWatts }: FactContext): Energy =>
  idleWatts === null ? energy : { ...energy, idleWatts: idleWatts * (energy.share ?? 1) };

/** The end with the energy of the whole attempt. */
export function ended(line: Line<'end'>, record: SpoolRecord, context: FactContext): Report['fact'] {
  const { startedMonotonicMs, sameBoot, stated } = context;
  const whole =
    startedMonotonicMs === null
      ? null
      : { beginMonotonicMs: startedMonotonicMs, endMonotonicMs: record.monotonicMs };
  return {
    $case: 'ended',
    value: {
      key: context.key,
      class: END_CLASSES[line.class] ?? AttemptEndClass.CRASHED,
      code: text(line.code),
      message: text(line.message).slice(0, MESSAGE_LENGTH),
      ...(stated === null
        ? {
            seconds:
              whole === null || !sameBoot
                ? undefined
                : (whole.endMonotonicMs - whole.beginMonotonicMs) / 1000,
            energy:
              whole === null
                ? noEnergy('the attempt did not run')
                : withIdle(energyOf(context, whole), context),
          }
        : {
            seconds: stated.seconds,
            energy: statedEnergy(stated.joules, stated.seconds, stated.method),
          }),
      atUnixMs: record.atUnixMs,
    },
  };
}

export const step = (line: Line<'step'>, key: AttemptKey): StepProgress => ({
  key,
  epoch: count(line.epoch),
  step: count(line.step),
  metrics: metrics(line.metrics),
});
