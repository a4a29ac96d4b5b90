/**
 * One entry of the ledger as bytes: JSON with a version, gzip when large. JSON has no NaN and no infinity, and a
 * diverged trial is made of them, so they travel as `{"$n": "NaN"}`. Entries of every version that was ever released
 * stay readable through `upcasters`.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { WattsweepError } from '../../../proto/errors.js';
import type { LedgerEvent, LedgerEventType, UnixMs } from '../core/events.js';

export interface BatchHeader {
  /** Tells the writer that an entry is its own, when the acknowledgement was lost. */
  readonly appendId: string;
  readonly term: number;
  /** The writer's clock. */
  readonly at: UnixMs;
  /** Sequence on REPORTS up to which every report is taken into this ledger. */
  readonly reportsSeq: number;
  /**
   * When the server stored the message there, milliseconds since 1970: tells whether it is this stream still. Absent where
   * it is not known, and in ledgers of versions that did not ask.
   */
  readonly reportsStoredAtMs?: number;
}

export interface LedgerBatch extends BatchHeader {
  readonly events: readonly LedgerEvent[];
}

/**
 * Raised by the first change after a release that an older program would fold wrongly: a new event, a new field. It then
 * refuses the ledger (LEDGER_VERSION) instead of leading without knowing what it leaves out.
 */
const VERSION = 2;

/** How to read an older version: from its number to the next one's shape. */
const upcasters: Readonly<Record<number, (entry: object) => object>> = {
  // 0.1.0; since then events and fields have been added, and none has changed.
  1: (entry) => ({ ...entry, v: 2 }),
};

const COMPRESS_ABOVE_BYTES = 256 * 1024;

const EVENT_TYPES: Readonly<Record<LedgerEventType, true>> = {
  term_started: true,
  reports_lost: true,
  sweep_submitted: true,
  sweep_paused: true,
  sweep_resumed: true,
  sweep_stopping: true,
  sweep_ended: true,
  trial_created: true,
  search_exhausted: true,
  attempt_assigned: true,
  attempt_started: true,
  epoch_accepted: true,
  epoch_repeated: true,
  decision_made: true,
  stop_requested: true,
  attempt_ended: true,
  trial_requeued: true,
  trial_paused: true,
  trial_ended: true,
  smoke_ended: true,
  sweep_reopened: true,
  trial_reopened: true,
  sweep_extended: true,
  limits_changed: true,
  sweep_tagged: true,
  sweep_archived: true,
  sweep_deleted: true,
  notification_due: true,
  notification_settled: true,
  trainer_joined: true,
  trainer_suspected: true,
  trainer_lost: true,
  trainer_quarantined: true,
  trainer_released: true,
  trainer_drained: true,
  trainer_undrained: true,
  trainer_forgotten: true,
  attempts_held: true,
  held_stop_requested: true,
};

/** Events as JSON texts joined by commas; empty for none. What `encodeBatch` puts together. */
export const encodeEvents = (events: readonly LedgerEvent[]): string => events.map(toJson).join(',');

/** `chunks` are texts that `encodeEvents` made, none empty. */
export function encodeBatch(header: BatchHeader, chunks: readonly string[]): Uint8Array {
  const { appendId, term, at, reportsSeq, reportsStoredAtMs } = header;
  const head = JSON.stringify({ v: VERSION, appendId, term, at, reportsSeq, reportsStoredAtMs });
  const bytes = Buffer.from(`${head.slice(0, -1)},"events":[${chunks.join(',')}]}`);
  return bytes.length > COMPRESS_ABOVE_BYTES ? gzipSync(bytes, { level: 1 }) : bytes;
}

/**
 * @param seq for the message of the error
 * @throws LEDGER_VERSION for a version or an event that this program does not know; LEDGER_UNREADABLE
 */
export function decodeBatch(data: Uint8Array, seq: number): LedgerBatch {
  let entry: unknown;
  try {
    const gzipped = data[0] === 0x1f && data[1] === 0x8b;
    entry = fromJson(Buffer.from(gzipped ? gunzipSync(data) : data).toString('utf8'));
  } catch (cause) {
    throw unreadable(seq, 'it is not a whole JSON text', cause);
  }
  const batch = upcast(entry, seq);
  for (const event of batch.events) {
    if (!Object.hasOwn(EVENT_TYPES, event.type)) {
      throw new WattsweepError(
        'LEDGER_VERSION',
        `the ledger's entry ${seq} holds an event "${event.type}" that this version does not know`,
      );
    }
  }
  return batch;
}

function upcast(entry: unknown, seq: number): LedgerBatch {
  let current = entry;
  for (;;) {
    if (
      typeof current !== 'object' ||
      current === null ||
      !('v' in current) ||
      typeof current.v !== 'number'
    ) {
      throw unreadable(seq, 'it has no version');
    }
    if (current.v === VERSION) break;
    const step = upcasters[current.v];
    if (step === undefined) {
      throw new WattsweepError(
        'LEDGER_VERSION',
        `the ledger's entry ${seq} has version ${current.v}, which a newer program wrote; this one reads up to ${VERSION}`,
      );
    }
    current = step(current);
  }
  if (!isBatch(current)) throw unreadable(seq, 'fields are missing or of another type');
  return current;
}

function isBatch(value: object): value is LedgerBatch {
  const { appendId, term, at, reportsSeq, reportsStoredAtMs, events } = value as Record<string, unknown>;
  return (
    typeof appendId === 'string' &&
    Number.isSafeInteger(term) &&
    typeof at === 'number' &&
    Number.isSafeInteger(reportsSeq) &&
    (reportsStoredAtMs === undefined || typeof reportsStoredAtMs === 'number') &&
    Array.isArray(events) &&
    events.every(
      (e: unknown) => typeof e === 'object' && e !== null && 'type' in e && typeof e.type === 'string',
    )
  );
}

const unreadable = (seq: number, why: string, cause?: unknown): WattsweepError =>
  new WattsweepError('LEDGER_UNREADABLE', `the ledger's entry ${seq} cannot be read: ${why}`, { cause });

const MARK = '$n';

/** JSON that carries NaN, the infinities and -0. */
export const toJson = (value: unknown): string => JSON.stringify(needsMarks(value) ? mark(value) : value);

export const fromJson = (text: string): unknown =>
  text.includes(`"${MARK}"`) ? unmark(JSON.parse(text)) : (JSON.parse(text) as unknown);

const isPlain = (value: number): boolean => Number.isFinite(value) && !Object.is(value, -0);

function needsMarks(value: unknown): boolean {
  if (typeof value === 'number') return !isPlain(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(needsMarks);
  for (const key of Object.keys(value)) {
    if (key === MARK || needsMarks((value as Record<string, unknown>)[key])) return true;
  }
  return false;
}

/** A user's own object with a key `$n` is wrapped once more, so that it comes back as it was. */
function mark(value: unknown): unknown {
  if (typeof value === 'number')
    return isPlain(value) ? value : { [MARK]: Object.is(value, -0) ? '-0' : String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(mark);
  const marked = mapValues(value, mark);
  return Object.hasOwn(value, MARK) ? { [MARK]: marked } : marked;
}

function unmark(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(unmark);
  if (Object.hasOwn(value, MARK)) {
    const marked = (value as Record<string, unknown>)[MARK];
    if (typeof marked === 'string') return Number(marked);
    if (typeof marked === 'object' && marked !== null) return mapValues(marked, unmark);
  }
  return mapValues(value, unmark);
}

const mapValues = (value: object, change: (v: unknown) => unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([key, v]) => [key, change(v)]));
