/**
 * Whose fault the end of an attempt is, and how long one waits after it. What is the box's fault never fails a trial for
 * good: it counts against the box. Recorded with the end: the fold counts, and never judges anew.
 */
import type { ErrorCode } from '../../../../proto/errors.js';
import type { AttemptEndClass, Fault } from '../events.js';
import { stream } from '../search/stream.js';

const OF_THE_BOX: ReadonlySet<string> = new Set<ErrorCode>([
  'BOX_UNFIT',
  'DISK_FULL',
  'DEVICE_LOST',
  'ENGINE_MISSING',
  'DATASET_INVALID',
  'FILE_UNWRITABLE',
]);

/** What the trial needs and this box lacks: it, and the sweep's other trials, go elsewhere. */
const OF_THE_PAIRING: ReadonlySet<string> = new Set<ErrorCode>([
  'RECIPE_NOT_OFFERED',
  'REQUIREMENT_MISSING',
  'POWER_LIMIT_NOT_OFFERED',
]);

/** Codes of starts that failed without anybody's fault: the box was busy, has changed meanwhile, or was cut off. */
const OF_NOBODY: ReadonlySet<string> = new Set<ErrorCode>([
  'SLOT_BUSY',
  'SLOT_NOT_FOUND',
  'DRAINING',
  'TRAINER_UNREACHABLE',
  'UNAUTHENTICATED',
]);

/** Ends that somebody is to blame for. */
const FAILURES: ReadonlySet<AttemptEndClass> = new Set(['crashed', 'out_of_memory', 'refused', 'preempted']);

export interface Ending {
  readonly class: AttemptEndClass;
  /** Of the registry of errors, as far as the trainer tells the truth. */
  readonly code: string;
}

/** Null when nobody is to blame: it ended as it should, was stopped, preempted or lost. */
export function faultOf({ class: endClass, code }: Ending): Fault | null {
  if (!FAILURES.has(endClass) || OF_NOBODY.has(code)) return null;
  if (OF_THE_PAIRING.has(code)) return 'pairing';
  if (OF_THE_BOX.has(code)) return 'box';
  return endClass === 'preempted' ? null : 'trial';
}

/** The fault is of one device, not of the whole box. */
export const isOfDevice = (code: string): boolean => code === ('DEVICE_LOST' satisfies ErrorCode);

/** No trial and no slot pauses longer than this. */
export const LONGEST_PAUSE_MS = 60_000;

/**
 * Exponential back-off with jitter: the `count`-th pause in a row lies between half of `firstMs * 2^(count - 1)` and all
 * of it, at most {@link LONGEST_PAUSE_MS}. The jitter follows from `key`: the core draws no random numbers.
 */
export function backoffMs(firstMs: number, count: number, key: string): number {
  const fullMs = Math.min(LONGEST_PAUSE_MS, firstMs * 2 ** Math.min(30, count - 1));
  return Math.round(fullMs * (0.5 + stream(`backoff:${key}`)() / 2));
}
