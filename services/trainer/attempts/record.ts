/**
 * What stands on the disk about one attempt: the lines of its spool. The service makes it with what it has accepted; from
 * then on it is the slot's supervisor's up to the end of the attempt, and then the service's again. Read by both.
 *
 * Version 0.1 had files of their own for what is `accepted` (attempt.json), `run` (run.json) and `exit` (exit.json) now, and
 * published.json for `acknowledged`: boxes that were upgraded have such attempts, some under supervisors of that version.
 */
import { monotonicMs } from '../host/clock.js';
import type { MeteredDevice } from '../power/meter.js';
import type { ProgramNeeds } from '../programs/needs.js';
import type { AttemptKey, AttemptSpec, RunnerLine } from '../protocol/runner.js';

/** All that the supervisor needs to run the attempt, whoever is service by then. */
export interface AcceptedAttempt {
  readonly version: 1;
  readonly ledgerId: string;
  readonly slotId: string;
  /** Slots that it holds beside `slotId`, whose supervisor runs it. Absent: none. */
  readonly furtherSlotIds?: readonly string[];
  /** Devices whose energy counts for it. */
  readonly metered: readonly MeteredDevice[];
  /** Watts of them before it, while nothing trained there; absent when they are not known. */
  readonly idleWatts?: number;
  /** Bytes of its GPUs' memory that were in use before the first attempt of its runner; absent when they are not known. */
  readonly memoryBefore?: Readonly<Record<string, number>>;
  readonly acceptedAtUnixMs: number;
  readonly bootId: string;
  /** Program and arguments of the runner. */
  readonly runnerCommand: readonly string[];
  /**
   * Environment of the runner beside the inherited one; null takes a variable away. A runner takes another attempt only
   * when this is the same for both.
   */
  readonly environment: Readonly<Record<string, string | null>>;
  /** What processes that the runner starts for this attempt see beside it. */
  readonly attemptEnvironment: Readonly<Record<string, string>>;
  /** `NAME=value` in the environment of every process that the runner starts for the attempt. */
  readonly token: string;
  /** How long the runner may wait for the slot's next attempt afterwards, in milliseconds; 0: it goes. */
  readonly warmIdleMs: number;
  /** A checkpoint that is looked for in NATS before the attempt begins; absent: none is. */
  readonly awaits?: WantedCheckpoint;
  /** What must be on this box before; absent: nothing. */
  readonly needs?: ProgramNeeds;
  readonly spec: AttemptSpec;
}

/** A checkpoint that is looked for in NATS. */
export interface WantedCheckpoint {
  /** Newest epoch that the ledger has: later ones are of no use. */
  readonly epoch: number;
  /** What this box has of its own: of that epoch, or of that attempt where programs do not tell their epochs. */
  readonly beyond: { readonly epoch: number } | { readonly attempt: number };
}

/** The runner that has the attempt, which may have had others before, and when it was given to it. */
export interface RunRecord {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
  /** `NAME=value` in the environment of the runner and of all that it starts. */
  readonly token: string;
  readonly startedAtUnixMs: number;
  readonly startedMonotonicMs: number;
}

/** How the runner left the attempt, as its supervisor saw it. */
export interface ExitRecord {
  /** Exit code of the runner; null when a signal ended it, or when it lives on for the next attempt. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Processes of the attempt that had to be killed after the runner had gone. */
  readonly leftovers: number;
}

/** What the box itself notes between the runner's words. */
export type NoteLine =
  /** The first line. Once more when something else holds now, as long as no supervisor has it. */
  | { readonly type: 'accepted'; readonly attempt: AcceptedAttempt }
  /** The supervisor has given the attempt to this runner. */
  | ({ readonly type: 'run' } & Omit<RunRecord, 'startedAtUnixMs' | 'startedMonotonicMs'>)
  /** NATS has everything up to spool line `upTo`, the end too: the last line. `epoch` is the attempt's last. */
  | { readonly type: 'acknowledged'; readonly upTo: number; readonly epoch: number };

/** `end` is there once every process of the attempt is gone: the attempt is over. `exit` is absent when nobody saw it. */
export type SpoolLine =
  | Exclude<RunnerLine, { type: 'end' }>
  | (Extract<RunnerLine, { type: 'end' }> & { readonly exit?: ExitRecord })
  | NoteLine;

/** A line of the spool: what the runner said and when the supervisor heard it, or what was noted when. */
export interface SpoolRecord {
  readonly atUnixMs: number;
  readonly monotonicMs: number;
  readonly line: SpoolLine;
}

const LINE_TYPES: ReadonlySet<unknown> = new Set(['started', 'step', 'epoch', 'checkpoint', 'end']);
const NOTE_TYPES: ReadonlySet<unknown> = new Set(['accepted', 'run', 'acknowledged']);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type LooseLine = Record<string, unknown> & { type: RunnerLine['type'] };

const isLine = (value: unknown): value is LooseLine => isObject(value) && LINE_TYPES.has(value.type);

const isSpoolLine = (value: unknown): boolean =>
  isLine(value) || (isObject(value) && NOTE_TYPES.has(value.type));

/** How runners write the lines of which there are many. */
const USUAL = ['{"type":"epoch",', '{"type":"step",'] as const;

/**
 * What the line looks like, without a look at all of it; null when only a parse can tell. Whoever reads the spool parses
 * each line, and takes one that is none for nothing.
 */
export function usualType(text: string): 'epoch' | 'step' | null {
  if (!text.endsWith('}')) return null;
  if (text.startsWith(USUAL[0])) return 'epoch';
  return text.startsWith(USUAL[1]) ? 'step' : null;
}

/** The line as an object with a known `type`, or null. Its other fields are checked by who reads the spool. */
export function parseRunnerLine(text: string): LooseLine | null {
  try {
    const value: unknown = JSON.parse(text);
    return isLine(value) ? value : null;
  } catch {
    return null;
  }
}

/** A line of the spool, or null when it is none. */
export function parseSpoolLine(text: string): SpoolRecord | null {
  try {
    const { atUnixMs, monotonicMs, line } = JSON.parse(text) as Record<string, unknown>;
    if (typeof atUnixMs !== 'number' || typeof monotonicMs !== 'number' || !isSpoolLine(line)) return null;
    return { atUnixMs, monotonicMs, line: line as SpoolLine };
  } catch {
    return null;
  }
}

/** A spool line around a line that is JSON already. */
export const spoolLine = (atUnixMs: number, monotonicMs: number, lineJson: string): string =>
  `{"atUnixMs":${String(atUnixMs)},"monotonicMs":${monotonicMs.toFixed(3)},"line":${lineJson}}\n`;

/** A spool line of now around a note. */
export const noteLine = (note: NoteLine): string =>
  spoolLine(Date.now(), monotonicMs(), JSON.stringify(note));

/** `SWEEP/TRIAL#ATTEMPT`, for people. */
export const attemptName = (key: AttemptKey): string =>
  `${key.sweepId}/${key.trialId}#${String(key.attempt)}`;

/** Names the attempt among those of all ledgers, and of all histories that restores have given them. */
export function attemptId(ledgerId: string, key: AttemptKey): string {
  const { termId = '' } = key;
  return `${ledgerId}/${attemptName(key)}${termId === '' ? '' : `.${termId}`}`;
}
