/**
 * A state as a row of frames, and back. The state goes on changing while it is written, so what is large, the trials,
 * is written piece by piece: each in its turn, or just before its first change (`touch`). The rest is written at once.
 *
 * Frames: the state without its sweeps; then of each sweep the sweep without its trials, and its trials in order. Reports and
 * decisions of trials that have ended stay bytes until somebody asks for them: a restart does not wait for them.
 */
import {
  hasEnded,
  type LedgerEvent,
  type State,
  type SweepState,
  type TrialRecord,
} from '../../core/index.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { pack, unpack } from './pack.js';

const Frame = { state: 1, sweep: 2, trial: 3 } as const;

/** Lists of a trial that grow with its epochs; now and then the last entry is dropped, and another may take its place. */
const LISTS = ['epochs', 'decisions'] as const;
type List = (typeof LISTS)[number];

/** Rows that are packed together: what is full is packed once, however often the list is written. */
const BLOCK_ROWS = 512;

/** Blocks of a list as they were packed, all full but the last, and how long the list was then. */
interface Packed {
  readonly length: number;
  /** By it one sees that the list has only been added to since. */
  readonly last: unknown;
  readonly blocks: readonly Uint8Array[];
}

const NOTHING_PACKED: Packed = { length: 0, last: undefined, blocks: [] };

const packedLists = new WeakMap<readonly unknown[], Packed>();
/** Bytes of lists that nobody has asked for since the snapshot was read. */
const sleeping = new WeakMap<TrialRecord, Partial<Record<List, Uint8Array>>>();
const awake = new WeakMap<TrialRecord, Partial<Record<List, unknown[]>>>();

export class StateWriter {
  readonly #heads: readonly { readonly head: Uint8Array; readonly trials: readonly TrialRecord[] }[];
  readonly #state: Uint8Array;
  /** Trials that were written before their turn. */
  readonly #early = new Map<TrialRecord, Uint8Array>();
  /** Trials that are still to be written. */
  readonly #left = new Map<TrialRecord, string>();

  /** Holds the state as it is now. Takes time in proportion to sweeps and trials, not to reports. */
  constructor(state: State) {
    // A number holds the place of what has frames of its own, so that keys come back in their order.
    this.#state = pack({ ...state, sweeps: 0 });
    this.#heads = [...state.sweeps.values()].map((sweep) => {
      for (const trial of sweep.trials.values()) this.#left.set(trial, sweep.sweepId);
      return { head: pack({ ...sweep, trials: 0 }), trials: [...sweep.trials.values()] };
    });
  }

  /** To be told of each event before it is folded. */
  touch(state: State, event: LedgerEvent): void {
    if (this.#left.size === 0) return;
    if ('trialId' in event) {
      const trial = state.sweeps.get(event.sweepId)?.trials.get(event.trialId);
      if (trial !== undefined) this.#writeEarly(trial);
    } else if (event.type !== 'term_started' && !('trainerId' in event || 'trainer' in event)) {
      // Whatever it does to a sweep, it may do to any of its trials.
      for (const [trial, sweepId] of this.#left)
        if (!('sweepId' in event) || event.sweepId === sweepId) this.#writeEarly(trial);
    }
  }

  /** The frames, in order; between two of them the state may change. */
  *frames(): Generator<Uint8Array> {
    yield frame(Frame.state, this.#state);
    for (const { head, trials } of this.#heads) {
      yield frame(Frame.sweep, head);
      for (const trial of trials) {
        const early = this.#early.get(trial);
        this.#early.delete(trial);
        this.#left.delete(trial);
        yield frame(Frame.trial, early ?? packTrial(trial));
      }
    }
  }

  #writeEarly(trial: TrialRecord): void {
    if (!this.#left.delete(trial)) return;
    this.#early.set(trial, packTrial(trial));
  }
}

function frame(kind: number, body: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  out.byte(kind);
  out.uint(body.length);
  out.bytes(body);
  return out.take();
}

function packTrial(trial: TrialRecord): Uint8Array {
  const out = new ByteWriter();
  const head = Object.fromEntries(
    Object.keys(trial).map((key) => [
      key,
      isList(key) ? 0 : (trial as unknown as Record<string, unknown>)[key],
    ]),
  );
  const bytes = pack(head);
  out.uint(bytes.length);
  out.bytes(bytes);
  for (const list of LISTS) {
    const packed = sleeping.get(trial)?.[list] ?? packList(trial[list]);
    out.uint(packed.length);
    out.bytes(packed);
  }
  return out.take();
}

const isList = (key: string): key is List => (LISTS as readonly string[]).includes(key);

function packList(list: readonly unknown[]): Uint8Array {
  const before = packedLists.get(list);
  const known =
    before?.last === list[(before?.length ?? 0) - 1] ? (before ?? NOTHING_PACKED) : NOTHING_PACKED;
  const blocks =
    known.length === list.length
      ? known.blocks
      : known.blocks.slice(0, Math.floor(known.length / BLOCK_ROWS));
  const packed = [...blocks];
  while (packed.length * BLOCK_ROWS < list.length) {
    const begin = packed.length * BLOCK_ROWS;
    packed.push(pack(list.slice(begin, begin + BLOCK_ROWS)));
  }
  packedLists.set(list, { length: list.length, last: list.at(-1), blocks: packed });
  const out = new ByteWriter();
  out.uint(packed.length);
  for (const block of packed) {
    out.uint(block.length);
    out.bytes(block);
  }
  return out.take();
}

function unpackList(bytes: Uint8Array): unknown[] {
  const from = new ByteReader(bytes);
  const blocks = Array.from({ length: from.uint() }, () => from.bytes(from.uint()));
  const list = blocks.flatMap((block) => unpack(block) as unknown[]);
  packedLists.set(list, { length: list.length, last: list.at(-1), blocks });
  return list;
}

/** @throws RangeError, SyntaxError, TypeError for bytes that no `StateWriter` wrote */
export function readState(bytes: Uint8Array): State {
  const from = new ByteReader(bytes);
  const sweeps = new Map<string, SweepState>();
  const state: State = Object.assign(bodyOf(from, Frame.state) as Omit<State, 'sweeps'>, { sweeps });
  let trials = new Map<string, TrialRecord>();
  while (!from.isAtEnd) {
    const kind = from.byte();
    const body = from.bytes(from.uint());
    if (kind === Frame.sweep) {
      trials = new Map<string, TrialRecord>();
      const sweep: SweepState = Object.assign(unpack(body) as Omit<SweepState, 'trials'>, { trials });
      sweeps.set(sweep.sweepId, sweep);
    } else if (kind === Frame.trial) {
      const trial = readTrial(body);
      trials.set(trial.trialId, trial);
    } else throw new RangeError(`a snapshot has no frame ${kind}`);
  }
  return state;
}

function bodyOf(from: ByteReader, kind: number): unknown {
  if (from.byte() !== kind) throw new RangeError('a snapshot begins with the state');
  return unpack(from.bytes(from.uint()));
}

function readTrial(body: Uint8Array): TrialRecord {
  const from = new ByteReader(body);
  const head = unpack(from.bytes(from.uint())) as TrialRecord;
  const packed = Object.fromEntries(LISTS.map((list) => [list, from.bytes(from.uint())])) as Record<
    List,
    Uint8Array
  >;
  if (!hasEnded(head)) {
    for (const list of LISTS) Object.assign(head, { [list]: unpackList(packed[list]) });
    return head;
  }
  // Built key by key: to change a property's kind later would make every look-up slow.
  const trial = {};
  for (const [key, value] of Object.entries(head)) {
    if (isList(key)) Object.defineProperty(trial, key, getters[key]);
    else Object.assign(trial, { [key]: value as unknown });
  }
  sleeping.set(trial as TrialRecord, packed);
  return trial as TrialRecord;
}

const getters = Object.fromEntries(
  LISTS.map((list) => [
    list,
    {
      enumerable: true,
      configurable: true,
      get(this: TrialRecord): unknown[] {
        return wake(this, list);
      },
    },
  ]),
) as unknown as Record<List, PropertyDescriptor>;

function wake(trial: TrialRecord, list: List): unknown[] {
  const known = awake.get(trial)?.[list];
  if (known !== undefined) return known;
  const bytes = sleeping.get(trial)?.[list];
  if (bytes === undefined) throw new RangeError(`trial ${trial.trialId} has no ${list}`);
  const values = unpackList(bytes);
  awake.set(trial, { ...awake.get(trial), [list]: values });
  const { [list]: _woken, ...rest } = sleeping.get(trial) ?? {};
  sleeping.set(trial, rest);
  return values;
}
